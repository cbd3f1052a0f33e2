#ifndef PYPOD_ROOT_NODES_H
#define PYPOD_ROOT_NODES_H

#include "common/plan.h"
#include "common/process.h"

/* Operations that create files in the new root. */
void make_directory(const struct process *process, const struct record *record);
void make_symlink(const struct process *process, const struct record *record);
void make_device(struct process *process, const struct record *record);

#endif
