/* Send packed netlink messages; pypod/kernel/netlink.py packs them. See netlink(7). */
#define _GNU_SOURCE
#include "common/netlink.h"
#include "common/retry.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORDS, FAMILY, MESSAGES, FIRST_OFFSET };
enum { MESSAGES_LIMIT = 1 << 28 };

int netlink_copy(struct netlink *it, const struct record *record, uint32_t missing)
{
	it->messages = NULL;
	it->family = number(record, FAMILY);
	it->size = length(record, MESSAGES);
	errno = EBADMSG;
	if (it->size > MESSAGES_LIMIT)
		return -1;
	it->messages = malloc(it->size + 1);
	if (!it->messages)
		return -1;
	memcpy(it->messages, text(record, MESSAGES), it->size);
	for (uint32_t i = FIRST_OFFSET; i < record->count; i++) {
		uint64_t offset = number(record, i);
		if (it->size < sizeof missing || offset > it->size - sizeof missing) {
			netlink_free(it);
			errno = EBADMSG;
			return -1;
		}
		memcpy(it->messages + offset, &missing, sizeof missing);
	}
	return 0;
}

/* The number of messages in `size` bytes that want an answer. The size is signed: NLMSG_NEXT subtracts the padding of a
 * message, which the last one may lack. */
static int answers(const char *messages, int size)
{
	int wanted = 0;

	for (const struct nlmsghdr *header = (const void *)messages; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size))
		wanted += !!(header->nlmsg_flags & NLM_F_ACK);
	return wanted;
}

/* Count the acknowledgements in what was received; -1 with errno when there is an error among them. */
static int read_answers(const char *received, int size)
{
	int found = 0;

	for (const struct nlmsghdr *header = (const void *)received; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
		const struct nlmsgerr *error = NLMSG_DATA(header);
		if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_len < NLMSG_LENGTH(sizeof *error))
			continue;
		if (error->error) {
			errno = -(int64_t)error->error;
			return -1;
		}
		found++;
	}
	return found;
}

/* The firewall's socket is kept: closing one makes the caller wait until elements that anybody just deleted are freed,
 * about 10 ms (nft_rcv_nl_event in net/netfilter/nf_tables_api.c). */
static int open_socket(int family)
{
	static int firewall = -1;

	if (family != NETLINK_NETFILTER)
		return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
	if (firewall < 0)
		firewall = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
	return firewall;
}

int netlink_send(const struct netlink *it)
{
	char received[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	int fd = open_socket(it->family), result = -1;
	int wanted = answers(it->messages, it->size);

	if (fd < 0)
		return -1;
	if (it->size > 1 << 16) { /* everything is one datagram, however many ports it covers */
		int room = 2 * it->size;
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
	}
	if (RETRY(send(fd, it->messages, it->size, 0)) == (ssize_t)it->size)
		result = 0;
	while (result == 0 && wanted > 0) {
		ssize_t got = RETRY(recv(fd, received, sizeof received, 0));
		int found = got < 0 ? -1 : read_answers(received, got);
		if (found < 0)
			result = -1;
		wanted -= found;
	}
	int error = errno;
	if (it->family != NETLINK_NETFILTER)
		close(fd);
	errno = error;
	return result;
}

void netlink_free(struct netlink *it)
{
	int error = errno;

	free(it->messages);
	it->messages = NULL;
	errno = error;
}
