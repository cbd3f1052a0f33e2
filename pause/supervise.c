/* What monitor and launcher have in common: start the process of a plan and record that it runs. */
#define _GNU_SOURCE
#include "supervise.h"
#include "companion.h"
#include "group.h"
#include "maps.h"
#include "ops.h"
#include "perform.h"
#include "record.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void die(uint32_t operation, const char *call)
{
	report_failure(REPORT_FD, operation, call, errno);
	_exit(125);
}

uint32_t position(const struct supervised *it, const struct record *record)
{
	return record - it->plan.records;
}

/* The child goes on as nobody's child (its parent's waiter sees one that ended at once), in a cgroup that is not
 * the caller's ("": it is): a service manager that ends the caller's group must not take the monitors along. */
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

/* We were started while the plan was still being worked out; one byte says that it is there. None: nobody wants us.
 * With it may come the lock that the caller has on what is started, which is returned, or -1. */
static int wait_for_caller(void)
{
	char byte;
	int lock;

	if (receive(REPORT_FD, &byte, sizeof byte, &lock) != 1)
		_exit(0);
	return lock;
}

/* Of a process that cannot be dumped the file is root's, whatever user it is (proc(5)). We are in nobody's namespace yet,
 * so whoever could look into us meanwhile is who started us. */
static int open_score(const struct supervised *it, const struct record *record)
{
	if (!record)
		return -1;
	prctl(PR_SET_DUMPABLE, 1);
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	prctl(PR_SET_DUMPABLE, 0);
	if (fd < 0)
		die(position(it, record), "open");
	return fd;
}

static void write_score(const struct supervised *it, const struct record *record, const char *value)
{
	if (write(it->score, value, strlen(value)) < 0)
		die(position(it, record), "write");
}

/* A process begins with its maker's score. */
static pid_t clone_with_score(const struct supervised *it, uint64_t flags, int group)
{
	const struct record *record = plan_find(&it->plan, OP_oom_score);
	char before[16] = "";
	pid_t pid;

	if (!record)
		return clone_process(flags, group);
	if (pread(it->score, before, sizeof before - 1, 0) < 0)
		die(position(it, record), "read");
	write_score(it, record, text(record, 0));
	pid = clone_process(flags, group);
	int error = errno;
	if (pid != 0)
		write_score(it, record, before);
	close(it->score);
	errno = error;
	return pid;
}

void supervise_begin(struct supervised *it, int argc, char **argv)
{
	sigset_t all;
	const struct record *owner, *event, *end, *session;
	const char *call;

	syscall(SYS_close_range, REPORT_FD + 1, ~0U, 0);
	fcntl(PLAN_FD, F_SETFD, FD_CLOEXEC);
	fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_NAME, argv[0]);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* What the caller ignores (Python does SIGPIPE) would stay so across exec. signal() knows not all of them. */
	static const uint64_t default_action[8];
	for (int signal_number = 1; signal_number < 65; signal_number++)
		syscall(SYS_rt_sigaction, signal_number, default_action, NULL, sizeof(uint64_t));
	/* Our child is born so, too: until its exec nobody in the container may look into it (CVE-2016-9962). */
	prctl(PR_SET_DUMPABLE, 0);
	if (argc > 2) /* we cannot enter the group from where we are born: somebody brings us there first */
		wait_for_caller();
	if (argc > 1)
		detach(argv[1]);
	it->lock = wait_for_caller();
	if (plan_read(PLAN_FD, &it->plan) < 0)
		die(0, "mmap");
	close(PLAN_FD);
	it->score = open_score(it, plan_find(&it->plan, OP_oom_score));
	session = plan_find(&it->plan, OP_session);
	if (session && session_enter(number(session, 0), number(session, 1)) < 0)
		die(position(it, session), "setns");
	it->status_file = it->terminal = it->owner = -1;
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

static void become_process(struct supervised *it, const struct record *clone, const int standard[3], int report,
			   const struct other others[OTHERS])
{
	struct process process = { .plan = &it->plan, .at = position(it, clone), .report = report, .owner = it->owner,
				   .held = &it->held };

	memcpy(process.others, others, sizeof process.others);
	if (!hold_is_handed_on(&it->plan))
		hold_forgo(&it->held);
	for (int i = 0; i < 3; i++)
		if (standard[i] >= 0 && dup2(standard[i], i) < 0)
			fail(&process, "dup2");
	perform(&process);
}

/* Tell the process that it has its maps, or is recorded, and may go on. False when it cannot be told: it has gone, or ends now. */
static bool tell(int socket)
{
	if (RETRY(send(socket, "g", 1, MSG_NOSIGNAL)) == 1)
		return true;
	shutdown(socket, SHUT_WR);
	return false;
}

