#ifndef PYPOD_SUPERVISE_RESTART_H
#define PYPOD_SUPERVISE_RESTART_H

#include "supervise/supervised.h"

#include <stdbool.h>
#include <stdint.h>

/* What the plan says about restarts, to outlive it. */
struct restart {
	unsigned policy;  /* 0: never; otherwise as in ops.h */
	unsigned most;    /* 0: any number of restarts */
	char *directory;  /* of the container */
	int64_t began_ms; /* of the monotonic clock */
};

/* Take it from the plan. Returns -1 with errno. */
int restart_prepare(struct restart *restart, const struct supervised *it);

/* The process runs. */
void restart_begin(struct restart *restart);

/* Whether the process, which ended with this status, is to be started again: by the plan, or by what `update` has written
 * since. */
bool restart_is_wanted(struct restart *restart, const struct supervised *it, int status);

/* Execute ourselves to start the process again, unless somebody has stopped, started or removed the container meanwhile:
 * then this returns. */
void restart_now(const struct restart *restart, const struct supervised *it, const char *name);

#endif
