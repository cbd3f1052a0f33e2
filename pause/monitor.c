/* The monitor of one container: its parent on the host. Keeps the log, the terminal and the exit code, lets clients
 * attach, and outlives its caller. Memory is bounded: one buffer for output, one for each client. */
#define _GNU_SOURCE
#include "common/ops.h"
#include "common/retry.h"
#include "monitor/attach.h"
#include "monitor/deadline.h"
#include "monitor/log.h"
#include "monitor/streams.h"
#include "supervise/begin.h"
#include "supervise/group.h"
#include "supervise/record.h"
#include "supervise/restart.h"
#include "supervise/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct monitor {
	struct supervised it; /* first: open_files gets it */
	struct attach attach;
	int streams[STREAMS]; /* the container's output; -1 after its end */
	int signals;
	int starter; /* socket for the start of a container that is only initialized, or -1 */
	int log;
	bool ended;
	int status;
	int group;             /* killed when the first process has ended; -1: none */
	int oom_file;          /* counts the OOM kills in it; -1: nothing counts them */
	unsigned long oom_kills; /* of earlier runs */
	struct deadline deadline;
	struct restart restart;
	bool abandoned; /* its owner has gone */
	char **last_act;
};

static void die_at(const struct monitor *monitor, const struct record *record, const char *call)
{
	report_failure(REPORT_FD, record ? record - monitor->it.plan.records : 0, call, errno);
	_exit(125);
}

static void take_terminal(struct monitor *monitor)
{
	const struct record *terminal = plan_find(&monitor->it.plan, OP_terminal);
	struct winsize size = { .ws_col = number(terminal, 0), .ws_row = number(terminal, 1) };

	monitor->attach.is_terminal = true;
	monitor->attach.input = monitor->streams[OUT] = monitor->it.terminal;
	if (size.ws_col && size.ws_row)
		ioctl(monitor->it.terminal, TIOCSWINSZ, &size);
	fcntl(monitor->it.terminal, F_SETFL, O_RDWR | O_NONBLOCK);
}

/* The container runs: its time begins. The status file stays open; the plan is no longer needed. */
static void set_off(struct monitor *monitor)
{
	const struct record *timeout = plan_find(&monitor->it.plan, OP_timeout);

	if (timeout)
		deadline_set(&monitor->deadline, number(timeout, 0));
	restart_begin(&monitor->restart);
	supervise_rest(&monitor->it);
	close(REPORT_FD);
}

