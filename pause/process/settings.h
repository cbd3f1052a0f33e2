#ifndef PYPOD_PROCESS_SETTINGS_H
#define PYPOD_PROCESS_SETTINGS_H

#include "common/plan.h"
#include "common/process.h"

/* Operations on kernel settings of the process or its namespaces. */
void set_sysctl(const struct process *process, const struct record *record);
void set_resource_limit(const struct process *process, const struct record *record);

#endif
