#ifndef PYPOD_TAR_H
#define PYPOD_TAR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Reads tar archives: v7, ustar, star, pax and GNU (pax(1); "Basic Tar Format" of GNU tar's manual). Where readers differ,
 * Go's archive/tar is followed, which is what podman and docker read layers with. */

enum tar_type {
	TAR_FILE = '0',
	TAR_HARD_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHARACTER_DEVICE = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
};

struct tar_extent {
	uint64_t offset, length;
};

struct tar_entry {
	enum tar_type type;
	char path[PATH_MAX]; /* as it is written there; never empty by itself, never with a NUL */
	char link[PATH_MAX];
	uint64_t size; /* of the file once it is unpacked: for a sparse one more than there are data */
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	uint32_t major, minor;
	struct timespec mtime;
	/* Where the data of a sparse file belong: ascending, within size, together as long as the data. */
	bool sparse;
	struct tar_extent *extents;
	size_t extent_count;
	const char *records; /* of the pax header, for tar_record */
	size_t records_size;
};

/* Read from this descriptor. */
void tar_open(int fd);
/* The next entry, or false at the end of the archive. What is left of the data of the one before is skipped. */
bool tar_next(struct tar_entry *entry);
/* Up to `most` bytes of the entry's data; 0 when there are no more. They are good until the next call. */
size_t tar_data(const char **bytes, size_t most);
/* Read what follows the end of the archive, up to the end of the file: a writer to a pipe is not cut off. */
void tar_drain(void);

struct tar_record {
	const char *key, *value; /* neither ends in a NUL */
	size_t key_size, value_size;
};

/* The next record of a pax header; *at goes from 0 to records_size. */
bool tar_record(const struct tar_entry *entry, size_t *at, struct tar_record *record);

/* Given by who uses this: what to do about an archive that is not one, and about a read that fails. */
_Noreturn void refuse(const char *reason);
_Noreturn void broken(const char *call);

#endif
