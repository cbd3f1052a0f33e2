#ifndef PYPOD_SUPERVISE_SCORE_H
#define PYPOD_SUPERVISE_SCORE_H

#include "supervise/supervised.h"

/* A process inherits the OOM score of its creator: we set ours while we create it. */

/* Open our own oom_score_adj for writing; -1 when the plan has no score. */
int open_score(const struct supervised *it);
/* Like clone_process, with the plan's score for the new process. */
pid_t clone_with_score(const struct supervised *it, uint64_t flags, int group);

#endif
