#define _GNU_SOURCE
#include "common/report.h"
#include "common/retry.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
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
	if (sent < 0 && errno == ENOTSOCK) /* for plain starts Python uses a pipe: cheaper than a socket */
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
