#ifndef PYPOD_UNPACK_NUMBERS_H
#define PYPOD_UNPACK_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Numbers in tar archives. Malformed ones end in refuse(). */

/* A header field: octal digits between spaces and NULs, or, for larger values, a big-endian number with the top bit set
 * (GNU and star; two's complement without that bit). */
int64_t number(const char *field, size_t size);
/* The same number if it is between 0 and `limit`. */
uint64_t natural(int64_t value, int64_t limit);
/* Digits of a pax record. */
uint64_t decimal(const char *digits, size_t size);
/* Seconds of a pax record, optionally with a sign and a fraction; the fraction of a negative time counts downwards. */
struct timespec timestamp(const char *value, size_t size);

#endif
