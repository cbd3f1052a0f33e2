/* Reads randomly damaged archives.
 *
 * Any outcome is fine except a sanitizer's report, an endless loop, or data beyond the archive's. */
#define _GNU_SOURCE
#include "unpack/outcome.h"
#include "unpack/records.h"
#include "unpack/stream.h"
#include "unpack/tar.h"

#include "fuzz.h"

#include <setjmp.h>

static jmp_buf refused;
static unsigned long extension;

void refuse(const char *reason)
{
	(void)reason;
	longjmp(refused, 1);
}

void broken(const char *call)
{
	fuzz_wrong(call);
}

static void repair(unsigned char *header)
{
	unsigned sum = 8 * ' ';
	char text[8];

	for (int i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? 0 : header[i];
	snprintf(text, sizeof text, "%06o", sum);
	memcpy(header + 148, text, 8);
	header[155] = ' ';
}

static size_t damage(unsigned char *bytes, size_t size)
{
	static const unsigned char telling[] = { 0, ' ', '0', '7', '9', '\n', '=', '/', '.', ',', 0x7f, 0x80, 0xff, 'x', 'L', 'S' };

	for (size_t times = 1 + below(8); times > 0 && size > BLOCK; times--) {
		size_t at = below(size), from = below(size / BLOCK) * BLOCK, to = below(size / BLOCK) * BLOCK;
		switch (below(6)) {
		case 0:
			bytes[at] = below(256);
			break;
		case 1:
			bytes[at] = telling[below(sizeof telling)];
			break;
		case 2: /* a field of a header */
			memset(bytes + from + 100 + below(60), telling[below(sizeof telling)], 1 + below(12));
			break;
		case 3:
			memmove(bytes + to, bytes + from, size - (from > to ? from : to));
			break;
		case 4:
			size = at;
			break;
		default:
			bytes[from + 156] = "0123456xgLKS7V"[below(14)];
		}
	}
	for (size_t at = 0; at + BLOCK <= size; at += BLOCK)
		if (memcmp(bytes + at + 257, "ustar", 5) == 0 && below(16) > 0)
			repair(bytes + at);
	return size;
}

static void walk(struct tar_entry *entry)
{
	struct tar_record record;
	const char *bytes;
	size_t got;

	while (tar_next(entry)) {
		for (size_t at = 0; tar_record(entry, &at, &record);)
			extension += record.value_size > 0 ? record.value[record.value_size - 1] : 0;
		uint64_t sum = 0, data = 0;
		for (size_t i = 0; i < entry->extent_count; i++)
			sum += entry->extents[i].length;
		while ((got = stream_data(&bytes, below(3000) + 1)) > 0)
			data += got + 0 * bytes[got - 1];
		check(strlen(entry->path) < PATH_MAX && strlen(entry->link) < PATH_MAX && entry->mode <= 07777);
		check((entry->sparse ? sum : entry->size) == data);
	}
	stream_drain();
}

static bool try_input(const unsigned char *bytes, size_t size)
{
	static struct tar_entry entry;
	static int memory = -1;

	if (memory < 0)
		memory = memfd_create("tar", MFD_CLOEXEC);
	check(ftruncate(memory, 0) == 0 && pwrite(memory, bytes, size, 0) == (ssize_t)size && lseek(memory, 0, SEEK_SET) == 0);
	stream_open(memory);
	if (setjmp(refused) != 0)
		return false;
	walk(&entry);
	return true;
}
