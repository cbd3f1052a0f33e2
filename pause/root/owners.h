#ifndef PYPOD_ROOT_OWNERS_H
#define PYPOD_ROOT_OWNERS_H

#include "common/plan.h"
#include "common/process.h"

/* Operation: map the owners on disk to those of a user namespace with the maps of the record. */
void map_tree(const struct process *process, const struct record *record);

#endif
