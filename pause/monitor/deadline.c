#define _GNU_SOURCE
#include "monitor/deadline.h"
#include "common/clock.h"

#include <limits.h>

void deadline_set(struct deadline *deadline, uint64_t seconds)
{
	deadline->at_ms = monotonic_ms() + seconds * 1000;
}

int deadline_wait(const struct deadline *deadline, int most)
{
	if (!deadline->at_ms)
		return most;
	int64_t left = deadline->at_ms - monotonic_ms();
	left = left < 0 ? 0 : left > INT_MAX ? INT_MAX : left;
	return most >= 0 && most < left ? most : left;
}

bool deadline_strikes(struct deadline *deadline)
{
	if (!deadline->at_ms || monotonic_ms() < deadline->at_ms)
		return false;
	deadline->at_ms = 0;
	return deadline->passed = true;
}
