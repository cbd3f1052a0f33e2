#ifndef PYPOD_ROOT_OWNERS_H
#define PYPOD_ROOT_OWNERS_H

#include "common/plan.h"
#include "common/process.h"

/* Operation: what ids own on the disk is owned by those of a user namespace with the maps of the record. */
void map_tree(const struct process *process, const struct record *record);

#endif
