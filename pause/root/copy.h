#ifndef PYPOD_ROOT_COPY_H
#define PYPOD_ROOT_COPY_H

#include "common/process.h"

/* Copy the content of the directory `from` into the empty directory `to`. */
void copy_content(const struct process *process, int from, int to);
void copy_owner_and_mode(const struct process *process, int from, int to);

#endif
