/* Access to devices in a v2 cgroup: a program decides, which the cgroup keeps (BPF_CGROUP_DEVICE). */
#define _GNU_SOURCE
#include "supervise/devices.h"
#include "common/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DIRECTORY, REQUIRED, PROGRAM, INSTRUCTION_BYTES = 8 };

/* Kernels before 5.11 count the program as locked memory. */
static int load(const struct record *record)
{
	union bpf_attr attr;
	struct rlimit before, more;

	memset(&attr, 0, sizeof attr);
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)text(record, PROGRAM);
	attr.insn_cnt = length(record, PROGRAM) / INSTRUCTION_BYTES;
	attr.license = (uintptr_t)"GPL";
	int program = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
	if (program >= 0 || errno != EPERM || getrlimit(RLIMIT_MEMLOCK, &before) < 0)
		return program;
	more.rlim_cur = more.rlim_max = RLIM_INFINITY;
	if (setrlimit(RLIMIT_MEMLOCK, &more) < 0) {
		errno = EPERM;
		return -1;
	}
	program = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
	int error = errno;
	setrlimit(RLIMIT_MEMLOCK, &before);
	errno = error;
	return program;
}

void attach_device_filter(struct supervised *it)
{
	const struct record *record = plan_find(&it->plan, OP_device_filter);
	union bpf_attr attr;

	if (!record)
		return;
	int program = load(record), group = open(text(record, DIRECTORY), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memset(&attr, 0, sizeof attr);
	attr.target_fd = group;
	attr.attach_bpf_fd = program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI; /* beside those of a service manager */
	bool attached = program >= 0 && group >= 0 && syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr) == 0;
	if (!attached && number(record, REQUIRED))
		die(position(it, record), "bpf");
	close(program);
	close(group);
}
