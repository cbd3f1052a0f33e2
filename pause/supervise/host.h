#ifndef PYPOD_SUPERVISE_HOST_H
#define PYPOD_SUPERVISE_HOST_H

#include "supervise/supervised.h"

/* Do what the plan wants of the host's network for the process, and let it go on; -1 with the failure. */
int connect_to_host(struct supervised *it, int socket, struct report *failure);

/* Send the messages of a plan that is about the host alone, and tell Python how it went. */
void supervise_nobody(struct supervised *it);

#endif
