/* A user's session: the user namespace that all pods of one user and storage live in, held by a process of ours. */
#define _GNU_SOURCE
#include "common/session.h"
#include "common/identity.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

static int enter(pid_t pid, uint64_t start_time, int flag)
{
	int fd = open_process(pid, start_time);

	if (fd < 0)
		return -1;
	int entered = setns(fd, flag), error = errno;
	close(fd);
	errno = error;
	return entered;
}

static int enter_named(const char *variable, int flag)
{
	const char *text = getenv(variable);
	char *rest;

	if (!text)
		return 0;
	unsigned long pid = strtoul(text, &rest, 10);
	if (*rest != ':') {
		errno = EINVAL;
		return -1;
	}
	return enter(pid, strtoull(rest + 1, NULL, 10), flag);
}

int session_enter(pid_t pid, uint64_t start_time)
{
	return enter(pid, start_time, CLONE_NEWUSER);
}

int session_enter_environment(void)
{
	return enter_named("PYPOD_SESSION", CLONE_NEWUSER);
}

int session_enter_mounts(void)
{
	char *directory = getcwd(NULL, 0); /* setns(2) changes to the root of the other mount namespace */

	if (!directory || enter_named("PYPOD_SESSION", CLONE_NEWNS) < 0)
		return -1;
	int changed = chdir(directory), error = errno;
	free(directory);
	errno = error;
	return changed;
}

int session_enter_network(void)
{
	return enter_named("PYPOD_SESSION_NETWORK", CLONE_NEWNET);
}
