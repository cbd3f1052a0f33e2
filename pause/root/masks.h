#ifndef PYPOD_ROOT_MASKS_H
#define PYPOD_ROOT_MASKS_H

#include "common/plan.h"
#include "common/process.h"

/* Operations: hide a path, or make it read-only. They do nothing if it does not exist. */
void mask_path(struct process *process, const struct record *record);
void make_read_only(struct process *process, const struct record *record);

#endif
