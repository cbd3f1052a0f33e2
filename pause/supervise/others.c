#define _GNU_SOURCE
#include "supervise/others.h"
#include "common/identity.h"
#include "common/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static void join_path(uint32_t i, const struct record *record)
{
	int fd = open(text(record, 1), O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: do not wait for a FIFO's writer */

	if (fd < 0)
		die(i, "open");
	if (setns(fd, number(record, 0)) < 0)
		die(i, "setns");
	close(fd);
}

void open_others(const struct supervised *it, struct other others[OTHERS])
{
	bool before_clone = true;

	memset(others, 0, OTHERS * sizeof *others);
	for (uint32_t i = 0; i < it->plan.count; i++) {
		const struct record *record = &it->plan.records[i];
		uint32_t first = record->operation == OP_capture ? 1 : 0;
		int known = 0;

		before_clone = before_clone && record->operation != OP_clone;
		if (before_clone && record->operation == OP_join_path)
			join_path(i, record);
		if (record->operation != OP_join && record->operation != OP_capture)
			continue;
		while (known < OTHERS && others[known].pid && others[known].pid != number(record, first))
			known++;
		errno = EMFILE;
		if (known == OTHERS)
			die(i, "pidfd_open");
		if (!others[known].pid) {
			others[known].pid = number(record, first);
			others[known].fd = open_process(number(record, first), number(record, first + 1));
			if (others[known].fd < 0)
				die(i, "pidfd_open");
		}
		if (before_clone && setns(others[known].fd, CLONE_NEWPID) < 0)
			die(i, "setns");
	}
}

void close_others(const struct other others[OTHERS])
{
	for (int i = 0; i < OTHERS && others[i].pid; i++)
		close(others[i].fd);
}
