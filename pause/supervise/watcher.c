/* The watcher of a program that runs beside a process, and how such a program says that it is ready.
 *
 * We copy the program's output to the log, which is our standard error: a security module may not let the program write
 * to any file of the user (Fedora's does that to pasta). */
#define _GNU_SOURCE
#include "supervise/watcher.h"
#include "common/ops.h"
#include "common/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_BYTES = 4096, READY_FD = 3, ROOT_FD = 4 };

/* Where a program that takes requests listens. Relative to DIRECTORY, whose path may be too long for unix(7). */
#define SOCKET "api"

static noreturn void give_up(int told, const char *call)
{
	struct verdict verdict = { .error = errno };

	strcpy(verdict.call, call);
	(void)!write(told, &verdict, sizeof verdict);
	_exit(1);
}

/* The program knows the number of the descriptor that was handed over: /proc/self/fd/0 is a path to a network namespace
 * that needs no permission to look into the process, which nobody has before its exec, and that survives in a program
 * that closes all descriptors it does not know. */
static pid_t run(const struct record *record, int handed, int output, int said, int ready, int told)
{
	char **words = vector(record, SIDECAR_PROGRAM), *environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t program;

	errno = ENOMEM;
	if (!words || posix_spawn_file_actions_init(&actions) || posix_spawnattr_init(&attributes) ||
	    posix_spawn_file_actions_adddup2(&actions, output, 1) ||
	    posix_spawn_file_actions_adddup2(&actions, said, 2) ||
	    posix_spawn_file_actions_adddup2(&actions, ready, READY_FD) ||
	    posix_spawn_file_actions_adddup2(&actions, handed, record->operation == OP_sidecar ? 0 : ROOT_FD))
		give_up(told, "malloc");
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	errno = posix_spawn(&program, words[0], &actions, &attributes, words, environment);
	if (errno)
		give_up(told, "execve");
	return program;
}

/* Copy output to the log. False at EOF, and when there is none. */
static bool keep(int said)
{
	char bytes[4096];
	ssize_t got = RETRY(read(said, bytes, sizeof bytes));

	if (got > 0)
		(void)!write(2, bytes, got);
	return got > 0;
}

/* Wait for one of two, and copy the program's output meanwhile: it would block once the pipe is full. */
static void wait_keeping(struct pollfd polled[2], int said)
{
	struct pollfd all[] = { polled[0], polled[1], { said, POLLIN, 0 } };

	do
		if (RETRY(poll(all, 3, -1)) > 0 && all[2].revents && !keep(said))
			all[2].fd = -1;
	while (!all[0].revents && !all[1].revents);
	polled[0].revents = all[0].revents;
	polled[1].revents = all[1].revents;
}

/* At most what a pipe holds: another process may go on writing. */
static void keep_last_words(int said)
{
	for (int i = 0; i < 16 && keep(said); i++)
		;
}

/* A program signals that it is ready with a byte on descriptor 3 (slirp4netns --ready-fd) and stays in the foreground,
 * or by closing its standard output (pasta): then the process that we started has exited, successfully or not, and a
 * child of it continues. Anything it writes to its standard output meanwhile is ignored. */
static void wait_until_ready(pid_t program, int output, int said, int ready, int told)
{
	struct pollfd polled[] = { { output, POLLIN, 0 }, { ready, POLLIN, 0 } };
	char bytes[512];
	int status;

	for (;;) {
		wait_keeping(polled, said);
		if (polled[1].revents && RETRY(read(ready, bytes, sizeof bytes)) > 0)
			return;
		if (polled[1].revents)
			polled[1].fd = -1;
		if (polled[0].revents && RETRY(read(output, bytes, sizeof bytes)) <= 0)
			break;
	}
	if (RETRY(waitpid(program, &status, 0)) == program && status == 0)
		return;
	keep_last_words(said);
	errno = ECHILD;
	give_up(told, "exit");
}

/* One request per connection, as slirp4netns(1) requires. The answer is an object with `return` or with `error`. */
static void ask(const char *request, size_t length, int said, int told)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	char answer[ANSWER_BYTES + 1];
	size_t got = 0;
	ssize_t more;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		give_up(told, "connect");
	if (RETRY(send(fd, request, length, MSG_NOSIGNAL)) != (ssize_t)length || shutdown(fd, SHUT_WR) < 0)
		give_up(told, "send");
	struct pollfd polled[] = { { fd, POLLIN, 0 }, { -1, 0, 0 } };
	do {
		wait_keeping(polled, said);
		more = RETRY(read(fd, answer + got, ANSWER_BYTES - got));
		got += more > 0 ? more : 0;
	} while (more > 0);
	close(fd);
	answer[got] = '\0';
	for (const char *at = answer; (at = strchr(at, '"')); at++)
		if (strncmp(at, "\"return\"", strlen("\"return\"")) == 0)
			return;
	keep_last_words(said);
	dprintf(2, "%.*s: %s\n", (int)length, request, answer);
	errno = EADDRINUSE; /* the answer has no reason: a port that was free before is taken by now */
	give_up(told, "request");
}

static void ask_all(const char *requests, int said, int told)
{
	for (size_t length; *requests; requests += length + (requests[length] != '\0')) {
		length = strcspn(requests, "\n");
		ask(requests, length, said, told);
	}
	unlink(SOCKET); /* no further requests */
}

/* Until the process has ended, or all processes of the program. */
static noreturn void stay(int process, int signals, int said)
{
	struct pollfd polled[] = { { process, POLLIN, 0 }, { signals, POLLIN, 0 } };
	struct signalfd_siginfo info;
	pid_t reaped;

	for (;;) {
		do
			reaped = waitpid(-1, NULL, WNOHANG);
		while (reaped > 0);
		if (reaped < 0 && errno == ECHILD) {
			keep_last_words(said);
			_exit(1);
		}
		wait_keeping(polled, said);
		if (polled[0].revents)
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

noreturn void watch(const struct record *record, int handed, int process, int log, int told)
{
	int output[2], said[2], ready[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t children;

	prctl(PR_SET_NAME, record->operation == OP_sidecar ? "pypod-network" : "pypod-root");
	setsid();
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	if (null < 0 || signals < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0 ||
	    pipe2(output, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		give_up(told, "pipe2");
	/* the supervisor's descriptors must not stay open here: others wait for EOF on its pipes and sockets */
	int kept[] = { process, told, signals, handed, output[0], output[1], said[0], said[1], ready[0], ready[1] };
	close_all_but(kept, sizeof kept / sizeof *kept);
	const char *requests = text(record, SIDECAR_REQUESTS);
	if (*requests && chdir(text(record, SIDECAR_DIRECTORY)) < 0)
		give_up(told, "chdir");
	fcntl(said[0], F_SETFL, O_NONBLOCK);
	pid_t program = run(record, handed, output[1], said[1], ready[1], told);
	close(output[1]);
	close(said[1]);
	close(ready[1]);
	close(handed);
	wait_until_ready(program, output[0], said[0], ready[0], told);
	close(ready[0]); /* the other stays open: later output there must not end the program by SIGPIPE */
	if (*requests)
		ask_all(requests, said[0], told);
	struct verdict well = { 0 };
	if (RETRY(write(told, &well, sizeof well)) != sizeof well)
		_exit(1);
	close(told);
	stay(process, signals, said[0]);
}
