#ifndef PYPOD_PROCESS_NAMESPACES_H
#define PYPOD_PROCESS_NAMESPACES_H

#include "common/plan.h"
#include "common/process.h"

/* Operations on the namespaces and the cgroup that the process is in. */
void clone_again(const struct process *process, const struct record *record);
void join_process(const struct process *process, const struct record *record);
void join_path(const struct process *process, const struct record *record);
void expect_namespace(const struct process *process, const struct record *record);
void join_group(const struct process *process, const struct record *record);

#endif
