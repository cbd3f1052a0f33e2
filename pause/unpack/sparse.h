#ifndef PYPOD_UNPACK_SPARSE_H
#define PYPOD_UNPACK_SPARSE_H

#include "unpack/entry.h"
#include "unpack/header.h"
#include "unpack/records.h"

/* Files with holes, as GNU tar writes them: its manual, "Storing Sparse Files". */

/* The sparse records of a pax header. */
struct gnu_sparse {
	int major, minor; /* -1: not given */
	bool has_map;
	uint64_t offset;
	struct tar_record name, size, real_size;
};

/* Apply a record GNU.sparse.*. */
void apply_sparse_record(struct tar_entry *entry, struct gnu_sparse *sparse, const struct tar_record *record);
/* Turn an entry with `stored` bytes of data into a sparse file as its records say. The map may be in the data. */
void apply_sparse(struct tar_entry *entry, const struct gnu_sparse *sparse, uint64_t stored);
/* The same for GNU's own type 'S': its map is in the header and in blocks between header and data. */
void read_old_map(struct tar_entry *entry, const struct header *header);
/* Refuse a map that breaks the promises of struct tar_entry. */
void check_extents(const struct tar_entry *entry);

#endif
