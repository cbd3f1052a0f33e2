/* The infra of a pod: keeps its namespaces alive, reaps orphans, exits on TERM and INT. Nothing else.
 *
 * The first argument is the number of a pidfd: the pod belongs to that process and ends with it. The second is a
 * process name: we then hold a user's session, which is a user namespace in the host's pid namespace.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	sigset_t all;
	/* The kernel drops a signal that pid 1 has no handler for, unless it is blocked and read: block first. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);

	struct pollfd watched[2] = {
		{ .fd = signalfd(-1, &all, SFD_CLOEXEC), .events = POLLIN },
		{ .fd = argc > 1 ? atoi(argv[1]) : -1, .events = POLLIN },
	};
	if (watched[0].fd < 0)
		return 1;
	/* in a shared pid namespace members could otherwise read and ptrace us: we hold the pod's namespaces */
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NAME, argc > 2 ? argv[2] : "pypod-infra"); /* execveat(2) would leave the file's name */

	for (;;) {
		struct signalfd_siginfo signal;

		if (poll(watched, 2, -1) < 0)
			continue;
		if (watched[1].revents)
			return 0;
		if (read(watched[0].fd, &signal, sizeof signal) != sizeof signal)
			continue;
		/* Not from inside, where the sender has a pid. A member of a shared pid namespace must not be able to end
		 * the pod, and cannot send us SIGKILL anyway (pid_namespaces(7)). */
		if ((signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT) && (!signal.ssi_pid || getpid() != 1))
			return 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
