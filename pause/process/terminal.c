/* A pseudo-terminal from the container's own devpts: the host's terminal never goes in (no TIOCSTI into it). */
#define _GNU_SOURCE
#include "process/terminal.h"
#include "root/mount_api.h"
#include "root/places.h"
#include "root/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

static int open_master(const struct process *process)
{
	char path[32] = "/dev/ptmx";
	struct stat st;
	int there = -1;

	if (process->root >= 0) { /* before the root changes: resolve inside it, reopen through the host's /proc */
		there = must_resolve(process, "/dev/pts/ptmx", 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", there);
	}
	/* O_NONBLOCK: an image may have a FIFO there, which would block us forever */
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
		int target = must_resolve(process, "/dev/console", 0);
		int tree = open_tree_at(slave, "", EMPTY_PATH);
		if (tree < 0)
			fail(process, "open_tree");
		place_mount(process, "/dev/console", tree, target);
	}
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		fail(process, "ioctl");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			fail(process, "dup2");
	close(master);
	close(slave);
}
