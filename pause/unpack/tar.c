#define _GNU_SOURCE
#include "unpack/tar.h"
#include "unpack/header.h"
#include "unpack/numbers.h"
#include "unpack/outcome.h"
#include "unpack/records.h"
#include "unpack/sparse.h"
#include "unpack/stream.h"

#include <string.h>

enum { HEADER_LIMIT = 1 << 20 }; /* of a pax header or a long name, as in Go */

static char pax[HEADER_LIMIT], text[HEADER_LIMIT + 1];

static const int64_t LARGEST_ID = UINT32_MAX - 1; /* UINT32_MAX means "no change" to chown(2) */

/* Read the data of an extension header. */
static size_t read_text(char *into)
{
	size_t size = 0, got;
	const char *bytes;

	if (stream_left() > HEADER_LIMIT)
		refuse("a header is larger than 1 MiB");
	while ((got = stream_data(&bytes, SIZE_MAX)) > 0) {
		memcpy(into + size, bytes, got);
		size += got;
	}
	stream_skip();
	return size;
}

/* Later records override earlier ones; an empty value keeps that of the header. */
static void apply_records(struct tar_entry *entry, uint64_t *stored, struct gnu_sparse *sparse)
{
	struct tar_record record;

	for (size_t at = 0; tar_record(entry, &at, &record);) {
		if (record.value_size == 0)
			continue;
		if (record_is(&record, "path"))
			set_name(entry->path, record.value, record.value_size);
		else if (record_is(&record, "linkpath"))
			set_name(entry->link, record.value, record.value_size);
		else if (record_is(&record, "size"))
			*stored = decimal(record.value, record.value_size);
		else if (record_is(&record, "uid"))
			entry->uid = natural(decimal(record.value, record.value_size), LARGEST_ID);
		else if (record_is(&record, "gid"))
			entry->gid = natural(decimal(record.value, record.value_size), LARGEST_ID);
		else if (record_is(&record, "mtime"))
			entry->mtime = timestamp(record.value, record.value_size);
		else if (record.key_size > 11 && memcmp(record.key, "GNU.sparse.", 11) == 0)
			apply_sparse_record(entry, sparse, &record);
	}
}

static void check_checksum(const struct header *header)
{
	const unsigned char *byte = (const unsigned char *)header;
	size_t first = offsetof(struct header, checksum), last = first + sizeof header->checksum;
	int64_t sum = 0, signed_sum = 0, stated = number(header->checksum, sizeof header->checksum);

	for (size_t i = 0; i < BLOCK; i++) {
		unsigned char value = i >= first && i < last ? ' ' : byte[i];
		sum += value;
		signed_sum += (signed char)value; /* some ancient writers summed signed chars */
	}
	if (stated != sum && stated != signed_sum)
		refuse("the checksum of a header is wrong");
}

static void read_names(struct tar_entry *entry, const struct header *header)
{
	size_t size = 0, prefix_room = 0;

	if (memcmp(header->star_magic, "tar", 4) == 0 && memcmp(header->magic, "ustar", 6) == 0)
		prefix_room = sizeof header->star.prefix;
	else if (memcmp(header->magic, "ustar", 6) == 0)
		prefix_room = sizeof header->prefix;
	if (prefix_room > 0 && header->prefix[0]) {
		size = strnlen(header->prefix, prefix_room);
		memcpy(entry->path, header->prefix, size);
		entry->path[size++] = '/';
	}
	size_t length = strnlen(header->name, sizeof header->name);
	memcpy(entry->path + size, header->name, length);
	entry->path[size + length] = '\0';
	length = strnlen(header->link, sizeof header->link);
	memcpy(entry->link, header->link, length);
	entry->link[length] = '\0';
}

static enum tar_type type_of(const struct tar_entry *entry, char flag)
{
	size_t length = strlen(entry->path);

	switch (flag) {
	case '\0': /* v7 marks directories by a trailing slash */
		return length > 0 && entry->path[length - 1] == '/' ? TAR_DIRECTORY : TAR_FILE;
	case '0':
	case '7':
	case 'S':
		return TAR_FILE;
	case '1' ... '6':
		return flag;
	default:
		refuse("an entry is of a type that layers do not have");
	}
}

static void read_numbers(struct tar_entry *entry, const struct header *header)
{
	entry->mode = number(header->mode, sizeof header->mode) & 07777;
	entry->uid = natural(number(header->uid, sizeof header->uid), LARGEST_ID);
	entry->gid = natural(number(header->gid, sizeof header->gid), LARGEST_ID);
	entry->mtime = (struct timespec){ .tv_sec = number(header->mtime, sizeof header->mtime) };
	entry->major = entry->minor = 0;
	if (header->type == '3' || header->type == '4') {
		entry->major = natural(number(header->major, sizeof header->major), UINT32_MAX);
		entry->minor = natural(number(header->minor, sizeof header->minor), UINT32_MAX);
	}
}

/* Read the header of an entry proper, and apply its extension headers. */
static void read_entry(struct tar_entry *entry, const struct header *in_buffer, size_t records_size)
{
	struct header copy = *in_buffer, *header = &copy;
	struct gnu_sparse sparse = { .major = -1, .minor = -1 };
	uint64_t stored = natural(number(header->size, sizeof header->size), INT64_MAX);

	entry->records = pax;
	entry->records_size = records_size;
	entry->sparse = false;
	entry->extent_count = 0;
	read_names(entry, header);
	read_numbers(entry, header);
	apply_records(entry, &stored, &sparse);
	entry->type = type_of(entry, header->type);
	if (entry->type != TAR_FILE)
		stored = 0; /* whatever the header says: hard links have the size of their file */
	entry->size = stored;
	if (header->type == 'S')
		read_old_map(entry, header);
	stream_expect(stored);
	if (entry->type == TAR_FILE && header->type != 'S')
		apply_sparse(entry, &sparse, stored);
	if (entry->sparse)
		check_extents(entry);
}

static bool is_zero(const char *bytes)
{
	return bytes[0] == '\0' && memcmp(bytes, bytes + 1, BLOCK - 1) == 0;
}

bool tar_next(struct tar_entry *entry)
{
	static char long_name[PATH_MAX], long_link[PATH_MAX];
	size_t records_size = 0;
	bool extended = false;
	const struct header *header;

	long_name[0] = long_link[0] = '\0';
	stream_skip();
	while ((header = stream_block())) {
		if (is_zero((const char *)header)) {
			/* Two of them mark the end. Some writers omit one or both, and Go then accepts the end of the file. */
			const char *second = stream_block();
			if (second && !is_zero(second))
				refuse("a header is empty");
			break;
		}
		check_checksum(header);
		char flag = header->type;
		if (!strchr("xgLK", flag) || flag == '\0') {
			read_entry(entry, header, records_size);
			if (long_name[0])
				memcpy(entry->path, long_name, PATH_MAX);
			if (long_link[0])
				memcpy(entry->link, long_link, PATH_MAX);
			return true;
		}
		stream_expect(natural(number(header->size, sizeof header->size), INT64_MAX));
		size_t size = read_text(flag == 'x' ? pax : text);
		extended = extended || flag != 'g'; /* global ones are ignored, as in Go */
		if (flag == 'x')
			records_size = size;
		else if (flag != 'g')
			set_name(flag == 'L' ? long_name : long_link, text, strnlen(text, size));
	}
	if (extended)
		refuse("it is cut short");
	return false;
}
