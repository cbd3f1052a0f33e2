#ifndef PYPOD_COMPANION_H
#define PYPOD_COMPANION_H

#include "plan.h"

/* Start what the `companion` record says for a process, by pidfd, whose network namespace is at hand as a descriptor,
 * and wait until it is ready. Returns 0, or -1 with errno; `call` gets the failing call's name. */
int companion_start(const struct record *record, int process, int network, const char **call);

#endif
