#ifndef PYPOD_COMMON_CLOCK_H
#define PYPOD_COMMON_CLOCK_H

#include <stdint.h>

/* Milliseconds of the monotonic clock, which nobody sets. */
int64_t monotonic_ms(void);

#endif
