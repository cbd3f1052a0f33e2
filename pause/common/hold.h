#ifndef PYPOD_COMMON_HOLD_H
#define PYPOD_COMMON_HOLD_H

#include "common/plan.h"

#include <stdbool.h>
#include <sys/resource.h>

/* Ports of the host: each is a bound socket, so that no other process can take it, and nothing listens on it. The
 * firewall forwards what arrives at the port before it gets here. */
struct held {
	int *sockets;
	uint32_t count;
	struct rlimit files; /* RLIMIT_NOFILE before it was raised; 0, 0: not raised */
};

/* Take every port of the plan. Returns -1, or the record that failed, with errno and the name of the call. */
int hold_ports(struct held *held, const struct plan *plan, const char **call);
void hold_release(struct held *held);
/* For a process that does not inherit them: close them, and restore the limits that its supervisor was given. */
void hold_forgo(struct held *held);
/* For a process that does: keep them open across exec. */
void hold_across_exec(const struct held *held);
/* Whether the plan's process inherits them: only our own infra does, from which nothing can take them. */
bool hold_is_handed_on(const struct plan *plan);

#endif
