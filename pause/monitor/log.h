#ifndef PYPOD_MONITOR_LOG_H
#define PYPOD_MONITOR_LOG_H

#include <stddef.h>

/* Append what was read from `stream` ("stdout", "stderr") in the k8s-file format: TIME STREAM F|P TEXT. P marks a piece
 * without its newline, so that a reader can put the very same bytes together again. A full disk loses the piece. */
void log_write(int fd, const char *stream, const char *bytes, size_t length);

#endif
