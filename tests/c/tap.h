/* Test Anything Protocol: one line for each fact, a plan at the end. */
#ifndef PYPOD_TESTS_TAP_H
#define PYPOD_TESTS_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3))) static inline bool ok(bool condition, const char *name, ...)
{
	va_list arguments;

	va_start(arguments, name);
	printf("%sok %d - ", condition ? "" : "not ", ++tap_count);
	vprintf(name, arguments);
	putchar('\n');
	va_end(arguments);
	tap_failed += !condition;
	return condition;
}

static inline int done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

/* xorshift64: the same numbers in every run. */
static inline uint64_t random_number(void)
{
	static uint64_t state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

#endif
