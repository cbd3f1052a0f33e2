#ifndef PYPOD_PROCESS_PRIVILEGES_H
#define PYPOD_PROCESS_PRIVILEGES_H

#include "common/plan.h"
#include "common/process.h"

/* Operations on the privileges of the process. */
void own_ids(const struct process *process, const struct record *record);
void set_capabilities(const struct process *process, const struct record *record);
void filter_calls(const struct process *process, const struct record *record);

#endif