/* In the network namespace of another process. By a child: from a user namespace nobody comes back to the host's. */
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

/* What the process said before it ended: why it is not there for the network of the host. */
static void hear(int socket, struct report *failure)
{
	struct pollfd waiting = { .fd = socket, .events = POLLIN };
	struct report report;
	int passed;

	/* a reset, for a byte of ours that was not read, comes first, and nothing after the end */
	for (int i = 0; i < 3 && RETRY(poll(&waiting, 1, 0)) == 1; i++)
		if (report_receive(socket, &report, &passed) > 0 && report.kind == REPORT_FAILED)
			*failure = report;
}

/* Send the plan's messages for the host; how many, or -1 with the failure. */
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

/* Do what the network needs on the host, now that the process has its namespace, and let it go on. */
static int connect_to_host(struct supervised *it, int socket, struct report *failure)
{
	int sent = send_all_on_host(it, failure);

	if (sent < 0 && failure->error == ESRCH)
		hear(socket, failure);
	if (sent > 0)
		tell(socket);
	return sent < 0 ? -1 : 0;
}

void supervise_nobody(struct supervised *it)
{
	struct report report = { .kind = REPORT_FAILED, .error = ENODATA };

	if (send_all_on_host(it, &report) > 0)
		report = (struct report){ .kind = REPORT_STARTED };
	report_send(REPORT_FD, &report, -1);
}

static int start_companion(struct supervised *it, uint32_t kind, int handed, struct report *failure)
{
	const struct record *record = plan_find(&it->plan, kind == REPORT_ROOT ? OP_mount_program : OP_companion);
	const char *call = "find";
	int process = syscall(SYS_pidfd_open, it->pid, 0), started = -1;

	errno = record ? errno : ENODATA;
	if (record && process < 0)
		call = "pidfd_open";
	else if (record)
		started = companion_start(record, process, handed, &call);
	if (started < 0) {
		failure->error = errno;
		failure->operation = record ? position(it, record) : 0;
		strcpy(failure->call, call);
	}
	close(process);
	close(handed);
	return started;
}

void supervise_companion(struct supervised *it, const struct record *process)
{
	const struct record *record = plan_find(&it->plan, OP_companion);
	struct report started = { .kind = REPORT_STARTED };
	char path[32];
	const char *call;
	int fd = open_process(number(process, 0), number(process, 1));

	if (fd < 0)
		die(position(it, process), "pidfd_open");
	snprintf(path, sizeof path, "/proc/%u/ns/net", (unsigned)number(process, 0));
	int network = open(path, O_RDONLY | O_CLOEXEC);
	/* the number is still that process's if that is still there */
	if (network < 0 || syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) < 0)
		die(position(it, process), "open");
	if (companion_start(record, fd, network, &call) < 0)
		die(position(it, record), call);
	started.pid = number(process, 0);
	started.start_time = number(process, 1);
	report_send(REPORT_FD, &started, -1);
}

/* Until exec closes the socket: failure, a new pid, a terminal, a network, a root. Returns 0 when the process runs; one that ended without
 * having taken our byte (`told`) never got as far as its exec. */
static int follow(struct supervised *it, int socket, bool told, struct report *failure)
{
	struct report report;
	int passed, got;
	bool reset = false;

	for (;;) {
		got = report_receive(socket, &report, &passed);
		if (got < 0 && errno == ECONNRESET && !reset) {
			/* It went without reading our byte. The kernel tells that first; what it said is behind. */
			reset = true;
			continue;
		}
		if (got <= 0)
			break;
		if (report.kind == REPORT_FAILED) {
			*failure = report;
			return -1;
		}
		if (report.kind == REPORT_PROCESS) {
			waitpid(it->pid, NULL, 0);
			it->pid = process_number(passed);
			close(passed);
			it->start_time = it->pid ? start_time(it->pid) : 0;
			if (it->mapped && it->pid) {
				make_maps(it);
				tell(socket);
			}
			if (connect_to_host(it, socket, failure) < 0)
				return -1;
			if (write_status(it) < 0) {
				failure->error = errno;
				strcpy(failure->call, "write");
				return -1;
			}
			told = tell(socket); /* if it failed by now, what it said comes next */
		}
		if (report.kind == REPORT_NETWORK || report.kind == REPORT_ROOT) {
			if (start_companion(it, report.kind, passed, failure) < 0)
				return -1;
			told = tell(socket);
		}
		if (report.kind == REPORT_TERMINAL)
			it->terminal = passed;
	}
	if (got == 0 && told && !reset)
		return 0;
	failure->error = got < 0 ? errno : ECHILD;
	strcpy(failure->call, got < 0 ? "recvmsg" : "exit");
	return -1;
}

