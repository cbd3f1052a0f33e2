#ifndef PYPOD_SUPERVISE_HOST_H
#define PYPOD_SUPERVISE_HOST_H

#include "supervise/supervised.h"

/* Send the plan's messages for the host's network and let the process continue; -1 with the failure. */
int connect_to_host(struct supervised *it, int socket, struct report *failure);

/* Send the messages of a plan that concerns only the host, and report the outcome to Python. */
void supervise_nobody(struct supervised *it);

#endif
