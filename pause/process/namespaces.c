#define _GNU_SOURCE
#include "process/namespaces.h"
#include "common/clone.h"
#include "common/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A second clone (after joining a user namespace): the new child takes our place under the same parent. */
void clone_again(const struct process *process, const struct record *record)
{
	pid_t pid = clone_process(number(record, 0) | CLONE_PARENT, -1);

	if (pid < 0)
		fail(process, "clone3");
	if (pid > 0) {
		/* by descriptor: a pid in a joined pid namespace means nothing to the supervisor */
		struct report report = { .kind = REPORT_PROCESS };
		if (report_send(process->report, &report, syscall(SYS_pidfd_open, pid, 0)) == 0)
			_exit(0);
		kill(pid, SIGKILL);
		fail(process, "sendmsg");
	}
	/* neither is inherited */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
}

void join_process(const struct process *process, const struct record *record)
{
	if (setns(other_process(process, number(record, 0)), number(record, 2)) < 0)
		fail(process, "setns");
}

void join_path(const struct process *process, const struct record *record)
{
	int fd = open(text(record, 1), O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: do not wait for a FIFO's writer */

	if (fd < 0)
		fail(process, "open");
	if (setns(fd, number(record, 0)) < 0)
		fail(process, "setns");
	close(fd);
}

void expect_namespace(const struct process *process, const struct record *record)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/self/ns/%s", text(record, 0));
	if (stat(path, &st) < 0)
		fail(process, "stat");
	if (st.st_ino != number(record, 1)) {
		errno = ESTALE;
		fail(process, "stat");
	}
}

void join_group(const struct process *process, const struct record *record)
{
	int fd = open(text(record, 0), O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fail(process, "open");
	if (RETRY(write(fd, "0", 1)) < 0)
		fail(process, "write");
	close(fd);
}