static void join_path(uint32_t i, const struct record *record)
{
	int fd = open(text(record, 1), O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nobody waits for a pipe's writer */

	if (fd < 0)
		die(i, "open");
	if (setns(fd, number(record, 0)) < 0)
		die(i, "setns");
	close(fd);
}

/* Open the processes that the plan joins, and join a pid namespace: that counts only for children. */
static void open_others(struct supervised *it, struct other others[OTHERS])
{
	bool before_clone = true;

	memset(others, 0, OTHERS * sizeof *others);
	for (uint32_t i = 0; i < it->plan.count; i++) {
		const struct record *record = &it->plan.records[i];
		uint32_t first = record->operation == OP_capture ? 1 : 0;
		int known = 0;

		before_clone = before_clone && record->operation != OP_clone;
		if (before_clone && record->operation == OP_join_path)
			join_path(i, record);
		if (record->operation != OP_join && record->operation != OP_capture)
			continue;
		while (known < OTHERS && others[known].pid && others[known].pid != number(record, first))
			known++;
		errno = EMFILE;
		if (known == OTHERS)
			die(i, "pidfd_open");
		if (!others[known].pid) {
			others[known].pid = number(record, first);
			others[known].fd = open_process(number(record, first), number(record, first + 1));
			if (others[known].fd < 0)
				die(i, "pidfd_open");
		}
		if (before_clone && setns(others[known].fd, CLONE_NEWPID) < 0)
			die(i, "setns");
	}
}

static void close_others(struct other others[OTHERS])
{
	for (int i = 0; i < OTHERS && others[i].pid; i++)
		close(others[i].fd);
}

static bool clones_twice(const struct plan *plan, uint32_t first)
{
	for (uint32_t i = first + 1; i < plan->count; i++)
		if (plan->records[i].operation == OP_clone)
			return true;
	return false;
}

void supervise_start(struct supervised *it, const int standard[3])
{
	const struct record *clone = plan_find(&it->plan, OP_clone);
	bool mapped = plan_find(&it->plan, OP_idmap) || plan_find(&it->plan, OP_idmap_by);
	struct report failure = { .kind = REPORT_FAILED, .operation = clone ? position(it, clone) : 0 };
	const struct record *status = plan_find(&it->plan, OP_status);
	struct other others[OTHERS];
	int pair[2], group;

	open_others(it, others);
	if (!clone || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die(0, "socketpair");
	group = open_group(text(clone, 1));
	if (group < 0 && *text(clone, 1))
		die(position(it, clone), "open");
	/* Its maps can be written by its owner only, and of what cannot be dumped that is root. It is in a user namespace of
	 * its own, where nobody is who could look into it. */
	if (mapped)
		prctl(PR_SET_DUMPABLE, 1);
	it->pid = clone_with_score(it, number(clone, 0), group);
	if (it->pid < 0)
		die(position(it, clone), "clone3");
	if (it->pid == 0) {
		/* else it would hold the supervisor's end itself and never learn that the supervisor died */
		close(pair[0]);
		close(REPORT_FD);
		become_process(it, clone, standard, pair[1], others);
	}
	close_others(others);
	close(pair[1]);
	if (group >= 0)
		close(group);
	it->start_time = start_time(it->pid);
	bool later = clones_twice(&it->plan, position(it, clone)), connected, recorded = false;
	it->mapped = mapped && later;
	if (mapped && !later) {
		make_maps(it);
		tell(pair[0]);
	}
	connected = later || connect_to_host(it, pair[0], &failure) == 0;
	if (connected && !(recorded = later || write_status(it) == 0)) {
		strcpy(failure.call, "write");
		failure.error = errno;
		failure.operation = position(it, status ? status : clone);
	}
	if (!recorded || follow(it, pair[0], !later && tell(pair[0]), &failure) < 0) {
		close(pair[0]); /* the end of who waits for our byte and has no number here */
		if (it->pid > 0 && kill(it->pid, SIGKILL) == 0)
			waitpid(it->pid, NULL, 0);
		if (status)
			withdraw_status(it, text(status, 0));
		report_send(REPORT_FD, &failure, -1);
		_exit(125);
	}
	close(pair[0]);
	if (it->lock >= 0)
		close(it->lock);
	write_event(it, it->event[EVENT_START], NULL);
	struct report started = { .kind = REPORT_STARTED, .pid = it->pid, .start_time = it->start_time };
	/* a monitor keeps its container's terminal to itself */
	report_send(REPORT_FD, &started, plan_find(&it->plan, OP_terminal) ? -1 : it->terminal);
}
