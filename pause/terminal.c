/* A pseudo-terminal of the container's own devpts: the host's terminal never goes in (no TIOCSTI into it). */
#define _GNU_SOURCE
#include "perform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

static int open_master(struct process *process)
{
	char path[32] = "/dev/ptmx";
	struct stat st;
	int there = -1;

	if (process->root >= 0) { /* before the root changes: resolve inside it, reopen through the host's /proc */
		const char *call;
		there = resolve(process, "/dev/pts/ptmx", 0, &call);
		if (there < 0)
			fail(process, call);
		snprintf(path, sizeof path, "/proc/self/fd/%d", there);
	}
	/* O_NONBLOCK: an image may have put a FIFO there, which would hold us for ever */
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fail(process, "open");
	if (fstat(fd, &st) < 0)
		fail(process, "fstat");
	if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != 5 || minor(st.st_rdev) != 2) {
		errno = ENODEV;
		fail(process, "fstat");
	}
	if (there >= 0)
		close(there);
	return fd;
}

void open_terminal(struct process *process, bool bind_console)
{
	struct report report = { .kind = REPORT_TERMINAL };
	int unlock = 0, master = open_master(process);

	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		fail(process, "ioctl");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		fail(process, "ioctl");
	if (report_send(process->report, &report, master) < 0)
		fail(process, "sendmsg");
	if (bind_console) {
		const char *call;
		int target = resolve(process, "/dev/console", 0, &call);
		int tree = syscall(SYS_open_tree, slave, "", 0x1000 | 1 | O_CLOEXEC);
		if (target < 0)
			fail(process, call);
		if (tree < 0)
			fail(process, "open_tree");
		attach(process, "/dev/console", tree, target);
	}
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		fail(process, "ioctl");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			fail(process, "dup2");
	close(master);
	close(slave);
}
