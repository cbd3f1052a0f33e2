/* Cgroups by descriptor: by path it could be the group of a later run. */
#define _GNU_SOURCE
#include "supervise/group.h"
#include "common/lines.h"
#include "common/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int open_group(const char *directory)
{
	return *directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* The pids of a group's members, one per line, as many as fit; "" when there are none. The last line may be cut. */
static void read_members(int directory, char content[4096])
{
	int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? 0 : RETRY(read(fd, content, 4095));

	if (fd >= 0)
		close(fd);
	content[length > 0 ? length : 0] = '\0';
}

/* The pid may have been reused since it was read: check the membership again once the pidfd is open. */
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

/* Whether there are processes in the group or below it; on v1, in the group. */
static bool is_populated(int directory)
{
	char content[4096];
	int fd = openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		read_members(directory, content);
		return *content;
	}
	ssize_t length = RETRY(read(fd, content, sizeof content - 1));
	close(fd);
	content[length > 0 ? length : 0] = '\0';
	return number_after(content, "populated ", 1) != 0;
}

/* By descriptor: by path it could be the group of a later run. cgroup.kill (Linux 5.14) takes one write; before that,
 * on v1, and where it must not be used, repeat until a pass finds no members. */
void kill_group(int directory, bool is_used_again)
{
	char content[4096];

	if (!is_populated(directory)) /* as after the end of a pid namespace */
		return;
	int fd = is_used_again ? -1 : openat(directory, "cgroup.kill", O_WRONLY | O_CLOEXEC);
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

/* Orphans of the container in our own pid namespace are our children by now, or become so when their parent exits. A
 * process whose child forks faster than we kill may escape. */
void kill_children(void)
{
	char path[64], content[4096];

	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	for (int pass = 0; pass < 10000; pass++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t got = fd < 0 ? 0 : RETRY(read(fd, content, sizeof content - 1));
		if (fd >= 0)
			close(fd);
		if (got <= 0)
			return;
		content[got] = '\0';
		/* not reaped yet, so the pids are still theirs; the last one may be cut */
		for (char *rest = content, *word; (word = strsep(&rest, " ")) && rest;)
			if (*word && kill(atoi(word), SIGKILL) == 0)
				waitpid(atoi(word), NULL, 0);
	}
}

/* `oom_kill N` in memory.events of v2, memory.oom_control of v1. The group is removed soon after the container's end,
 * too soon for anyone else to read it. */
unsigned long count_oom_kills(int file)
{
	char content[512];
	ssize_t length = file < 0 ? 0 : RETRY(pread(file, content, sizeof content - 1, 0));

	content[length > 0 ? length : 0] = '\0';
	return number_after(content, "oom_kill ", 0);
}
