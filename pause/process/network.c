#define _GNU_SOURCE
#include "process/network.h"
#include "common/netlink.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

void set_loopback_up(const struct process *process)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail(process, "socket");
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		fail(process, "ioctl");
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail(process, "ioctl");
	close(fd);
}

/* WORDS begins with the name of the interface whose index is missing: it is known only once the interface is here. */
void send_messages(const struct process *process, const struct record *record)
{
	char name[IF_NAMESIZE];
	struct netlink messages;
	int sent;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(text(record, 0), " :"), text(record, 0));
	uint32_t index = if_nametoindex(name);
	if (!index)
		fail(process, "if_nametoindex");
	if (netlink_copy(&messages, record, index) < 0)
		fail(process, "malloc");
	sent = netlink_send(&messages);
	netlink_free(&messages);
	if (sent < 0)
		fail(process, "netlink");
}
