#define _GNU_SOURCE
#include "unpack/stream.h"
#include "unpack/outcome.h"

#include <string.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

static int input;
static char buffer[BUFFER];
static size_t start, end; /* the unread part of the buffer */
static uint64_t left, padding; /* unread data of the entry, and zeros after them */

void stream_open(int fd)
{
	input = fd;
	start = end = left = padding = 0;
}

/* Read until at least `size` bytes are in the buffer; false when the file ends before that. */
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

const void *stream_block(void)
{
	if (!have(BLOCK)) {
		if (end != start)
			refuse("it is cut short");
		return NULL;
	}
	start += BLOCK;
	return buffer + start - BLOCK;
}

size_t stream_data(const char **bytes, size_t most)
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

void stream_skip(void)
{
	const char *unused;

	while (stream_data(&unused, SIZE_MAX) > 0)
		;
	left = padding;
	padding = 0;
	while (stream_data(&unused, SIZE_MAX) > 0)
		;
}

void stream_drain(void)
{
	do
		start = end;
	while (have(1));
}

void stream_expect(uint64_t size)
{
	left = size;
	padding = -size % BLOCK;
}

uint64_t stream_left(void)
{
	return left;
}
