#ifndef PYPOD_SUPERVISE_WATCHER_H
#define PYPOD_SUPERVISE_WATCHER_H

#include "common/plan.h"

#include <stdnoreturn.h>

/* What the watcher tells the supervisor, once. */
struct verdict {
	int error; /* 0: ready */
	char call[16];
};

/* Arguments of `companion` and `mount_program`. */
enum { COMPANION_DIRECTORY, COMPANION_BOOT_ID, COMPANION_REQUESTS, COMPANION_PROGRAM };

/* Be the first process of a pid namespace: start the program of `record`, for a process by pidfd that handed over a
 * descriptor, tell when it is ready, and stay until one of the two has ended. */
noreturn void watch(const struct record *record, int handed, int process, int log, int told);

#endif
