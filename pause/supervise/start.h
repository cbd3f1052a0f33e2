#ifndef PYPOD_SUPERVISE_START_H
#define PYPOD_SUPERVISE_START_H

#include "supervise/supervised.h"

/* Create the process with `standard` as its 0, 1, 2 (-1: unchanged), record it, and report the outcome to Python.
 * Does not return on failure. */
void supervise_start(struct supervised *it, const int standard[3]);

/* Start the plan's sidecar beside a running process, which the `join` record names, and report to Python.
 * Does not return on failure. */
void supervise_sidecar(struct supervised *it, const struct record *process);

#endif
