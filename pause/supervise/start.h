#ifndef PYPOD_SUPERVISE_START_H
#define PYPOD_SUPERVISE_START_H

#include "supervise/supervised.h"

/* What the supervisor does while the process prepares itself, and before anything says that the process runs. Returns
 * NULL; or the call that failed, with errno, and the record that asked for it. */
typedef const char *meanwhile(struct supervised *it, const struct record **record);

/* Create the process with `standard` as its 0, 1, 2 (-1: unchanged), record it, and report the outcome to Python: it
 * runs, or it is `waiting`. `work` may be NULL. Does not return on failure. */
void supervise_start(struct supervised *it, const int standard[3], meanwhile *work);

/* Let an initialized process run, and report the outcome to the caller at the other end of this socket, which is closed
 * here; return whether the caller sees to the end itself. Does not return on failure. */
bool supervise_release(struct supervised *it, int caller);

/* Start the plan's sidecar beside a running process, which the `join` record names, and report to Python.
 * Does not return on failure. */
void supervise_sidecar(struct supervised *it, const struct record *process);

#endif
