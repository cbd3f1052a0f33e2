#ifndef PYPOD_ROOT_ROOT_H
#define PYPOD_ROOT_ROOT_H

#include "common/plan.h"
#include "common/process.h"

/* Operations on the new root and on the mounts around it. */
void set_base(const struct process *process, const struct record *record);
void set_propagation(const struct process *process, const struct record *record);
void mount_root(struct process *process, const struct record *record);
void mount_fuse_root(struct process *process, const struct record *record);
void hold_root(struct process *process);
void place_root(struct process *process);
void pivot(struct process *process);
void make_root_read_only(const struct process *process);

#endif
