#ifndef PYPOD_MONITOR_LOG_H
#define PYPOD_MONITOR_LOG_H

#include <stddef.h>

/* Append output of `stream` ("stdout", "stderr") in the k8s-file format: TIME STREAM F|P TEXT. P marks a piece without
 * its newline, so that a reader can restore exactly the same bytes. On a full disk the piece is lost. */
void log_write(int fd, const char *stream, const char *bytes, size_t length);

#endif
