#ifndef PYPOD_SUPERVISE_SUPERVISED_H
#define PYPOD_SUPERVISE_SUPERVISED_H

#include "common/hold.h"
#include "common/netlink.h"
#include "common/plan.h"
#include "common/report.h"

#include <stdbool.h>
#include <stdnoreturn.h>
#include <sys/types.h>

enum { PLAN_FD = 3, REPORT_FD = 4 }; /* where Python puts them */

/* A process being watched over, and what is needed for it. */
struct supervised {
	struct plan plan;
	pid_t pid;
	uint64_t start_time;
	int status_file;  /* -1: none */
	int terminal;     /* master of its terminal, or -1 */
	int owner;        /* pidfd of the process it must not outlive, or -1 */
	int score;        /* our own oom_score_adj, or -1: the process is made with that of the plan */
	int lock;         /* the caller's, until the start is recorded: the caller may be gone before; or -1 */
	bool leave;
	bool mapped;      /* the process of the last clone still needs its maps */
	bool oom_killed;  /* the kernel killed in its cgroup for want of memory */
	struct netlink end; /* what to send when it has ended */
	struct held held;   /* ports of the host */
	char *event[4];   /* the arguments of `event`, which outlive the plan; NULL: none */
};

/* Tell Python that operation number `operation` failed in `call`, with errno, and exit. */
noreturn void die(uint32_t operation, const char *call);

/* The number of an operation of the plan. */
uint32_t position(const struct supervised *it, const struct record *record);

/* Tell the process that it has its maps, or is recorded, and may go on. False when it cannot be told: it has gone, or ends
 * now. */
bool let_go_on(int socket);

#endif
