#define _GNU_SOURCE
#include "tar.h"
#include "numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BLOCK = 512,
	BUFFER = 1 << 20,
	HEADER_LIMIT = 1 << 20, /* of a pax header or a long name; Go's */
	EXTENTS_LIMIT = 1 << 20,
	OLD_GNU_EXTENTS = 4,
	OLD_GNU_MORE_EXTENTS = 21,
};

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[8]; /* POSIX: "ustar\0" "00"; GNU: "ustar  \0" */
	char user[32], group[32], major[8], minor[8];
	union {
		char prefix[155];
		struct {
			char prefix[131], atime[12], ctime[12];
		} star;
		struct {
			char atime[12], ctime[12], offset[12], long_names[4], unused, extents[OLD_GNU_EXTENTS][24], more, size[12];
		} gnu;
	};
	char padding[8];
	char star_magic[4];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static int input;
static char buffer[BUFFER];
static size_t start, end; /* what of the buffer is not used yet */
static uint64_t left, padding; /* data of the entry that are not read yet, and zeros after them */
static char pax[HEADER_LIMIT], text[HEADER_LIMIT + 1];
static size_t extent_room;

void tar_open(int fd)
{
	input = fd;
}

/* Have at least `size` bytes in the buffer; false when the file ends before. */
static bool have(size_t size)
{
	if (end - start >= size)
		return true;
	memmove(buffer, buffer + start, end - start);
	end -= start;
	start = 0;
	while (end < size) {
		ssize_t got = read(input, buffer + end, BUFFER - end);
		if (got < 0)
			broken("read");
		if (got == 0)
			return false;
		end += got;
	}
	return true;
}

static const void *block(void)
{
	if (!have(BLOCK)) {
		if (end != start)
			refuse("it is cut short");
		return NULL;
	}
	start += BLOCK;
	return buffer + start - BLOCK;
}

size_t tar_data(const char **bytes, size_t most)
{
	if (most > left)
		most = left;
	if (most == 0)
		return 0;
	if (!have(1))
		refuse("it is cut short");
	if (most > end - start)
		most = end - start;
	*bytes = buffer + start;
	start += most;
	left -= most;
	return most;
}

static void skip_data(void)
{
	const char *unused;

	while (tar_data(&unused, SIZE_MAX) > 0)
		;
	left = padding;
	padding = 0;
	while (tar_data(&unused, SIZE_MAX) > 0)
		;
}

void tar_drain(void)
{
	do
		start = end;
	while (have(1));
}

static void expect_data(uint64_t size)
{
	left = size;
	padding = -size % BLOCK;
}

/* All data of an extension header. */
static size_t read_text(char *into)
{
	size_t size = 0, got;
	const char *bytes;

	if (left > HEADER_LIMIT)
		refuse("a header is larger than 1 MiB");
	while ((got = tar_data(&bytes, SIZE_MAX)) > 0) {
		memcpy(into + size, bytes, got);
		size += got;
	}
	skip_data();
	return size;
}

static const int64_t LARGEST_ID = UINT32_MAX - 1; /* the next one means "leave it" to chown(2) */

static void set_text(char target[PATH_MAX], const char *value, size_t size)
{
	if (size >= PATH_MAX)
		refuse("a name is too long");
	if (memchr(value, '\0', size))
		refuse("a name has a NUL in it");
	memcpy(target, value, size);
	target[size] = '\0';
}

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

bool tar_record(const struct tar_entry *entry, size_t *at, struct tar_record *record)
{
	const char *line = entry->records + *at, *digits = line, *limit = entry->records + entry->records_size;
	size_t size = 0;

	if (line == limit)
		return false;
	for (; digits < limit && digits - line < 8 && *digits >= '0' && *digits <= '9'; digits++)
		size = size * 10 + (*digits - '0');
	if (digits == line || digits == limit || *digits != ' ' || size > (size_t)(limit - line) ||
	    line + size < digits + 3 || line[size - 1] != '\n')
		refuse("its pax header is malformed");
	record->key = digits + 1;
	record->value = memchr(record->key, '=', line + size - 1 - record->key);
	if (!record->value || record->value == record->key)
		refuse("its pax header is malformed");
	record->key_size = record->value++ - record->key;
	record->value_size = line + size - 1 - record->value;
	*at += size;
	return true;
}

