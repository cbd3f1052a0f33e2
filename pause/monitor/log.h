#ifndef PYPOD_MONITOR_LOG_H
#define PYPOD_MONITOR_LOG_H

#include <stddef.h>
#include <stdint.h>

/* Open a log to append to it. Returns -1 with errno. */
int log_open(const char *path);

/* The size of a log, 0 without one (-1). */
uint64_t log_size(int fd);

/* Append output of `stream` ("stdout", "stderr") in the k8s-file format: TIME STREAM F|P TEXT. P marks a piece without
 * its newline, so that a reader can restore exactly the same bytes. On a full disk the piece is lost. */
void log_write(int fd, const char *stream, const char *bytes, size_t length);

#endif
