/* The protocol between a new process and its supervisor until the exec. */
#define _GNU_SOURCE
#include "common/process.h"
#include "common/retry.h"

#include <errno.h>
#include <unistd.h>

noreturn void fail(const struct process *process, const char *call)
{
	report_failure(process->report, process->at, call, errno);
	_exit(125);
}

/* EOF means that the supervisor died: an unsupervised container must not start. */
void wait_for_supervisor(const struct process *process)
{
	char byte;
	ssize_t got = RETRY(read(process->report, &byte, 1));

	if (got == 0)
		errno = EPIPE;
	if (got != 1)
		fail(process, "read");
}

void hand_over(const struct process *process, enum report_kind kind, int fd)
{
	struct report report = { .kind = kind };

	if (fd < 0)
		fail(process, "open");
	if (report_send(process->report, &report, fd) < 0)
		fail(process, "sendmsg");
	close(fd);
	wait_for_supervisor(process);
}

/* The supervisor's bytes are all alike, so the one that was due first is taken before the hooks' can be awaited. */
void await_hooks(const struct process *process)
{
	struct report report = { .kind = REPORT_HOOKS };

	wait_for_supervisor(process); /* we are recorded; after the hooks the supervisor sends this byte again */
	if (report_send(process->report, &report, -1) < 0)
		fail(process, "sendmsg");
	wait_for_supervisor(process);
}

int other_process(const struct process *process, uint64_t pid)
{
	for (int i = 0; i < OTHERS; i++)
		if (process->others[i].pid == pid)
			return process->others[i].fd;
	errno = ESRCH;
	fail(process, "pidfd_open");
}
