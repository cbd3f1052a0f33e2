#ifndef PYPOD_UNPACK_NUMBERS_H
#define PYPOD_UNPACK_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Numbers as tar archives have them. What is none ends in refuse(). */

/* A field of a header: octal digits between spaces and NULs, or, where those had too little room, a big-endian number with
 * the top bit set (GNU and star; two's complement without that bit). */
int64_t number(const char *field, size_t size);
/* The same number if it is from 0 to `limit`. */
uint64_t natural(int64_t value, int64_t limit);
/* Digits of a pax record. */
uint64_t decimal(const char *digits, size_t size);
/* Seconds of a pax record, with a fraction and a sign perhaps; the fraction of a negative time counts downwards. */
struct timespec timestamp(const char *value, size_t size);

#endif
