#ifndef PYPOD_COMPANION_H
#define PYPOD_COMPANION_H

#include "plan.h"

#include <sys/types.h>

/* Start what a record (companion, mount_program) says for a process that handed over the descriptor `handed`, which the
 * program finds as `number`, and wait until it is ready. Returns 0, or -1 with errno; `call` gets the failing call's
 * name. */
int companion_start(const struct record *record, pid_t process, int handed, int number, const char **call);

#endif
