/* Common to monitor and launcher: start the process of a plan and record that it runs. */
#define _GNU_SOURCE
#include "supervise/start.h"
#include "common/hooks.h"
#include "common/identity.h"
#include "common/ops.h"
#include "common/process.h"
#include "common/retry.h"
#include "process/perform.h"
#include "supervise/devices.h"
#include "supervise/sidecar.h"
#include "supervise/group.h"
#include "supervise/host.h"
#include "supervise/maps.h"
#include "supervise/others.h"
#include "supervise/record.h"
#include "supervise/score.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAILED_RESTART = 127 }; /* the exit code of a container that could not be started again, as podman's */
enum { PATIENCE_MS = 1000 }; /* with a caller that starts an initialized process */

static void become_process(struct supervised *it, const struct record *clone, const int standard[3], int report,
			   const struct other others[OTHERS])
{
	struct process process = { .plan = &it->plan, .at = position(it, clone), .report = report, .owner = it->owner,
				   .held = &it->held, .descriptors = it->descriptors,
				   .descriptor_count = it->descriptor_count };

	memcpy(process.others, others, sizeof process.others);
	if (!hold_is_handed_on(&it->plan))
		hold_forgo(&it->held);
	for (int i = 0; i < 3; i++)
		if (standard[i] >= 0 && dup2(standard[i], i) < 0)
			fail(&process, "dup2");
	perform(&process);
}

static int start_sidecar(struct supervised *it, uint32_t kind, int handed, struct report *failure)
{
	const struct record *record = plan_find(&it->plan, kind == REPORT_ROOT ? OP_mount_program : OP_sidecar);
	const char *call = "find";
	int process = syscall(SYS_pidfd_open, it->pid, 0), started = -1;

	errno = record ? errno : ENODATA;
	if (record && process < 0)
		call = "pidfd_open";
	else if (record)
		started = sidecar_start(record, process, handed, &call);
	if (started < 0) {
		failure->error = errno;
		failure->operation = record ? position(it, record) : 0;
		strcpy(failure->call, call);
	}
	close(process);
	close(handed);
	return started;
}

void supervise_sidecar(struct supervised *it, const struct record *process)
{
	const struct record *record = plan_find(&it->plan, OP_sidecar);
	struct report started = { .kind = REPORT_STARTED };
	char path[32];
	const char *call;
	int fd = open_process(number(process, 0), number(process, 1));

	if (fd < 0)
		die(position(it, process), "pidfd_open");
	snprintf(path, sizeof path, "/proc/%u/ns/net", (unsigned)number(process, 0));
	int network = open(path, O_RDONLY | O_CLOEXEC);
	/* the pid still belongs to that process if the process still exists */
	if (network < 0 || syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) < 0)
		die(position(it, process), "open");
	if (sidecar_start(record, fd, network, &call) < 0)
		die(position(it, record), call);
	started.pid = number(process, 0);
	started.start_time = number(process, 1);
	report_send(REPORT_FD, &started, -1);
}

/* Read reports until exec closes the socket: failure, a new pid, a terminal, a network, a root. Returns 0 when the
 * process runs, or waits for its start; a process that ended without reading our byte (`told`) never reached its exec. */
static int follow(struct supervised *it, int socket, bool told, struct report *failure)
{
	struct report report;
	int passed, got;
	bool reset = false;

	for (;;) {
		got = report_receive(socket, &report, &passed);
		if (got < 0 && errno == ECONNRESET && !reset) {
			/* It ended without reading our byte. The kernel reports that first; its own reports follow. */
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
				allow_start(socket);
			}
			if (connect_to_host(it, socket, failure) < 0)
				return -1;
			if (write_status(it) < 0) {
				failure->error = errno;
				strcpy(failure->call, "write");
				return -1;
			}
			told = allow_start(socket); /* if it has failed by now, its report comes next */
		}
		if (report.kind == REPORT_NETWORK || report.kind == REPORT_ROOT) {
			if (start_sidecar(it, report.kind, passed, failure) < 0)
				return -1;
			told = allow_start(socket);
		}
		if (report.kind == REPORT_HOOKS) {
			if (run_host_hooks(&it->plan, it->pid, &failure->operation, failure->call) < 0) {
				failure->error = errno;
				return -1;
			}
			told = allow_start(socket) && allow_start(socket); /* one byte for the hooks, and the one that await_hooks took */
		}
		if (report.kind == REPORT_TERMINAL)
			it->terminal = passed;
		if (report.kind == REPORT_INITIALIZED) {
			it->waiting = socket;
			return 0;
		}
	}
	if (got == 0 && told && !reset)
		return 0;
	failure->error = got < 0 ? errno : ECHILD;
	strcpy(failure->call, got < 0 ? "recvmsg" : "exit");
	return -1;
}

static bool clones_twice(const struct plan *plan, uint32_t first)
{
	for (uint32_t i = first + 1; i < plan->count; i++)
		if (plan->records[i].operation == OP_clone)
			return true;
	return false;
}

