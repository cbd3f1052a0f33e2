#ifndef PYPOD_SUPERVISE_H
#define PYPOD_SUPERVISE_H

#include "hold.h"
#include "netlink.h"
#include "plan.h"
#include "report.h"

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

/* Close what was inherited, block signals, leave the caller for the cgroup that argv[1] names, if it does ("": for none
 * of its own), and read the plan. */
void supervise_begin(struct supervised *it, int argc, char **argv);

/* Make the process with `standard` as its 0, 1, 2 (-1: as they are), record it, tell Python how it went.
 * Does not return when it failed. */
void supervise_start(struct supervised *it, const int standard[3]);

/* Start the companion of the plan beside a process that runs, which the `join` record names, and tell Python.
 * Does not return when it failed. */
void supervise_companion(struct supervised *it, const struct record *process);

/* Send the messages of a plan that is about the host alone, and tell Python how it went. */
void supervise_nobody(struct supervised *it);

/* Tell Python that operation number `operation` failed in `call`, with errno, and exit. */
noreturn void die(uint32_t operation, const char *call);

/* The number of an operation of the plan. */
uint32_t position(const struct supervised *it, const struct record *record);

#endif
