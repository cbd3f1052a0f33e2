#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int report_send(int socket, const struct report *report, int fd_passed)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { (void *)report, sizeof *report };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };

	if (fd_passed >= 0) {
		memset(&control, 0, sizeof control);
		message.msg_control = control.room;
		message.msg_controllen = sizeof control.room;
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd_passed, sizeof(int));
	}
	ssize_t sent = RETRY(sendmsg(socket, &message, MSG_NOSIGNAL));
	if (sent < 0 && errno == ENOTSOCK) /* Python reads plain starts from a pipe: cheaper there than a socket */
		sent = RETRY(write(socket, report, sizeof *report));
	return sent == sizeof *report ? 0 : -1;
}

ssize_t receive(int socket, void *content, size_t size, int *fd_passed)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { content, size };
	struct msghdr message = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room
	};

	*fd_passed = -1;
	ssize_t got = RETRY(recvmsg(socket, &message, MSG_CMSG_CLOEXEC));
	struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		memcpy(fd_passed, CMSG_DATA(header), sizeof(int));
	return got;
}

int report_receive(int socket, struct report *report, int *fd_passed)
{
	ssize_t got = receive(socket, report, sizeof *report, fd_passed);

	if (got <= 0)
		return (int)got;
	if (got != sizeof *report) {
		errno = EBADMSG;
		return -1;
	}
	return 1;
}

int report_failure(int socket, uint32_t operation, const char *call, int error)
{
	struct report report = { .kind = REPORT_FAILED, .operation = operation, .error = error };

	strncpy(report.call, call, sizeof report.call - 1);
	return report_send(socket, &report, -1);
}

/* Read a small file of /proc; "" and errno when that fails. */
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
	const char *line = strstr(content, "\nPid:");
	if (!line && *content)
		errno = ESRCH;
	return line ? atoi(line + 5) : 0;
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
	/* the number is pinned by the descriptor now: what /proc says is about this process or about nothing */
	if (expected && start_time(pid) != expected) {
		close(fd);
		errno = ESRCH;
		return -1;
	}
	return fd;
}
