#ifndef PYPOD_COMMON_HOLD_H
#define PYPOD_COMMON_HOLD_H

#include "common/plan.h"

#include <stdbool.h>
#include <sys/resource.h>

/* Ports of the host: each a socket that is bound, so that nobody else can have it, and that nobody listens on. What
 * arrives for the port is led on by the firewall before it could get here. */
struct held {
	int *sockets;
	uint32_t count;
	struct rlimit files; /* how many open files were allowed before; 0, 0: as now */
};

/* Take every port of the plan. Returns -1, or the record that failed, with errno and the name of the call. */
int hold_ports(struct held *held, const struct plan *plan, const char **call);
void hold_release(struct held *held);
/* For a process that does not take them on: without them, and with the limits that its supervisor was given. */
void hold_forgo(struct held *held);
/* For one that does: they stay open across exec. */
void hold_across_exec(const struct held *held);
/* Whether the process of the plan takes them on: our own infra, from which nobody can take them. */
bool hold_is_handed_on(const struct plan *plan);

#endif
