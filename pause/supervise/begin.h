#ifndef PYPOD_SUPERVISE_BEGIN_H
#define PYPOD_SUPERVISE_BEGIN_H

#include "supervise/supervised.h"

/* Close what was inherited, block signals, leave the caller for the cgroup that argv[1] names, if it does ("": for none
 * of its own), and read the plan. */
void supervise_begin(struct supervised *it, int argc, char **argv);

#endif
