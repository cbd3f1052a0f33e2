#ifndef PYPOD_UNPACK_RECORDS_H
#define PYPOD_UNPACK_RECORDS_H

#include "unpack/entry.h"

/* A record of a pax header. */
struct tar_record {
	const char *key, *value; /* neither ends in a NUL */
	size_t key_size, value_size;
};

/* The next record of an entry; *at goes from 0 to records_size. */
bool tar_record(const struct tar_entry *entry, size_t *at, struct tar_record *record);
bool record_is(const struct tar_record *record, const char *key);

#endif
