#ifndef PYPOD_COMMON_HOOKS_H
#define PYPOD_COMMON_HOOKS_H

#include "common/plan.h"

#include <stdint.h>
#include <sys/types.h>

/* Run the plan's hooks of a stage, one after the other; `pid` is the container's, as they see it. Returns 0; or -1 with
 * the hook that failed, in `at`, and `call`: "exit N", "signal N", or the call that failed with errno. */
int run_hooks(const struct plan *plan, const char *stage, pid_t pid, uint32_t *at, char call[36]);
/* The same for those stages that a supervisor runs while its process waits: prestart, then createRuntime. */
int run_host_hooks(const struct plan *plan, pid_t pid, uint32_t *at, char call[36]);
/* Whether the plan has hooks of a stage. */
int has_hooks(const struct plan *plan, const char *stage);

#endif
