/* Cgroups by descriptor: a path may be the group of a later run. */
#define _GNU_SOURCE
#include "group.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int open_group(const char *directory)
{
	return *directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* The pids of a group's members as lines, as many as fit; "" when there are none. The last line may be cut. */
static void read_members(int directory, char content[4096])
{
	int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : RETRY(read(fd, content, 4095));

	if (fd >= 0)
		close(fd);
	content[length > 0 ? length : 0] = '\0';
}

/* The number may have passed to a stranger since it was read: who is a member after the descriptor is open is one. */
static void kill_member(int directory, pid_t pid)
{
	int fd = pid > 0 ? syscall(SYS_pidfd_open, pid, 0) : -1;
	char content[4096];

	if (fd < 0)
		return;
	read_members(directory, content);
	for (char *rest = content, *line; (line = strsep(&rest, "\n")) && rest;)
		if (atoi(line) == pid)
			syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	close(fd);
}

/* By descriptor: by its path it may be the group of a later run. cgroup.kill (Linux 5.14) does it in one write; before,
 * and on v1, until a pass finds nobody. */
void kill_group(int directory)
{
	char content[4096];
	int fd = openat(directory, "cgroup.kill", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t written = write(fd, "1", 1);
		close(fd);
		if (written == 1)
			return;
	}
	for (int pass = 0; pass < 100; pass++) {
		read_members(directory, content);
		if (!*content)
			return;
		for (char *rest = content, *line; (line = strsep(&rest, "\n")) && rest;)
			kill_member(directory, atoi(line));
		struct timespec pause = { 0, 1000000 };
		nanosleep(&pause, NULL);
	}
}
