/* The start of a supervisor: detach from the caller and read the plan. */
#define _GNU_SOURCE
#include "supervise/begin.h"
#include "common/clone.h"
#include "common/identity.h"
#include "common/ops.h"
#include "common/retry.h"
#include "common/session.h"
#include "supervise/group.h"
#include "supervise/score.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DESCRIPTORS = 253 }; /* as many as a message carries: SCM_MAX_FD, unix(7) */

/* The child continues as an orphan (its parent's waiter sees a process that exits at once), in a cgroup other than the
 * caller's ("": in the same one): a service manager that kills the caller's group must not kill the monitors too. */
static void detach(const char *group)
{
	int fd = open_group(group);
	pid_t pid = clone_process(0, fd);

	if (pid < 0 && fd >= 0)
		pid = clone_process(0, -1);
	if (pid < 0)
		die(0, "clone3");
	if (pid > 0)
		_exit(0);
	if (fd >= 0)
		close(fd);
	setsid();
	if (chdir("/") < 0)
		die(0, "chdir");
}

/* We were started while the plan was still being prepared; one byte says that it is ready. EOF: we are not needed.
 * Descriptors may come with the byte; their number is returned. */
static uint32_t wait_for_caller(int passed[DESCRIPTORS])
{
	union {
		char room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec io = { &byte, sizeof byte };
	struct msghdr message = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room
	};

	if (RETRY(recvmsg(REPORT_FD, &message, MSG_CMSG_CLOEXEC)) != 1)
		_exit(0);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	memcpy(passed, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	return (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

/* The last ones are for the process, as many as the plan says. One before them is the caller's lock on the thing to
 * start. */
static void take_descriptors(struct supervised *it, const int passed[DESCRIPTORS], uint32_t count)
{
	const struct record *record = plan_find(&it->plan, OP_descriptors);
	uint32_t wanted = record ? record->count : 0;

	errno = EBADF;
	if (count < wanted)
		die(position(it, record), "recvmsg");
	it->lock = count > wanted ? passed[0] : -1;
	it->descriptor_count = wanted;
	it->descriptors = wanted ? malloc(wanted * sizeof(int)) : NULL;
	if (wanted && !it->descriptors)
		die(position(it, record), "malloc");
	for (uint32_t i = 0; i < wanted; i++)
		it->descriptors[i] = passed[count - wanted + i];
}

/* Leave out of a plan what holds for its first use only: we are in the session already, nobody starts the process when
 * it is ready, and the caller's descriptors are gone. */
static void leave_out_once(struct plan *plan)
{
	static const uint32_t once[] = { OP_session, OP_await_start, OP_descriptors };

	for (size_t i = 0; i < sizeof once / sizeof *once; i++)
		plan_leave_out(plan, once[i]);
}

void supervise_begin(struct supervised *it, int argc, char **argv)
{
	sigset_t all;
	int passed[DESCRIPTORS];
	const struct record *owner, *event, *end, *session;
	const char *call;

	syscall(SYS_close_range, REPORT_FD + 1, ~0U, 0);
	fcntl(PLAN_FD, F_SETFD, FD_CLOEXEC);
	fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_NAME, argv[0]);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* The caller's posix_spawn resets all other signals; glibc's leaves its own two ignored (sysdeps/unix/sysv/linux/
	 * spawni.c). signal() rejects them. */
	static const uint64_t default_action[8];
	for (int signal_number = 32; signal_number <= 33; signal_number++)
		syscall(SYS_rt_sigaction, signal_number, default_action, NULL, sizeof(uint64_t));
	/* Our child inherits it: until its exec nothing in the container may look into it (CVE-2016-9962). */
	prctl(PR_SET_DUMPABLE, 0);
	/* The monitor executes itself for a restart, with the number of it as its last argument: it is detached already. */
	it->restarts = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	if (it->restarts)
		argc = 1;
	if (argc > 2) /* we cannot enter the group from where we are created: the caller moves us there first */
		wait_for_caller(passed);
	if (argc > 1)
		detach(argv[1]);
	uint32_t passed_count = wait_for_caller(passed);
	if (plan_read(PLAN_FD, &it->plan) < 0)
		die(errno == EBADMSG ? it->plan.count : 0, errno == EBADMSG ? "plan_read" : "mmap");
	if (it->restarts)
		leave_out_once(&it->plan);
	if (!plan_find(&it->plan, OP_attach)) /* only a monitor reads it again */
		close(PLAN_FD);
	take_descriptors(it, passed, passed_count);
	it->score = open_score(it);
	session = plan_find(&it->plan, OP_session);
	if (session && session_enter(number(session, 0), number(session, 1)) < 0)
		die(position(it, session), "setns");
	it->status_file = it->terminal = it->waiting = it->owner = -1;
	it->leave = plan_find(&it->plan, OP_leave) != NULL;
	owner = plan_find(&it->plan, OP_owner);
	if (owner && (it->owner = open_process(number(owner, 0), number(owner, 1))) < 0)
		die(position(it, owner), "pidfd_open");
	event = plan_find(&it->plan, OP_event);
	for (uint32_t i = 0; event && i < sizeof it->event / sizeof *it->event; i++)
		it->event[i] = strdup(text(event, i));
	end = plan_find(&it->plan, OP_netlink_end);
	it->end.messages = NULL;
	if (end && netlink_copy(&it->end, end, 0) < 0)
		die(position(it, end), "malloc");
	int failed = hold_ports(&it->held, &it->plan, &call);
	if (failed >= 0)
		die(failed, call);
}