/* What GNU tar writes into pax headers of sparse files: its manual, "Storing Sparse Files". */
struct gnu_sparse {
	int major, minor; /* -1: not given */
	bool has_map;
	uint64_t offset;
	struct tar_record name, size, real_size;
};

static bool is(const struct tar_record *record, const char *key)
{
	return record->key_size == strlen(key) && memcmp(record->key, key, record->key_size) == 0;
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

static void apply_sparse_record(struct tar_entry *entry, struct gnu_sparse *sparse, const struct tar_record *record)
{
	if (is(record, "GNU.sparse.major"))
		sparse->major = decimal(record->value, record->value_size);
	else if (is(record, "GNU.sparse.minor"))
		sparse->minor = decimal(record->value, record->value_size);
	else if (is(record, "GNU.sparse.name"))
		sparse->name = *record;
	else if (is(record, "GNU.sparse.size"))
		sparse->size = *record;
	else if (is(record, "GNU.sparse.realsize"))
		sparse->real_size = *record;
	else if (is(record, "GNU.sparse.offset"))
		sparse->offset = decimal(record->value, record->value_size);
	else if (is(record, "GNU.sparse.numbytes")) {
		add_extent(entry, sparse->offset, decimal(record->value, record->value_size));
		sparse->has_map = true;
	} else if (is(record, "GNU.sparse.map")) {
		read_map(entry, record);
		sparse->has_map = true;
	}
}

/* Later records win over earlier ones; an empty value leaves what the header says. */
static void apply_records(struct tar_entry *entry, uint64_t *stored, struct gnu_sparse *sparse)
{
	struct tar_record record;

	for (size_t at = 0; tar_record(entry, &at, &record);) {
		if (record.value_size == 0)
			continue;
		if (is(&record, "path"))
			set_text(entry->path, record.value, record.value_size);
		else if (is(&record, "linkpath"))
			set_text(entry->link, record.value, record.value_size);
		else if (is(&record, "size"))
			*stored = decimal(record.value, record.value_size);
		else if (is(&record, "uid"))
			entry->uid = natural(decimal(record.value, record.value_size), LARGEST_ID);
		else if (is(&record, "gid"))
			entry->gid = natural(decimal(record.value, record.value_size), LARGEST_ID);
		else if (is(&record, "mtime"))
			entry->mtime = timestamp(record.value, record.value_size);
		else if (record.key_size > 11 && memcmp(record.key, "GNU.sparse.", 11) == 0)
			apply_sparse_record(entry, sparse, &record);
	}
}

/* A decimal number on a line of its own, out of the data of the entry. */
static uint64_t number_line(void)
{
	char digits[24];
	const char *byte;

	for (size_t size = 0; size < sizeof digits; size++) {
		if (tar_data(&byte, 1) == 0)
			refuse("the map of a sparse file is cut short");
		if (*byte == '\n')
			return decimal(digits, size);
		digits[size] = *byte;
	}
	refuse("the map of a sparse file is malformed");
}

/* Version 1.0: the map stands before the data, padded to whole blocks. */
static void read_map_lines(struct tar_entry *entry, uint64_t stored)
{
	const char *unused;

	entry->extent_count = 0;
	for (uint64_t count = number_line(); count > 0; count--) {
		uint64_t offset = number_line();
		add_extent(entry, offset, number_line());
	}
	for (size_t rest = (BLOCK - (stored - left) % BLOCK) % BLOCK, got; rest > 0; rest -= got)
		if ((got = tar_data(&unused, rest)) == 0)
			refuse("the map of a sparse file is cut short");
}

static bool add_old_extent(struct tar_entry *entry, const char pair[24])
{
	if (pair[0] == '\0')
		return false;
	add_extent(entry, natural(number(pair, 12), INT64_MAX), natural(number(pair + 12, 12), INT64_MAX));
	return true;
}

/* GNU's own type 'S': the map in the header and in blocks between that and the data. */
static void read_old_map(struct tar_entry *entry, const struct header *header)
{
	bool more = header->gnu.more;

	if (memcmp(header->magic, "ustar  ", 8) != 0)
		refuse("a sparse file is in no format of GNU tar");
	entry->sparse = true;
	entry->size = natural(number(header->gnu.size, 12), INT64_MAX);
	for (int i = 0; i < OLD_GNU_EXTENTS && add_old_extent(entry, header->gnu.extents[i]); i++)
		;
	while (more) {
		const char *next = block();
		if (!next)
			refuse("it is cut short");
		for (int i = 0; i < OLD_GNU_MORE_EXTENTS && add_old_extent(entry, next + 24 * i); i++)
			;
		more = next[24 * OLD_GNU_MORE_EXTENTS];
	}
}

static void apply_sparse(struct tar_entry *entry, const struct gnu_sparse *sparse, uint64_t stored)
{
	bool map_in_data = sparse->major == 1 && sparse->minor == 0;
	bool map_in_header = sparse->has_map && sparse->major <= 0 && sparse->minor <= 1;
	const struct tar_record *size = sparse->size.value ? &sparse->size : &sparse->real_size;

	if (!map_in_data && !map_in_header)
		return;
	entry->sparse = true;
	if (sparse->name.value)
		set_text(entry->path, sparse->name.value, sparse->name.value_size);
	if (size->value)
		entry->size = decimal(size->value, size->value_size);
	if (map_in_data)
		read_map_lines(entry, stored);
}

static void check_extents(const struct tar_entry *entry)
{
	uint64_t at = 0, sum = 0;

	for (size_t i = 0; i < entry->extent_count; i++) {
		const struct tar_extent *extent = &entry->extents[i];
		if (extent->offset < at || extent->offset > entry->size || extent->length > entry->size - extent->offset)
			refuse("the map of a sparse file contradicts itself");
		at = extent->offset + extent->length;
		sum += extent->length;
	}
	if (sum != left)
		refuse("the map of a sparse file contradicts its size");
}

static void check_checksum(const struct header *header)
{
	const unsigned char *byte = (const unsigned char *)header;
	size_t first = offsetof(struct header, checksum), last = first + sizeof header->checksum;
	int64_t sum = 0, signed_sum = 0, stated = number(header->checksum, sizeof header->checksum);

	for (size_t i = 0; i < BLOCK; i++) {
		unsigned char value = i >= first && i < last ? ' ' : byte[i];
		sum += value;
		signed_sum += (signed char)value; /* some ancient ones added chars that were signed */
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
	case '\0': /* v7 knew directories by the slash at the end */
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

/* The header of an entry proper, with what its extension headers said. */
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
		stored = 0; /* whatever the header says: hard links come with the size of their file */
	entry->size = stored;
	if (header->type == 'S')
		read_old_map(entry, header);
	expect_data(stored);
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
	skip_data();
	while ((header = block())) {
		if (is_zero((const char *)header)) {
			/* Two of them are the end. Some writers leave out one or both, and Go takes the end of the file then. */
			const char *second = block();
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
		expect_data(natural(number(header->size, sizeof header->size), INT64_MAX));
		size_t size = read_text(flag == 'x' ? pax : text);
		extended = extended || flag != 'g'; /* global ones change nothing, as in Go */
		if (flag == 'x')
			records_size = size;
		else if (flag != 'g')
			set_text(flag == 'L' ? long_name : long_link, text, strnlen(text, size));
	}
	if (extended)
		refuse("it is cut short");
	return false;
}
