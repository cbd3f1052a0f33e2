#ifndef PYPOD_ROOT_SECRETS_H
#define PYPOD_ROOT_SECRETS_H

#include "common/plan.h"
#include "common/process.h"

/* Operation: copy a file of the host into the tmpfs that holds the container's secrets. */
void place_secret(struct process *process, const struct record *record);

#endif
