#ifndef PYPOD_SUPERVISE_START_H
#define PYPOD_SUPERVISE_START_H

#include "supervise/supervised.h"

/* Make the process with `standard` as its 0, 1, 2 (-1: as they are), record it, tell Python how it went.
 * Does not return when it failed. */
void supervise_start(struct supervised *it, const int standard[3]);

/* Start the companion of the plan beside a process that runs, which the `join` record names, and tell Python.
 * Does not return when it failed. */
void supervise_companion(struct supervised *it, const struct record *process);

#endif
