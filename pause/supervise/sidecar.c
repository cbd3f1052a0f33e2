/* A program that runs beside a process while the process lives: pasta for its network, fuse-overlayfs for its root.
 *
 * Between the two is a watcher, the first process of a pid namespace: when the process has ended the watcher exits, and
 * the kernel kills everything left in the namespace (pid_namespaces(7)), which nothing that the program starts can
 * leave. The same happens when the watcher is killed. */
#define _GNU_SOURCE
#include "supervise/sidecar.h"
#include "common/clone.h"
#include "common/identity.h"
#include "common/retry.h"
#include "supervise/record.h"
#include "supervise/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

/* When this returns, everything that the watcher started has gone too, and its ports are free. */
static int end(pid_t watcher)
{
	int error = errno;

	kill(watcher, SIGKILL);
	RETRY(waitpid(watcher, NULL, __WALL));
	errno = error;
	return -1;
}

static int hear(int told, pid_t watcher, const char **call)
{
	static struct verdict verdict;
	struct pollfd polled = { told, POLLIN, 0 };

	*call = "poll";
	errno = ETIMEDOUT;
	if (RETRY(poll(&polled, 1, PATIENCE_MS)) == 1) {
		if (RETRY(read(told, &verdict, sizeof verdict)) == sizeof verdict) {
			*call = verdict.call;
			errno = verdict.error;
		} else {
			errno = EPIPE;
		}
	}
	return errno ? end(watcher) : 0;
}

int sidecar_start(const struct record *record, int process, int handed, const char **call)
{
	char path[PATH_MAX];
	int told[2];

	snprintf(path, sizeof path, "%s/log", text(record, SIDECAR_DIRECTORY));
	*call = "open";
	int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (log < 0)
		return -1;
	*call = "pipe2";
	if (pipe2(told, O_CLOEXEC) < 0)
		return -1;
	*call = "clone3";
	pid_t watcher = clone_process(CLONE_NEWPID, -1);
	if (watcher < 0)
		return -1;
	if (watcher == 0)
		watch(record, handed, process, log, told[1]);
	close(log);
	close(told[1]);
	int heard = hear(told[0], watcher, call), error = errno;
	close(told[0]);
	errno = error;
	if (heard < 0)
		return -1;
	*call = "write";
	snprintf(path, sizeof path, "%s/status", text(record, SIDECAR_DIRECTORY));
	struct recorded recorded = { .pid = watcher, .start_time = start_time(watcher) };
	int status = record_start(path, text(record, SIDECAR_BOOT_ID), &recorded);
	if (status < 0)
		return end(watcher);
	close(status);
	return 0;
}
