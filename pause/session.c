/* A user's session: the user namespace that all pods of one user and storage live in, held by a process of ours. */
#define _GNU_SOURCE
#include "session.h"
#include "report.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

int session_enter(pid_t pid, uint64_t start_time)
{
	int fd = open_process(pid, start_time);

	if (fd < 0)
		return -1;
	int entered = setns(fd, CLONE_NEWUSER), error = errno;
	close(fd);
	errno = error;
	return entered;
}

int session_enter_environment(void)
{
	const char *text = getenv("PYPOD_SESSION");
	char *rest;

	if (!text)
		return 0;
	unsigned long pid = strtoul(text, &rest, 10);
	if (*rest != ':') {
		errno = EINVAL;
		return -1;
	}
	return session_enter(pid, strtoull(rest + 1, NULL, 10));
}
