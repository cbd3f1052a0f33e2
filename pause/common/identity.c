#define _GNU_SOURCE
#include "common/identity.h"
#include "common/lines.h"
#include "common/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Read a small file in /proc; "" with errno on failure. */
static void read_small(const char *path, char content[1024])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : RETRY(read(fd, content, 1023));
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	content[length > 0 ? length : 0] = '\0';
}

pid_t process_number(int pidfd)
{
	char path[48], content[1024];

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
	read_small(path, content);
	bool there = *content;
	pid_t pid = number_after(content, "Pid:", 0);
	if (!pid && there)
		errno = ESRCH;
	return pid;
}

uint64_t start_time(pid_t pid)
{
	char path[32], content[1024];

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	read_small(path, content);
	/* the name in field 2 may hold spaces and parentheses: count from the last one */
	char *at = strrchr(content, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

int open_process(pid_t pid, uint64_t expected)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return -1;
	/* the descriptor pins the number: /proc now describes this process or none */
	if (expected && start_time(pid) != expected) {
		close(fd);
		errno = ESRCH;
		return -1;
	}
	return fd;
}
