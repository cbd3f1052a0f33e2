#ifndef PYPOD_PROCESS_USER_H
#define PYPOD_PROCESS_USER_H

#include "common/plan.h"
#include "common/process.h"

/* Operation: look a user up, set the supplementary groups, remember uid, gid and home. */
void find_process_user(struct process *process, const struct record *record);
/* Operation: give ids that the root's passwd and group files do not know an entry there. */
void add_account(struct process *process, const struct record *record);

#endif
