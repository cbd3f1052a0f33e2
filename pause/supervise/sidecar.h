#ifndef PYPOD_SUPERVISE_SIDECAR_H
#define PYPOD_SUPERVISE_SIDECAR_H

#include "common/plan.h"

/* Start the program of a record (sidecar, mount_program) for the process of a pidfd, with the descriptor that the
 * process handed over, and wait until it is ready. Returns 0, or -1 with errno; `call` gets the failing call's name. */
int sidecar_start(const struct record *record, int process, int handed, const char **call);

#endif
