/* A program that works beside a process for as long as that runs: pasta for its network, fuse-overlayfs for its root.
 *
 * Between the two is a watcher, the first process of a pid namespace: when the process has ended the watcher goes, and
 * the kernel kills what is left in the namespace (pid_namespaces(7)), which nothing that the program starts can leave.
 * The same happens when somebody kills the watcher. */
#define _GNU_SOURCE
#include "companion.h"
#include "ops.h"
#include "perform.h"
#include "record.h"
#include "report.h"
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIRECTORY, BOOT_ID, PROGRAM }; /* arguments */
enum { PATIENCE_MS = 30000 };

/* What the watcher tells the supervisor, once. */
struct verdict {
	int error; /* 0: ready */
	char call[16];
};

static noreturn void give_up(int told, const char *call)
{
	struct verdict verdict = { .error = errno };

	strcpy(verdict.call, call);
	(void)!write(told, &verdict, sizeof verdict);
	_exit(1);
}

/* What was handed over has a number that the program is told: /proc/self/fd/0 is a path of a namespace that needs no
 * right to look into the process, which nobody may before its exec, and that a program which closes all it does not know
 * keeps. */
static pid_t run(const struct record *record, int handed, int number, int output, int told)
{
	char **words = vector(record, PROGRAM), *environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t program;

	errno = ENOMEM;
	if (!words || posix_spawn_file_actions_init(&actions) || posix_spawnattr_init(&attributes) ||
	    posix_spawn_file_actions_adddup2(&actions, output, 1) ||
	    posix_spawn_file_actions_adddup2(&actions, handed, number))
		give_up(told, "malloc");
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	errno = posix_spawn(&program, words[0], &actions, &attributes, words, environment);
	if (errno)
		give_up(told, "execve");
	return program;
}

/* A program says that it is ready by closing its standard output. One that writes something before (slirp4netns with
 * --ready-fd=1) stays as it is; of one that does not (pasta), the process that we started has ended by then, well or
 * badly, and a child of that goes on. */
static void wait_until_ready(pid_t program, int output, int told)
{
	char byte;
	int status;

	if (RETRY(read(output, &byte, 1)) == 1)
		return;
	if (RETRY(waitpid(program, &status, 0)) == program && status == 0)
		return;
	errno = ECHILD;
	give_up(told, "exit");
}

/* Until the process has ended, or all of the program. */
static noreturn void stay(int process, int signals)
{
	struct pollfd polled[] = { { process, POLLIN, 0 }, { signals, POLLIN, 0 } };
	struct signalfd_siginfo info;
	pid_t reaped;

	for (;;) {
		do
			reaped = waitpid(-1, NULL, WNOHANG);
		while (reaped > 0);
		if (reaped < 0 && errno == ECHILD)
			_exit(1);
		if (RETRY(poll(polled, 2, -1)) > 0 && polled[0].revents)
			_exit(0);
		while (read(signals, &info, sizeof info) > 0)
			;
	}
}

static void close_all_but(const int *kept, int count)
{
	for (int fd = 3, i; fd < 1024; fd++) {
		for (i = 0; i < count && kept[i] != fd; i++)
			;
		if (i == count)
			close(fd);
	}
	syscall(SYS_close_range, 1024, ~0U, 0);
}

static noreturn void watch(const struct record *record, int handed, int number, int process, int log, int told)
{
	int ready[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t children;

	prctl(PR_SET_NAME, record->operation == OP_companion ? "pypod-network" : "pypod-root");
	setsid();
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	if (null < 0 || signals < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0 ||
	    pipe2(ready, O_CLOEXEC) < 0)
		give_up(told, "pipe2");
	/* what the supervisor holds open is nobody else's: the end of its pipes and sockets tells others something */
	int kept[] = { process, told, signals, handed, ready[0], ready[1] };
	close_all_but(kept, sizeof kept / sizeof *kept);
	pid_t program = run(record, handed, number, ready[1], told);
	close(ready[1]);
	close(handed);
	wait_until_ready(program, ready[0], told);
	close(ready[0]);
	dup2(0, 2);
	struct verdict well = { 0 };
	if (RETRY(write(told, &well, sizeof well)) != sizeof well)
		_exit(1);
	close(told);
	stay(process, signals);
}

static int hear(int told, pid_t watcher, const char **call)
{
	static struct verdict verdict;
	struct pollfd polled = { told, POLLIN, 0 };

	*call = "poll";
	errno = ETIMEDOUT;
	if (RETRY(poll(&polled, 1, PATIENCE_MS)) == 1) {
		if (RETRY(read(told, &verdict, sizeof verdict)) == sizeof verdict) {
			*call = verdict.call;
			errno = verdict.error;
		} else {
			errno = EPIPE;
		}
	}
	if (errno == 0)
		return 0;
	int error = errno;
	kill(watcher, SIGKILL);
	errno = error;
	return -1;
}

int companion_start(const struct record *record, pid_t process, int handed, int number, const char **call)
{
	char path[PATH_MAX];
	int told[2], watched = syscall(SYS_pidfd_open, process, 0);

	*call = "pidfd_open";
	if (watched < 0)
		return -1;
	snprintf(path, sizeof path, "%s/log", text(record, DIRECTORY));
	*call = "open";
	int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (log < 0)
		return -1;
	*call = "pipe2";
	if (pipe2(told, O_CLOEXEC) < 0)
		return -1;
	*call = "clone3";
	pid_t watcher = clone_process(CLONE_NEWPID, -1);
	if (watcher < 0)
		return -1;
	if (watcher == 0)
		watch(record, handed, number, watched, log, told[1]);
	close(watched);
	close(log);
	close(told[1]);
	int heard = hear(told[0], watcher, call), error = errno;
	close(told[0]);
	errno = error;
	if (heard < 0)
		return -1;
	*call = "write";
	snprintf(path, sizeof path, "%s/status", text(record, DIRECTORY));
	struct recorded recorded = { .pid = watcher, .start_time = start_time(watcher) };
	int status = record_start(path, text(record, BOOT_ID), &recorded);
	if (status < 0) {
		error = errno;
		kill(watcher, SIGKILL);
		errno = error;
		return -1;
	}
	close(status);
	return 0;
}
