#ifndef PYPOD_MONITOR_DEADLINE_H
#define PYPOD_MONITOR_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/* The end of the time that a container may run. */
struct deadline {
	int64_t at_ms; /* of the monotonic clock; 0: none */
	bool passed;
};

void deadline_set(struct deadline *deadline, uint64_t seconds);
/* Milliseconds to wait for events: `most` (-1: for ever), or less until the deadline. */
int deadline_wait(const struct deadline *deadline, int most);
/* Whether it has passed since the last call. */
bool deadline_strikes(struct deadline *deadline);

#endif
