#ifndef PYPOD_COMMON_REPORT_H
#define PYPOD_COMMON_REPORT_H

#include <stdint.h>
#include <sys/types.h>

enum report_kind {
	REPORT_STARTED = 1, /* pid, start_time */
	REPORT_FAILED = 2,  /* operation, error, call */
	REPORT_EXITED = 3,  /* status, as from waitpid */
	REPORT_PROCESS = 4, /* a later clone replaced the first; carries its pidfd */
	REPORT_TERMINAL = 5, /* carries the master of the terminal */
	REPORT_NETWORK = 6, /* carries the process's network namespace, for the sidecar */
	REPORT_ROOT = 7,    /* carries the root's /dev/fuse, for the mount program */
	REPORT_INITIALIZED = 8, /* the process waits for its start */
	REPORT_HOOKS = 9    /* it waits for the hooks that the supervisor runs */
};

/* A message from the container's process to its supervisor, or from the supervisor to Python. */
struct report {
	uint32_t kind;
	uint32_t operation; /* index into the plan */
	int32_t error;
	int32_t pid;
	uint64_t start_time; /* clock ticks since boot, field 22 of /proc/PID/stat */
	int32_t status;
	char call[36];
};

#define REPORT_SIZE 64
_Static_assert(sizeof(struct report) == REPORT_SIZE, "the report is part of the protocol");

/* Send a report, with the descriptor if fd_passed >= 0. Returns -1 when the reader is gone. */
int report_send(int socket, const struct report *report, int fd_passed);
/* Receive a message of up to `size` bytes, as recvmsg(2). *fd_passed is a descriptor sent with it, now ours, or -1. */
ssize_t receive(int socket, void *content, size_t size, int *fd_passed);
/* The same for a report. Returns 1, 0 at end of file, or -1 with errno. */
int report_receive(int socket, struct report *report, int *fd_passed);
int report_failure(int socket, uint32_t operation, const char *call, int error);

#endif
