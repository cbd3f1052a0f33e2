/* --init: a container's first process. Starts the command, forwards signals, reaps, exits with the command's code. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	sigset_t all, before;
	int first = argc > 1 && !strcmp(argv[1], "--") ? 2 : 1;

	if (first >= argc) {
		fputs("usage: init [--] COMMAND [ARGUMENT...]\n", stderr);
		return 127;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t child = fork();
	if (child < 0) {
		perror("init: fork");
		return 126;
	}
	if (child == 0) {
		/* its own process group in the foreground of the terminal, as a shell does for a job */
		setpgid(0, 0);
		if (isatty(0)) {
			signal(SIGTTOU, SIG_IGN);
			tcsetpgrp(0, getpid());
			signal(SIGTTOU, SIG_DFL);
		}
		sigprocmask(SIG_SETMASK, &before, NULL);
		execvp(argv[first], argv + first);
		fprintf(stderr, "init: %s: %s\n", argv[first], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	for (;;) {
		siginfo_t signal;
		int status;

		if (sigwaitinfo(&all, &signal) < 0)
			continue;
		if (signal.si_signo != SIGCHLD) {
			kill(child, signal.si_signo);
			continue;
		}
		for (pid_t gone; (gone = waitpid(-1, &status, WNOHANG)) > 0;)
			if (gone == child)
				return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}
