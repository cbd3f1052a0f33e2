#ifndef PYPOD_PROCESS_NETWORK_H
#define PYPOD_PROCESS_NETWORK_H

#include "common/plan.h"
#include "common/process.h"

/* Operations in the network namespace of the process. */
void set_loopback_up(const struct process *process);
void send_messages(const struct process *process, const struct record *record);

#endif
