/* OCI hooks: programs that the administrator has the runtime run around the start and the end of a container
 * (oci-hooks(5), config.md of the runtime-spec). */
#define _GNU_SOURCE
#include "common/hooks.h"
#include "common/clone.h"
#include "common/ops.h"
#include "common/retry.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STAGE, TIMEOUT_S, STATE_START, STATE_END, VARIABLES, WORDS }; /* arguments of `hook` */

static int is_of(const struct record *record, const char *stage)
{
	return record->operation == OP_hook && !strcmp(text(record, STAGE), stage);
}

int has_hooks(const struct plan *plan, const char *stage)
{
	for (uint32_t i = 0; i < plan->count; i++)
		if (is_of(&plan->records[i], stage))
			return 1;
	return 0;
}

/* A file in memory with the state, to be read from its start: a pipe would have to be written while the hook reads. */
static int state_of(const struct record *record, pid_t pid)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (dprintf(fd, "%s%d%s", text(record, STATE_START), (int)pid, text(record, STATE_END)) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void become_hook(const struct record *record, int state)
{
	uint64_t variables = number(record, VARIABLES);
	char **words = vector(record, WORDS), **environment = calloc(variables + 1, sizeof *environment);
	sigset_t none;

	if (!words || !environment || dup2(state, 0) < 0)
		_exit(126);
	for (uint64_t i = 0; i < variables; i++)
		environment[i] = words[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	syscall(SYS_close_range, 3, ~0U, 0);
	execve(words[variables], words + variables + 1, environment);
	_exit(127);
}

static int wait_for(pid_t hook, uint64_t timeout_s, char call[36])
{
	struct pollfd polled = { syscall(SYS_pidfd_open, hook, 0), POLLIN, 0 };
	int status, ended = polled.fd < 0 ? -1 : RETRY(poll(&polled, 1, timeout_s ? (int)(timeout_s * 1000) : -1));

	if (polled.fd >= 0)
		close(polled.fd);
	if (ended != 1)
		kill(hook, SIGKILL);
	RETRY(waitpid(hook, &status, 0));
	if (ended != 1) {
		errno = ETIMEDOUT;
		strcpy(call, "poll");
		return -1;
	}
	if (status == 0)
		return 0;
	errno = ECHILD;
	if (WIFSIGNALED(status))
		snprintf(call, 36, "signal %d", WTERMSIG(status));
	else
		snprintf(call, 36, "exit %d", WEXITSTATUS(status));
	return -1;
}

static int run(const struct record *record, pid_t pid, char call[36])
{
	int state = state_of(record, pid);

	if (state < 0) {
		strcpy(call, "memfd_create");
		return -1;
	}
	pid_t hook = clone_process(0, -1);
	if (hook == 0)
		become_hook(record, state);
	int error = errno;
	close(state);
	errno = error;
	if (hook < 0) {
		strcpy(call, "clone3");
		return -1;
	}
	return wait_for(hook, number(record, TIMEOUT_S), call);
}

int run_hooks(const struct plan *plan, const char *stage, pid_t pid, uint32_t *at, char call[36])
{
	for (uint32_t i = 0; i < plan->count; i++)
		if (is_of(&plan->records[i], stage) && run(&plan->records[i], pid, call) < 0) {
			*at = i;
			return -1;
		}
	return 0;
}

int run_host_hooks(const struct plan *plan, pid_t pid, uint32_t *at, char call[36])
{
	return run_hooks(plan, "prestart", pid, at, call) < 0 ? -1 : run_hooks(plan, "createRuntime", pid, at, call);
}
