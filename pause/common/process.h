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

/* A process whose namespaces the plan joins. Opened before the clone: in its own pid namespace the new process has no
 * pid for it. */
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
	int root_held;        /* the new root between two mount namespaces */
	int fuse;             /* /dev/fuse of a root that nothing serves yet */
	int *slots;           /* detached mounts by descriptor; as many slots as the plan has records */
	struct place *places; /* in order of creation */
	uint32_t place_count;
	int empty;            /* the tmpfs that masks directories, or -1 */
	int program;          /* for execute_file */
	struct other others[OTHERS];
	int owner;            /* pidfd for the infra to inherit, or -1 */
	const struct held *held; /* ports for the infra to inherit */
	const int *descriptors;  /* of the caller, for the program to inherit; the plan has their numbers */
	uint32_t descriptor_count;
	bool keep_groups;     /* the plan has keep_groups */
	uid_t uid;
	gid_t gid;
	const char *home;     /* from the container's passwd file */
	char **environment;
};

/* Report to the supervisor that `call` failed with errno in the current operation, and exit. */
noreturn void fail(const struct process *process, const char *call);

/* Wait for a byte from the supervisor. */
void wait_for_supervisor(const struct process *process);

/* Pass a descriptor to the supervisor, and wait until it has started the program that uses it and that program is
 * ready. */
void hand_over(const struct process *process, enum report_kind kind, int fd);

/* Have the supervisor run its hooks, and wait until they have ended. */
void await_hooks(const struct process *process);

/* The descriptor of process `pid`, opened before the clone. */
int other_process(const struct process *process, uint64_t pid);

#endif
