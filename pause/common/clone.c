#define _GNU_SOURCE
#include "common/clone.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t clone_process(uint64_t flags, int group)
{
	struct clone_args args = { .flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD };

	if (group >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = group;
	}
	return syscall(SYS_clone3, &args, sizeof args);
}
