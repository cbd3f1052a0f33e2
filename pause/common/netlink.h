#ifndef PYPOD_COMMON_NETLINK_H
#define PYPOD_COMMON_NETLINK_H

#include "common/plan.h"

/* Messages that Python packed, with places where a number is still missing. */
struct netlink {
	int family;
	char *messages; /* NULL: none */
	uint32_t size;
};

/* Copy the messages of a record (WORDS FAMILY MESSAGES OFFSET...) and put `missing` at each offset; -1 with errno. */
int netlink_copy(struct netlink *it, const struct record *record, uint32_t missing);
/* Send them in this network namespace and wait for the kernel's answers; -1 with the errno of the first error. */
int netlink_send(const struct netlink *it);
void netlink_free(struct netlink *it);

#endif
