#ifndef PYPOD_COMMON_PROCESS_H
#define PYPOD_COMMON_PROCESS_H

#include "common/hold.h"
#include "common/plan.h"
#include "common/report.h"

#include <stdbool.h>
#include <stdnoreturn.h>
#include <sys/types.h>

struct place; /* root/places.h */

#define OTHERS 16

/* A process whose namespaces the plan joins. Opened before the clone: in a pid namespace of its own the new process
 * has no number for it. */
struct other {
	uint64_t pid;
	int fd;
};

/* The process that a plan turns into a container's first process. */
struct process {
	const struct plan *plan;
	uint32_t at;          /* the record being performed */
	int report;           /* socket to the supervisor */
	int root;             /* the new root until it is /, or -1 */
	int root_held;        /* the same between two mount namespaces */
	int fuse;             /* of a root that nobody serves yet */
	int *slots;           /* mounts by descriptor, waiting for their place; as many as the plan has records */
	struct place *places; /* in the order in which they were made */
	uint32_t place_count;
	int empty;            /* the tmpfs that masks directories, or -1 */
	int program;          /* what execute_file will run */
	struct other others[OTHERS];
	int owner;            /* pidfd handed on to the infra, or -1 */
	const struct held *held; /* ports handed on to the infra */
	bool keep_groups;     /* as keep_groups says */
	uid_t uid;
	gid_t gid;
	const char *home;     /* from the container's passwd file */
	char **environment;
};

/* Tell the supervisor that `call` failed with errno in the current operation, and end. */
noreturn void fail(const struct process *process, const char *call);

/* Wait for a byte from the supervisor. */
void wait_for_supervisor(const struct process *process);

/* Give the supervisor a descriptor; it starts what works with it and says when that is ready. */
void hand_over(const struct process *process, enum report_kind kind, int fd);

/* The descriptor of process `pid`, opened before the clone. */
int other_process(const struct process *process, uint64_t pid);

#endif
