/* Hold ports of the host for as long as the container or pod that publishes them runs. */
#define _GNU_SOURCE
#include "common/hold.h"
#include "common/ops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PROTOCOL, ADDRESS, PORT };
enum { ATTEMPTS = 10 };
enum { FIRST_SAFE_FD = 10 }; /* the infra gets its owner as 3 */

static int fill_address(const struct record *record, int family, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (void *)address;
	struct sockaddr_in6 *six = (void *)address;
	const char *words = text(record, ADDRESS);

	memset(address, 0, sizeof *address);
	address->ss_family = family;
	/* the port is at the same offset in both */
	four->sin_port = htons(number(record, PORT));
	if (!*words)
		return 0;
	errno = EINVAL;
	return inet_pton(family, words, family == AF_INET ? (void *)&four->sin_addr : (void *)&six->sin6_addr) == 1 ? 0 : -1;
}

static int open_socket(const struct record *record, int family)
{
	bool udp = !strcmp(text(record, PROTOCOL), "udp"), sctp = !strcmp(text(record, PROTOCOL), "sctp");

	return socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, udp ? IPPROTO_UDP : sctp ? IPPROTO_SCTP : IPPROTO_TCP);
}

/* A process that gets hold of the socket anyway (a member that may ptrace and shares the infra's pid namespace) must
 * not talk to the host through it: nothing that arrives passes this filter, and it cannot be removed. */
static int make_deaf(int fd)
{
	struct sock_filter nothing = { .code = BPF_RET | BPF_K, .k = 0 };
	struct sock_fprog filter = { 1, &nothing };
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on);
}

/* The previous holder may be just about to end: a pod is restarted, a container replaced. */
static int bind_patiently(int fd, const struct sockaddr_storage *address)
{
	const struct timespec pause = { 0, 5000000 };

	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		if (bind(fd, (const void *)address, sizeof *address) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -1;
		nanosleep(&pause, NULL);
	}
	errno = EADDRINUSE;
	return -1;
}

/* All addresses: one IPv6 socket that covers IPv4 as well; on a host without IPv6, an IPv4 socket. */
static int hold_one(const struct record *record, const char **call)
{
	const char *words = text(record, ADDRESS);
	struct sockaddr_storage address;
	int only_six = *words != '\0', family = *words && !strchr(words, ':') ? AF_INET : AF_INET6;

	*call = "socket";
	int fd = open_socket(record, family);
	if (fd < 0 && !*words && errno == EAFNOSUPPORT)
		fd = open_socket(record, family = AF_INET);
	if (fd < 0)
		return -1;
	*call = "fcntl";
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD), error = errno;
	close(fd);
	errno = error;
	if (high < 0)
		return -1;
	*call = "setsockopt";
	if (make_deaf(high) < 0)
		goto failed;
	*call = "bind";
	if (family == AF_INET6)
		setsockopt(high, IPPROTO_IPV6, IPV6_V6ONLY, &only_six, sizeof only_six);
	/* without SO_REUSEADDR: two sockets that are bound and do not listen could share the port */
	if (fill_address(record, family, &address) == 0 && bind_patiently(high, &address) == 0)
		return high;
failed:
	error = errno;
	close(high);
	errno = error;
	return -1;
}

/* A range of ports may be larger than the login's limit of open files. */
static void raise_limits(struct held *held)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &held->files) < 0)
		return;
	most = (struct rlimit){ held->files.rlim_max, held->files.rlim_max };
	setrlimit(RLIMIT_NOFILE, &most);
}

int hold_ports(struct held *held, const struct plan *plan, const char **call)
{
	uint32_t wanted = 0;

	memset(held, 0, sizeof *held);
	for (uint32_t i = 0; i < plan->count && plan->records[i].operation != OP_clone; i++)
		wanted += plan->records[i].operation == OP_hold;
	if (!wanted)
		return -1;
	held->sockets = calloc(wanted, sizeof *held->sockets);
	*call = "malloc";
	if (!held->sockets)
		return plan_find(plan, OP_hold) - plan->records;
	raise_limits(held);
	for (uint32_t i = 0; held->count < wanted; i++) {
		if (plan->records[i].operation != OP_hold)
			continue;
		int fd = hold_one(&plan->records[i], call);
		if (fd < 0) {
			int error = errno;
			hold_release(held); /* now: the caller may ask for the other ports as soon as it hears of the failure */
			errno = error;
			return i;
		}
		held->sockets[held->count++] = fd;
	}
	return -1;
}

void hold_release(struct held *held)
{
	for (uint32_t i = 0; i < held->count; i++)
		close(held->sockets[i]);
	held->count = 0;
}

void hold_forgo(struct held *held)
{
	hold_release(held);
	if (held->files.rlim_max)
		setrlimit(RLIMIT_NOFILE, &held->files);
}

void hold_across_exec(const struct held *held)
{
	for (uint32_t i = 0; i < held->count; i++)
		fcntl(held->sockets[i], F_SETFD, 0);
}

bool hold_is_handed_on(const struct plan *plan)
{
	const struct record *program = plan_find(plan, OP_execute_file);

	return program && !strcmp(text(program, 1), "pypod-infra");
}
