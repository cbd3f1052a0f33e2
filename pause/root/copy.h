#ifndef PYPOD_ROOT_COPY_H
#define PYPOD_ROOT_COPY_H

#include "common/process.h"

#include <stdbool.h>

/* Copy the content of the directory `from` into the empty directory `to`. */
void copy_content(const struct process *process, int from, int to);
/* Give a file or directory to a user and group, with everything in it if `recursive`. Links are not followed. */
void give(const struct process *process, int fd, uid_t uid, gid_t gid, bool recursive);
void copy_owner_and_mode(const struct process *process, int from, int to);

#endif
