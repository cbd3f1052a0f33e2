#ifndef PYPOD_SUPERVISE_COMPANION_H
#define PYPOD_SUPERVISE_COMPANION_H

#include "common/plan.h"

/* Start what a record (companion, mount_program) says for a process, by pidfd, that handed over a descriptor, and wait
 * until it is ready. Returns 0, or -1 with errno; `call` gets the failing call's name. */
int companion_start(const struct record *record, int process, int handed, const char **call);

#endif
