#ifndef PYPOD_MONITOR_STREAMS_H
#define PYPOD_MONITOR_STREAMS_H

#include "common/plan.h"

enum { OUT, ERR, STREAMS };

/* Create the pipes, or leave it to the terminal: `streams` get our ends of the output, `input` that of the standard input,
 * `standard` the container's; -1 where there is none. Returns the call that failed, or NULL. */
const char *streams_open(const struct plan *plan, int streams[STREAMS], int *input, int standard[3]);

#endif
