#ifndef PYPOD_SUPERVISE_WATCHER_H
#define PYPOD_SUPERVISE_WATCHER_H

#include "common/plan.h"

#include <stdnoreturn.h>

/* The watcher's only message to the supervisor. */
struct verdict {
	int error; /* 0: ready */
	char call[16];
};

/* Arguments of `sidecar` and `mount_program`. */
enum { SIDECAR_DIRECTORY, SIDECAR_BOOT_ID, SIDECAR_REQUESTS, SIDECAR_PROGRAM };

/* Run as the first process of a pid namespace: start the program of `record` for the process of a pidfd, with the
 * descriptor that the process handed over, report when it is ready, and stay until one of the two has ended. */
noreturn void watch(const struct record *record, int handed, int process, int log, int told);

#endif
