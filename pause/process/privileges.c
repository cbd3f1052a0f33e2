#define _GNU_SOURCE
#include "process/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sock_filter_program { /* struct sock_fprog without linux/filter.h */
	unsigned short length;
	const void *filter;
};

void filter_calls(const struct process *process, const struct record *record)
{
	struct sock_filter_program program = { length(record, 0) / 8, text(record, 0) };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, number(record, 1), &program) < 0)
		fail(process, "seccomp");
}

/* Make all permitted capabilities effective: a change from root to another id clears that set even with KEEPCAPS. */
static void raise_all(const struct process *process)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		fail(process, "capget");
	for (int half = 0; half < 2; half++)
		data[half].effective = data[half].permitted;
	if (syscall(SYS_capset, &header, data) < 0)
		fail(process, "capset");
}

/* Become the user and keep only the given sets: capabilities(7), "Effect of user ID changes". */
void set_capabilities(const struct process *process, const struct record *record)
{
	uint64_t bounding = hexadecimal(record, 0), effective = hexadecimal(record, 1), permitted = hexadecimal(record, 2);
	uint64_t inheritable = hexadecimal(record, 3), ambient = hexadecimal(record, 4);
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	for (int cap = 0; cap < 64; cap++)
		if (!(bounding >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL) /* above the last capability of this kernel */
				break;
			fail(process, "prctl");
		}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		fail(process, "prctl");
	if (syscall(SYS_setresgid, process->gid, process->gid, process->gid) < 0)
		fail(process, "setresgid");
	if (syscall(SYS_setresuid, process->uid, process->uid, process->uid) < 0)
		fail(process, "setresuid");
	for (int half = 0; half < 2; half++)
		data[half] = (struct __user_cap_data_struct){
			.effective = effective >> 32 * half, .permitted = permitted >> 32 * half,
			.inheritable = inheritable >> 32 * half
		};
	if (syscall(SYS_capset, &header, data) < 0)
		fail(process, "capset");
	/* the change of credentials cleared it: prctl(2), PR_SET_PDEATHSIG */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap < 64; cap++)
		if (ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			fail(process, "prctl");
}

/* The creator of a user namespace has its capabilities but keeps its old ids, which may not be mapped in it: files it
 * creates would belong to nobody, or be refused (EOVERFLOW). */
void own_ids(const struct process *process, const struct record *record)
{
	uid_t uid = number(record, 0);
	gid_t gid = number(record, 1);

	if (number(record, 2) && syscall(SYS_setgroups, 0, NULL) < 0)
		fail(process, "setgroups");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		fail(process, "prctl");
	if (syscall(SYS_setresgid, gid, gid, gid) < 0)
		fail(process, "setresgid");
	if (syscall(SYS_setresuid, uid, uid, uid) < 0)
		fail(process, "setresuid");
	raise_all(process);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* cleared by the change of credentials, as above */
}
