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

/* A supervised process, and the supervisor's state. */
struct supervised {
	struct plan plan;
	pid_t pid;
	uint64_t start_time;
	int status_file;  /* -1: none */
	int pid_files[2]; /* of the process and of ourselves; -1: none */
	int terminal;     /* master of its terminal, or -1 */
	int waiting;      /* socket to an initialized process, which waits for its start, or -1 */
	int owner;        /* pidfd of the process it must not outlive, or -1 */
	int score;        /* our own oom_score_adj, to create the process with the plan's, or -1 */
	int lock;         /* the caller's, held until the start is recorded even if the caller is gone; or -1 */
	int *descriptors; /* the caller's, for the process; closed here once that has them */
	uint32_t descriptor_count;
	bool leave;
	bool mapped;      /* the process of the last clone needs id maps */
	unsigned restarts; /* how often this process was started again by its monitor */
	bool oom_killed;  /* there was an OOM kill in its cgroup */
	struct netlink end; /* to send when it has ended */
	struct held held;   /* ports of the host */
	char *event[4];   /* copies of the arguments of `event`, to outlive the plan; NULL: none */
};

/* Report to Python that operation number `operation` failed in `call`, with errno, and exit. */
noreturn void die(uint32_t operation, const char *call);

/* The index of a record in the plan. */
uint32_t position(const struct supervised *it, const struct record *record);

/* Tell the process that its maps are written, or that it is recorded, and that it may continue. False on failure: it
 * has ended, or is about to. */
bool allow_start(int socket);

#endif
