#ifndef PYPOD_UNPACK_STREAM_H
#define PYPOD_UNPACK_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An archive as a stream: blocks of headers, and data padded to whole blocks. */
enum { BLOCK = 512 };

/* Read from this descriptor. */
void stream_open(int fd);
/* The next block, or NULL at the end of the file; valid until the next call. */
const void *stream_block(void);
/* The next `size` bytes are data. */
void stream_expect(uint64_t size);
/* How many of those are unread. */
uint64_t stream_left(void);
/* Up to `most` bytes of the data; 0 when there are no more. They are valid until the next call. */
size_t stream_data(const char **bytes, size_t most);
/* Skip the rest of the data, and the padding after it. */
void stream_skip(void);
/* Read to the end of the file, so that a writer to a pipe is not cut off. */
void stream_drain(void);

#endif
