#ifndef PYPOD_COMMON_CLONE_H
#define PYPOD_COMMON_CLONE_H

#include <stdint.h>
#include <sys/types.h>

/* clone3 without a new stack: like fork, with flags and a cgroup to start in (group < 0: none). */
pid_t clone_process(uint64_t flags, int group);

#endif
