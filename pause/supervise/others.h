#ifndef PYPOD_SUPERVISE_OTHERS_H
#define PYPOD_SUPERVISE_OTHERS_H

#include "common/process.h"
#include "supervise/supervised.h"

/* Open the processes whose namespaces the plan joins, and join a pid namespace: setns for that affects only children.
 * Does not return on failure. */
void open_others(const struct supervised *it, struct other others[OTHERS]);
void close_others(const struct other others[OTHERS]);

#endif
