#ifndef PYPOD_SUPERVISE_SCORE_H
#define PYPOD_SUPERVISE_SCORE_H

#include "supervise/supervised.h"

/* The score of the out-of-memory killer that a process begins with is its maker's: ours, while it is made. */

/* A descriptor to write ours to, or -1 when the plan has no score. */
int open_score(const struct supervised *it);
/* As clone_process, with the plan's score for the new process. */
pid_t clone_with_score(const struct supervised *it, uint64_t flags, int group);

#endif