/* Open what the process itself does not need: it is on its way already. */
static const char *open_files(struct supervised *it, const struct record **failed)
{
	struct monitor *monitor = (struct monitor *)it;
	const struct record *log = plan_find(&it->plan, OP_log), *attach = plan_find(&it->plan, OP_attach);
	const struct record *group = plan_find(&it->plan, OP_group_kill);
	const struct record *oom_file = plan_find(&it->plan, OP_oom_file);

	*failed = log;
	if (log && (monitor->log = log_open(text(log, 0))) < 0)
		return "open";
	*failed = attach;
	if (restart_prepare(&monitor->restart, it) < 0)
		return "open";
	*failed = group;
	if (group && (monitor->group = open(text(group, 0), O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return "open";
	/* by descriptor, like the group; where the kernel does not count, the file does not exist */
	monitor->oom_file = oom_file ? open(text(oom_file, 0), O_RDONLY | O_CLOEXEC) : -1;
	monitor->oom_kills = count_oom_kills(monitor->oom_file);
	*failed = attach;
	if (!attach || attach_listen(&monitor->attach, text(attach, 0)) < 0)
		return "bind";
	monitor->attach.owner = it->owner;
	if (plan_find(&it->plan, OP_await_start) &&
	    (monitor->starter = listen_in(text(attach, 0), "start", SOCK_SEQPACKET)) < 0)
		return "bind";
	return NULL;
}

static void start(struct monitor *monitor)
{
	const struct record *last_act = plan_find(&monitor->it.plan, OP_finally);
	const char *call;
	int standard[3];
	sigset_t child;

	monitor->log = monitor->group = monitor->oom_file = monitor->starter = -1;
	call = streams_open(&monitor->it.plan, monitor->streams, &monitor->attach.input, standard);
	if (call)
		die_at(monitor, NULL, call);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	monitor->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (monitor->signals < 0)
		die_at(monitor, NULL, "signalfd");
	/* with the host's pid namespace, the container's orphans come to us */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	supervise_start(&monitor->it, standard, open_files);
	for (int i = 0; i < 3; i++)
		if (standard[i] >= 0)
			close(standard[i]);
	if (monitor->it.terminal >= 0)
		take_terminal(monitor);
	if (last_act) {
		monitor->last_act = vector(last_act, 0);
		for (char **word = monitor->last_act; word && *word; word++)
			*word = strdup(*word);
	}
	if (monitor->it.waiting < 0)
		set_off(monitor);
}

/* Somebody wants the initialized container to run. */
static void release(struct monitor *monitor)
{
	int caller = accept4(monitor->starter, NULL, NULL, SOCK_CLOEXEC);

	if (caller < 0)
		return;
	close(monitor->starter);
	monitor->starter = -1;
	if (supervise_release(&monitor->it, caller))
		monitor->last_act = NULL;
	set_off(monitor);
}

/* Copy available output of a stream to the log. Returns false when there is no more for now. */
static bool move_output(struct monitor *monitor, int stream)
{
	static const char *const names[STREAMS] = { "stdout", "stderr" };
	static char buffer[16384];
	int fd = monitor->streams[stream];
	ssize_t got = fd < 0 ? 0 : RETRY(read(fd, buffer, sizeof buffer));

	if (got > 0) {
		log_write(monitor->log, names[stream], buffer, got);
		attach_ring(&monitor->attach);
		return true;
	}
	/* EIO: nothing has the terminal's slave open at the moment; the output ends only with the container */
	if (fd >= 0 && (got == 0 || (errno != EAGAIN && errno != EIO))) {
		if (!monitor->attach.is_terminal)
			close(fd);
		monitor->streams[stream] = -1;
	}
	return false;
}

static void reap(struct monitor *monitor)
{
	struct signalfd_siginfo info;
	int status;

	while (read(monitor->signals, &info, sizeof info) == sizeof info)
		;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (pid == monitor->it.pid) {
			monitor->ended = true;
			monitor->status = status;
		}
}

static void serve_clients(struct monitor *monitor, const struct pollfd *polled)
{
	/* a client that has to wait for the container stops all, so that no other client can close that input */
	for (int i = 0; i < CLIENTS && !monitor->attach.blocked; i++)
		if (polled[i].revents && polled[i].fd == monitor->attach.clients[i].fd)
			attach_read(&monitor->attach, &monitor->attach.clients[i]);
}

/* The container's owner has gone. */
static void end(struct monitor *monitor)
{
	kill(monitor->it.pid, SIGKILL); /* not reaped yet, so the pid is still its own */
	monitor->abandoned = true;
	if (monitor->attach.owner >= 0)
		close(monitor->attach.owner);
	monitor->attach.owner = -1;
	monitor->attach.abandoned = false;
}

/* One iteration: wait for any event and handle it. */
static void turn(struct monitor *monitor)
{
	enum { SIGNALS, OWNER, LISTENER, INPUT, STARTER, FIRST_STREAM, FIRST_CLIENT = FIRST_STREAM + STREAMS,
	       ALL = FIRST_CLIENT + CLIENTS };
	struct attach *attach = &monitor->attach;
	struct pollfd polled[ALL] = {
		[SIGNALS] = { monitor->signals, POLLIN, 0 },
		[OWNER] = { attach->owner, POLLIN, 0 },
		[LISTENER] = { attach->listener, POLLIN, 0 },
		[INPUT] = { attach->blocked ? attach->input : -1, POLLOUT, 0 },
		[STARTER] = { monitor->starter, POLLIN, 0 },
	};

	for (int i = 0; i < STREAMS; i++)
		polled[FIRST_STREAM + i] = (struct pollfd){ monitor->streams[i], POLLIN, 0 };
	for (int i = 0; i < CLIENTS; i++) {
		/* While the container does not read, clients are not read either. A client that disconnects meanwhile is
		 * noticed later: its input must not be lost. */
		int fd = attach->blocked ? -1 : attach->clients[i].fd;
		polled[FIRST_CLIENT + i] = (struct pollfd){ fd, POLLIN, 0 };
	}
	/* the terminal has hung up, for good or until the slave is opened again: look now and then instead of spinning */
	static bool hung_up;
	if (hung_up)
		polled[FIRST_STREAM].fd = -1;
	if (poll(polled, ALL, deadline_wait(&monitor->deadline, hung_up ? 100 : -1)) < 0)
		return;
	if (deadline_strikes(&monitor->deadline))
		kill(monitor->it.pid, SIGKILL); /* not reaped yet, so the pid is still its own */
	hung_up = attach->is_terminal && polled[FIRST_STREAM].revents & POLLHUP && !(polled[FIRST_STREAM].revents & POLLIN);
	for (int i = 0; i < STREAMS; i++)
		if (polled[FIRST_STREAM + i].revents)
			move_output(monitor, i);
	if (polled[LISTENER].revents)
		attach_accept(attach, log_size(monitor->log));
	if (polled[OWNER].revents)
		end(monitor);
	if (polled[INPUT].revents)
		attach_input_ready(attach);
	serve_clients(monitor, polled + FIRST_CLIENT);
	if (attach->abandoned)
		end(monitor);
	if (polled[SIGNALS].revents)
		reap(monitor);
	if (polled[STARTER].revents && !monitor->ended)
		release(monitor);
}

int main(int argc, char **argv)
{
	static struct monitor monitor;

	supervise_begin(&monitor.it, argc, argv);
	start(&monitor);
	while (!monitor.ended)
		turn(&monitor);
	monitor.it.oom_killed = count_oom_kills(monitor.oom_file) > monitor.oom_kills;
	/* asked before the exit is known: what says that it was stopped may go then */
	bool again = !monitor.abandoned && restart_is_wanted(&monitor.restart, &monitor.it, monitor.status);
	if (monitor.group >= 0)
		kill_group(monitor.group, again);
	else
		kill_children();
	for (int stream = 0; stream < STREAMS; stream++)
		while (move_output(&monitor, stream))
			;
	/* as conmon records it */
	if (monitor.deadline.passed && WIFSIGNALED(monitor.status))
		monitor.status = 255 << 8;
	supervise_record_exit(&monitor.it, monitor.status, again);
	supervise_run_last_hooks(&monitor.it);
	if (again)
		restart_now(&monitor.restart, &monitor.it, argv[0]);
	if (monitor.last_act && monitor.last_act[0]) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execv(monitor.last_act[0], monitor.last_act);
	}
	return 0;
}
