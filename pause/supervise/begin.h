#ifndef PYPOD_SUPERVISE_BEGIN_H
#define PYPOD_SUPERVISE_BEGIN_H

#include "supervise/supervised.h"

/* Close inherited descriptors, block signals, detach from the caller into the cgroup that argv[1] names, if given ("":
 * stay in the caller's), and read the plan. */
void supervise_begin(struct supervised *it, int argc, char **argv);

#endif
