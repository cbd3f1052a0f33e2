/* The supervisor's part in the host's network for the process. */
#define _GNU_SOURCE
#include "supervise/host.h"
#include "common/clone.h"
#include "common/identity.h"
#include "common/ops.h"
#include "common/retry.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the network namespace of another process. Done by a child: a process in a user namespace cannot return. */
static int send_elsewhere(const struct netlink *messages, const struct record *where)
{
	int fd = open_process(number(where, 0), number(where, 1)), status = 0;

	if (fd < 0)
		return -1;
	pid_t child = clone_process(0, -1);
	if (child == 0)
		_exit(setns(fd, CLONE_NEWNET) < 0 || netlink_send(messages) < 0 ? errno : 0);
	int error = errno;
	close(fd);
	if (child > 0 && RETRY(waitpid(child, &status, 0)) == child)
		error = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
	errno = error;
	return error ? -1 : 0;
}

static int send_on_host(struct supervised *it, const struct record *record)
{
	const struct record *where = plan_find(&it->plan, OP_host_network);
	struct netlink messages;

	if (netlink_copy(&messages, record, it->pid) < 0)
		return -1;
	int sent = where ? send_elsewhere(&messages, where) : netlink_send(&messages), error = errno;
	netlink_free(&messages);
	errno = error;
	return sent;
}

/* Read the failure that the process reported before it ended: why it was not there for the host's network. */
static void hear(int socket, struct report *failure)
{
	struct pollfd waiting = { .fd = socket, .events = POLLIN };
	struct report report;
	int passed;

	/* a reset, because a byte of ours was not read, comes first; after EOF comes nothing */
	for (int i = 0; i < 3 && RETRY(poll(&waiting, 1, 0)) == 1; i++)
		if (report_receive(socket, &report, &passed) > 0 && report.kind == REPORT_FAILED)
			*failure = report;
}

/* Send the plan's messages for the host; returns their number, or -1 with the failure. */
static int send_all_on_host(struct supervised *it, struct report *failure)
{
	int sent = 0;

	for (uint32_t i = 0; i < it->plan.count && it->plan.records[i].operation != OP_clone; i++) {
		if (it->plan.records[i].operation != OP_netlink_host)
			continue;
		if (send_on_host(it, &it->plan.records[i]) < 0) {
			failure->error = errno;
			failure->operation = i;
			strcpy(failure->call, "netlink");
			return -1;
		}
		sent++;
	}
	return sent;
}

int connect_to_host(struct supervised *it, int socket, struct report *failure)
{
	int sent = send_all_on_host(it, failure);

	if (sent < 0 && failure->error == ESRCH)
		hear(socket, failure);
	if (sent > 0)
		allow_start(socket);
	return sent < 0 ? -1 : 0;
}

void supervise_nobody(struct supervised *it)
{
	struct report report = { .kind = REPORT_FAILED, .error = ENODATA };

	if (send_all_on_host(it, &report) > 0)
		report = (struct report){ .kind = REPORT_STARTED };
	report_send(REPORT_FD, &report, -1);
}
