#define _GNU_SOURCE
#include "unpack/sparse.h"
#include "unpack/numbers.h"
#include "unpack/outcome.h"
#include "unpack/stream.h"

#include <stdlib.h>
#include <string.h>

enum { EXTENTS_LIMIT = 1 << 20 };

static size_t extent_room;

static void add_extent(struct tar_entry *entry, uint64_t offset, uint64_t length)
{
	if (entry->extent_count == extent_room) {
		if (extent_room >= EXTENTS_LIMIT)
			refuse("a sparse file has too many pieces");
		extent_room = extent_room ? 2 * extent_room : 64;
		entry->extents = realloc(entry->extents, extent_room * sizeof *entry->extents);
		if (!entry->extents)
			broken("realloc");
	}
	entry->extents[entry->extent_count++] = (struct tar_extent){ offset, length };
}

/* GNU.sparse.map of version 0.1: offset,length,offset,length... */
static void read_map(struct tar_entry *entry, const struct tar_record *record)
{
	const char *at = record->value, *limit = at + record->value_size;
	uint64_t pair[2];

	entry->extent_count = 0;
	for (int i = 0; at <= limit && record->value_size > 0; i ^= 1) {
		const char *comma = memchr(at, ',', limit - at);
		const char *stop = comma ? comma : limit;
		pair[i] = decimal(at, stop - at);
		if (i == 1)
			add_extent(entry, pair[0], pair[1]);
		else if (!comma)
			refuse("the map of a sparse file is malformed");
		at = stop + 1;
	}
}

void apply_sparse_record(struct tar_entry *entry, struct gnu_sparse *sparse, const struct tar_record *record)
{
	if (record_is(record, "GNU.sparse.major"))
		sparse->major = decimal(record->value, record->value_size);
	else if (record_is(record, "GNU.sparse.minor"))
		sparse->minor = decimal(record->value, record->value_size);
	else if (record_is(record, "GNU.sparse.name"))
		sparse->name = *record;
	else if (record_is(record, "GNU.sparse.size"))
		sparse->size = *record;
	else if (record_is(record, "GNU.sparse.realsize"))
		sparse->real_size = *record;
	else if (record_is(record, "GNU.sparse.offset"))
		sparse->offset = decimal(record->value, record->value_size);
	else if (record_is(record, "GNU.sparse.numbytes")) {
		add_extent(entry, sparse->offset, decimal(record->value, record->value_size));
		sparse->has_map = true;
	} else if (record_is(record, "GNU.sparse.map")) {
		read_map(entry, record);
		sparse->has_map = true;
	}
}

/* A decimal number on its own line, from the data of the entry. */
static uint64_t number_line(void)
{
	char digits[24];
	const char *byte;

	for (size_t size = 0; size < sizeof digits; size++) {
		if (stream_data(&byte, 1) == 0)
			refuse("the map of a sparse file is cut short");
		if (*byte == '\n')
			return decimal(digits, size);
		digits[size] = *byte;
	}
	refuse("the map of a sparse file is malformed");
}

/* Version 1.0: the map precedes the data, padded to whole blocks. */
static void read_map_lines(struct tar_entry *entry, uint64_t stored)
{
	const char *unused;

	entry->extent_count = 0;
	for (uint64_t count = number_line(); count > 0; count--) {
		uint64_t offset = number_line();
		add_extent(entry, offset, number_line());
	}
	for (size_t rest = (BLOCK - (stored - stream_left()) % BLOCK) % BLOCK, got; rest > 0; rest -= got)
		if ((got = stream_data(&unused, rest)) == 0)
			refuse("the map of a sparse file is cut short");
}

static bool add_old_extent(struct tar_entry *entry, const char pair[24])
{
	if (pair[0] == '\0')
		return false;
	add_extent(entry, natural(number(pair, 12), INT64_MAX), natural(number(pair + 12, 12), INT64_MAX));
	return true;
}

void read_old_map(struct tar_entry *entry, const struct header *header)
{
	bool more = header->gnu.more;

	if (memcmp(header->magic, "ustar  ", 8) != 0)
		refuse("a sparse file is in no format of GNU tar");
	entry->sparse = true;
	entry->size = natural(number(header->gnu.size, 12), INT64_MAX);
	for (int i = 0; i < OLD_GNU_EXTENTS && add_old_extent(entry, header->gnu.extents[i]); i++)
		;
	while (more) {
		const char *next = stream_block();
		if (!next)
			refuse("it is cut short");
		for (int i = 0; i < OLD_GNU_MORE_EXTENTS && add_old_extent(entry, next + 24 * i); i++)
			;
		more = next[24 * OLD_GNU_MORE_EXTENTS];
	}
}

void apply_sparse(struct tar_entry *entry, const struct gnu_sparse *sparse, uint64_t stored)
{
	bool map_in_data = sparse->major == 1 && sparse->minor == 0;
	bool map_in_header = sparse->has_map && sparse->major <= 0 && sparse->minor <= 1;
	const struct tar_record *size = sparse->size.value ? &sparse->size : &sparse->real_size;

	if (!map_in_data && !map_in_header)
		return;
	entry->sparse = true;
	if (sparse->name.value)
		set_name(entry->path, sparse->name.value, sparse->name.value_size);
	if (size->value)
		entry->size = decimal(size->value, size->value_size);
	if (map_in_data)
		read_map_lines(entry, stored);
}

void check_extents(const struct tar_entry *entry)
{
	uint64_t at = 0, sum = 0;

	for (size_t i = 0; i < entry->extent_count; i++) {
		const struct tar_extent *extent = &entry->extents[i];
		if (extent->offset < at || extent->offset > entry->size || extent->length > entry->size - extent->offset)
			refuse("the map of a sparse file contradicts itself");
		at = extent->offset + extent->length;
		sum += extent->length;
	}
	if (sum != stream_left())
		refuse("the map of a sparse file contradicts its size");
}
