#define _GNU_SOURCE
#include "monitor/log.h"
#include "common/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

int log_open(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

uint64_t log_size(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

enum { LINES_AT_ONCE = 64 };

struct batch {
	struct iovec parts[3 * LINES_AT_ONCE + 1];
	int count;
};

/* Returns false when the disk is full: the last line in the file may then be cut. */
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
	char full[112], partial[112], stamp[96];
	struct batch batch = { .count = 0 };
	struct timespec now;
	struct tm utc;

	if (fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	/* strftime(3) would link 8 kB of time zones and locales */
	snprintf(stamp, sizeof stamp, "%04d-%02d-%02dT%02d:%02d:%02d.%09ld+00:00", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
		 utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec);
	int head = snprintf(full, sizeof full, "%s %s F ", stamp, stream);
	snprintf(partial, sizeof partial, "%s %s P ", stamp, stream);
	if (cut) /* the new output must not look like the rest of that line */
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
