#ifndef PYPOD_PROCESS_USER_H
#define PYPOD_PROCESS_USER_H

#include "common/plan.h"
#include "common/process.h"

/* Operation: look up a user, set the supplementary groups, store uid, gid and home. */
/* Operation: give a tree in a slot to a user of the container. */
void give_to_user(struct process *process, const struct record *record);
void find_process_user(struct process *process, const struct record *record);
/* Operation: add entries for ids that the root's passwd and group files lack. */
void add_account(struct process *process, const struct record *record);
/* Operation: add lines to the root's passwd or group file, for names that it lacks. */
void add_entries(struct process *process, const struct record *record);

#endif
