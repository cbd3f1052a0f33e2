#define _GNU_SOURCE
#include "supervise/score.h"
#include "common/clone.h"
#include "common/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The file of a process that is not dumpable belongs to root, whatever the process's user (proc(5)). We are in no
 * container's namespace yet, so only our caller could look into us meanwhile. */
int open_score(const struct supervised *it)
{
	const struct record *record = plan_find(&it->plan, OP_oom_score);

	if (!record)
		return -1;
	prctl(PR_SET_DUMPABLE, 1);
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	prctl(PR_SET_DUMPABLE, 0);
	if (fd < 0)
		die(position(it, record), "open");
	return fd;
}

static void write_score(const struct supervised *it, const struct record *record, const char *value)
{
	if (write(it->score, value, strlen(value)) < 0)
		die(position(it, record), "write");
}

pid_t clone_with_score(const struct supervised *it, uint64_t flags, int group)
{
	const struct record *record = plan_find(&it->plan, OP_oom_score);
	char before[16] = "";
	pid_t pid;

	if (!record)
		return clone_process(flags, group);
	if (pread(it->score, before, sizeof before - 1, 0) < 0)
		die(position(it, record), "read");
	write_score(it, record, text(record, 0));
	pid = clone_process(flags, group);
	int error = errno;
	if (pid != 0)
		write_score(it, record, before);
	close(it->score);
	errno = error;
	return pid;
}