/* The process is not to run: nothing says that it did. */
static noreturn void withdraw(struct supervised *it, int socket, const struct report *failure)
{
	const struct record *status = plan_find(&it->plan, OP_status);

	close(socket); /* ends a process that waits for our byte and has no pid here */
	if (it->pid > 0 && kill(it->pid, SIGKILL) == 0)
		waitpid(it->pid, NULL, 0);
	withdraw_pid_files(it);
	if (it->restarts)
		supervise_record_exit(it, FAILED_RESTART << 8, false); /* it did run before */
	else if (status)
		withdraw_status(it, text(status, 0));
	report_send(REPORT_FD, failure, -1);
	_exit(125);
}

static void tell(struct supervised *it, int socket, bool attended)
{
	struct report started = { .kind = REPORT_STARTED, .pid = it->pid, .start_time = it->start_time };

	if (it->waiting < 0) {
		close(socket);
		record_start_events(it, attended);
		/* the container runs, whatever they say: Python warns of the first that fails */
		if (run_hooks(&it->plan, "poststart", it->pid, &started.operation, started.call) < 0)
			started.error = errno;
	}
	/* a monitor does not share its container's terminal */
	report_send(REPORT_FD, &started, plan_find(&it->plan, OP_terminal) ? -1 : it->terminal);
}

bool supervise_release(struct supervised *it, int caller)
{
	struct report failure = { .kind = REPORT_FAILED, .operation = it->plan.count - 1 };
	struct pollfd asked = { caller, POLLIN, 0 };
	int socket = it->waiting;
	char how = 's';

	if (RETRY(poll(&asked, 1, PATIENCE_MS)) == 1)
		(void)!recv(caller, &how, 1, MSG_DONTWAIT);
	it->waiting = -1;
	dup3(caller, REPORT_FD, O_CLOEXEC);
	close(caller);
	if (record_started(it) < 0) {
		strcpy(failure.call, "write");
		failure.error = errno;
		withdraw(it, socket, &failure);
	}
	bool told = allow_start(socket) && (!has_hooks(&it->plan, "startContainer") || allow_start(socket));
	if (follow(it, socket, told, &failure) < 0)
		withdraw(it, socket, &failure);
	tell(it, socket, how == 'a');
	return how == 'a';
}

static int do_meanwhile(struct supervised *it, meanwhile *work, struct report *failure)
{
	const struct record *record = NULL;
	const char *call = work(it, &record);

	if (!call)
		return 0;
	failure->error = errno;
	failure->operation = record ? position(it, record) : 0;
	snprintf(failure->call, sizeof failure->call, "%s", call);
	return -1;
}

void supervise_start(struct supervised *it, const int standard[3], meanwhile *work)
{
	const struct record *clone = plan_find(&it->plan, OP_clone);
	bool mapped = plan_find(&it->plan, OP_idmap) || plan_find(&it->plan, OP_idmap_by);
	struct report failure = { .kind = REPORT_FAILED, .operation = clone ? position(it, clone) : 0 };
	const struct record *status = plan_find(&it->plan, OP_status);
	struct other others[OTHERS];
	int pair[2], group;

	attach_device_filter(it);
	open_pid_files(it);
	open_others(it, others);
	if (!clone || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die(0, "socketpair");
	group = open_group(text(clone, 1));
	if (group < 0 && *text(clone, 1))
		die(position(it, clone), "open");
	/* Only its owner can write its maps, and for a process that is not dumpable that is root. It is in a user namespace
	 * of its own, with no other process that could look into it. */
	if (mapped)
		prctl(PR_SET_DUMPABLE, 1);
	it->pid = clone_with_score(it, number(clone, 0), group);
	if (it->pid < 0)
		die(position(it, clone), "clone3");
	if (it->pid == 0) {
		/* otherwise the process would hold the supervisor's end itself and never see that the supervisor died */
		close(pair[0]);
		close(REPORT_FD);
		become_process(it, clone, standard, pair[1], others);
	}
	close_others(others);
	for (uint32_t i = 0; i < it->descriptor_count; i++)
		close(it->descriptors[i]);
	free(it->descriptors);
	close(pair[1]);
	if (group >= 0)
		close(group);
	it->start_time = start_time(it->pid);
	bool later = clones_twice(&it->plan, position(it, clone)), connected, recorded = false;
	it->mapped = mapped && later;
	if (mapped && !later) {
		make_maps(it);
		allow_start(pair[0]);
	}
	connected = later || connect_to_host(it, pair[0], &failure) == 0;
	if (connected && work && do_meanwhile(it, work, &failure) < 0)
		withdraw(it, pair[0], &failure);
	if (connected && !(recorded = later || write_status(it) == 0)) {
		strcpy(failure.call, "write");
		failure.error = errno;
		failure.operation = position(it, status ? status : clone);
	}
	if (!recorded || follow(it, pair[0], !later && allow_start(pair[0]), &failure) < 0)
		withdraw(it, pair[0], &failure);
	record_setup_end(it);
	if (it->lock >= 0)
		close(it->lock);
	tell(it, pair[0], false);
}
