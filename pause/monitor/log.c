#define _GNU_SOURCE
#include "monitor/log.h"
#include "common/retry.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

enum { LINES_AT_ONCE = 64 };

struct batch {
	struct iovec parts[3 * LINES_AT_ONCE + 1];
	int count;
};

/* Returns false when the disk was full: then the last line in the file may be cut. */
static bool flush(int fd, struct batch *batch)
{
	struct iovec *part = batch->parts;

	while (batch->count > 0) {
		ssize_t written = RETRY(writev(fd, part, batch->count));
		if (written <= 0)
			break;
		for (; batch->count > 0 && (size_t)written >= part->iov_len; part++, batch->count--)
			written -= part->iov_len;
		if (batch->count > 0) {
			part->iov_base = (char *)part->iov_base + written;
			part->iov_len -= written;
		}
	}
	bool whole = batch->count == 0;
	batch->count = 0;
	return whole;
}

static void add(struct batch *batch, const void *bytes, size_t length)
{
	batch->parts[batch->count++] = (struct iovec){ (void *)bytes, length };
}

void log_write(int fd, const char *stream, const char *bytes, size_t length)
{
	static bool cut;
	char full[64], partial[64], stamp[32];
	struct batch batch = { .count = 0 };
	struct timespec now;
	struct tm utc;

	if (fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
	int head = snprintf(full, sizeof full, "%s.%09ld+00:00 %s F ", stamp, now.tv_nsec, stream);
	snprintf(partial, sizeof partial, "%s.%09ld+00:00 %s P ", stamp, now.tv_nsec, stream);
	if (cut) /* what comes must not look like the rest of that line */
		add(&batch, "\n", 1);
	cut = false;
	while (length > 0 && !cut) {
		const char *newline = memchr(bytes, '\n', length);
		size_t line = newline ? (size_t)(newline - bytes) + 1 : length;
		add(&batch, newline ? full : partial, head);
		add(&batch, bytes, line);
		if (!newline)
			add(&batch, "\n", 1);
		bytes += line;
		length -= line;
		if (batch.count > 3 * (LINES_AT_ONCE - 1))
			cut = !flush(fd, &batch);
	}
	cut = cut || !flush(fd, &batch);
}
