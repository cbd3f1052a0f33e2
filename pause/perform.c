/* Performs a plan: one case per operation, in the words of ops.h. */
#define _GNU_SOURCE
#include "perform.h"
#include "netlink.h"
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sock_filter_program { /* struct sock_fprog without linux/filter.h */
	unsigned short length;
	const void *filter;
};

noreturn void fail(const struct process *process, const char *call)
{
	report_failure(process->report, process->at, call, errno);
	_exit(125);
}

pid_t clone_process(uint64_t flags, int group)
{
	struct clone_args args = { .flags = flags, .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD };

	if (group >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = group;
	}
	return syscall(SYS_clone3, &args, sizeof args);
}

/* One byte from the supervisor; end of file means that it died, and an unwatched container must not start. */
static void wait_for_supervisor(struct process *process)
{
	char byte;
	ssize_t got = RETRY(read(process->report, &byte, 1));

	if (got == 0)
		errno = EPIPE;
	if (got != 1)
		fail(process, "read");
}

/* A second clone (after joining a user namespace): the new child takes our place under the same parent. */
static void clone_again(struct process *process, const struct record *record)
{
	pid_t pid = clone_process(number(record, 0) | CLONE_PARENT, -1);

	if (pid < 0)
		fail(process, "clone3");
	if (pid > 0) {
		/* by descriptor: in a joined pid namespace the number means nothing to the supervisor */
		struct report report = { .kind = REPORT_PROCESS };
		if (report_send(process->report, &report, syscall(SYS_pidfd_open, pid, 0)) == 0)
			_exit(0);
		kill(pid, SIGKILL);
		fail(process, "sendmsg");
	}
	/* neither is inherited */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
}

int other_process(const struct process *process, uint64_t pid)
{
	for (int i = 0; i < OTHERS; i++)
		if (process->others[i].pid == pid)
			return process->others[i].fd;
	errno = ESRCH;
	fail(process, "pidfd_open");
}

static void join(struct process *process, const struct record *record)
{
	if (setns(other_process(process, number(record, 0)), number(record, 2)) < 0)
		fail(process, "setns");
}

static void join_path(struct process *process, const struct record *record)
{
	int fd = open(text(record, 1), O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nobody waits for a pipe's writer */

	if (fd < 0)
		fail(process, "open");
	if (setns(fd, number(record, 0)) < 0)
		fail(process, "setns");
	close(fd);
}

static void expect(struct process *process, const struct record *record)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/self/ns/%s", text(record, 0));
	if (stat(path, &st) < 0)
		fail(process, "stat");
	if (st.st_ino != number(record, 1)) {
		errno = ESTALE;
		fail(process, "stat");
	}
}

/* To the supervisor, which starts what works with it and says when that is ready. */
static void hand_over(struct process *process, enum report_kind kind, int fd)
{
	struct report report = { .kind = kind };

	if (fd < 0)
		fail(process, "open");
	if (report_send(process->report, &report, fd) < 0)
		fail(process, "sendmsg");
	close(fd);
	wait_for_supervisor(process);
}

static void write_file(struct process *process, const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fail(process, "open");
	if (RETRY(write(fd, content, strlen(content))) < 0)
		fail(process, "write");
	close(fd);
}

static void loopback(struct process *process)
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

/* The words begin with the name of the interface whose index is still missing: nobody knew it before it was here. */
static void send_netlink(struct process *process, const struct record *record)
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

static void resource_limit(struct process *process, const struct record *record)
{
	struct rlimit limit = { number(record, 1), number(record, 2) };

	if (setrlimit(number(record, 0), &limit) < 0)
		fail(process, "setrlimit");
}

static void seccomp(struct process *process, const struct record *record)
{
	struct sock_filter_program program = { length(record, 0) / 8, text(record, 0) };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, number(record, 1), &program) < 0)
		fail(process, "seccomp");
}

static uint64_t mask(const struct record *record, uint32_t i)
{
	return strtoull(text(record, i), NULL, 16);
}

/* All that is permitted becomes effective: a change from root to another id clears that set, KEEPCAPS or not. */
static void raise_all(struct process *process)
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

/* Become the user and keep no more than the given sets: capabilities(7), "Effect of user ID changes". */
static void capabilities(struct process *process, const struct record *record)
{
	uint64_t bounding = mask(record, 0), effective = mask(record, 1), permitted = mask(record, 2);
	uint64_t inheritable = mask(record, 3), ambient = mask(record, 4);
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	for (int cap = 0; cap < 64; cap++)
		if (!(bounding >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL) /* above the last one this kernel knows */
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
	/* the kernel forgot it with the change of credentials: prctl(2), PR_SET_PDEATHSIG */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int cap = 0; cap < 64; cap++)
		if (ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			fail(process, "prctl");
}

/* Whoever made a user namespace has its capabilities but the ids of before, which may have no number in it: what they
 * make would be nobody's, or refused (EOVERFLOW). */
static void own_ids(struct process *process, const struct record *record)
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
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* forgotten with the change of credentials, see below */
}

/* What was not there is the user's, as podman has it; what somebody else makes meanwhile stays theirs. */
static int make_working_directory(const struct process *process, const char *path, const char **call)
{
	char name[256];
	int parent = open_parent(process, path, name, call), fd = -1;

	if (parent < 0)
		return -1;
	*call = "mkdirat";
	if (mkdirat(parent, name, 0755) == 0) {
		*call = "fchownat";
		fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && fchownat(fd, "", process->uid, process->gid, AT_EMPTY_PATH) < 0) {
			close(fd);
			fd = -1;
		}
	} else if (errno == EEXIST) {
		*call = "openat2";
		fd = open_inside(process, path, O_PATH | O_DIRECTORY);
	}
	close(parent);
	return fd;
}

/* Without magic links, which lead out (/proc/self/fd/N, CVE-2024-21626; /proc/1/root). The check at the end is a second
 * line: the kernel's getcwd starts with "(unreachable)" outside of the root. */
static void working_directory(struct process *process, const struct record *record)
{
	char where[PATH_MAX];
	const char *call = "openat2", *path = text(record, 0);
	int fd = open_inside(process, path, O_PATH | O_DIRECTORY);

	if (fd < 0 && errno == ENOENT && number(record, 1))
		fd = make_working_directory(process, path, &call);
	if (fd < 0)
		fail(process, call);
	if (fchdir(fd) < 0)
		fail(process, "fchdir");
	close(fd);
	if (syscall(SYS_getcwd, where, sizeof where) < 0)
		fail(process, "getcwd");
	if (where[0] != '/') {
		errno = ENOENT;
		fail(process, "getcwd");
	}
}

static const char *variable(char **environment, const char *name)
{
	size_t length = strlen(name);

	for (; environment && *environment; environment++)
		if (!strncmp(*environment, name, length) && (*environment)[length] == '=')
			return *environment + length + 1;
	return NULL;
}

static void environment(struct process *process, const struct record *record)
{
	char **all = vector(record, 0), **last = all;

	if (!all)
		fail(process, "calloc");
	if (!variable(all, "HOME") && process->home) {
		char *home = malloc(strlen(process->home) + 6);
		if (!home)
			fail(process, "malloc");
		sprintf(home, "HOME=%s", process->home);
		/* one more than the plan gave: vector() leaves no room for it */
		all = calloc(record->count + 2, sizeof *all);
		if (!all)
			fail(process, "calloc");
		for (uint32_t i = 0; i < record->count; i++)
			*(all + i) = last[i];
		all[record->count] = home;
	}
	process->environment = all;
}

/* No descriptor but 0, 1, 2 and no signal mask of ours goes into the container. */
static void last_preparations(struct process *process, bool keep_mask)
{
	sigset_t none;

	wait_for_supervisor(process);
	sigemptyset(&none);
	if (!keep_mask)
		sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, 0);
	syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
}

/* As execvp, with the container's PATH; what was found but may not be run counts more than what was not found. */
static void execute(struct process *process, const struct record *record)
{
	char **arguments = vector(record, 0), **environment = process->environment, path[4096];
	const char *name = text(record, 0), *search = variable(environment, "PATH");
	static char *nothing[] = { NULL };
	int error = ENOENT;

	if (!arguments)
		fail(process, "calloc");
	if (!environment)
		environment = nothing;
	last_preparations(process, false);
	if (strchr(name, '/')) {
		execve(name, arguments, environment);
		fail(process, "execve");
	}
	for (const char *end; search && *name; search = *end ? end + 1 : NULL) {
		end = strchrnul(search, ':');
		int length = snprintf(path, sizeof path, "%.*s/%s", (int)(end - search), search, name);
		if (length > 0 && (size_t)length < sizeof path && *path == '/') {
			execve(path, arguments, environment);
			if (errno != ENOENT && errno != ENOTDIR && !(errno == EACCES && access(path, F_OK) < 0))
				error = errno;
		}
	}
	errno = error;
	fail(process, "execve");
}

static void execute_file(struct process *process, const struct record *record)
{
	char **arguments = vector(record, 1), *environment[] = { NULL };
	int program = process->program;

	if (!arguments)
		fail(process, "calloc");
	/* Our own infra reads signals from its first moment on: a TERM that comes before must wait, not be dropped. */
	last_preparations(process, hold_is_handed_on(process->plan));
	if (hold_is_handed_on(process->plan))
		hold_across_exec(process->held);
	if (process->owner >= 0) {
		if (program == 3)
			program = fcntl(program, F_DUPFD_CLOEXEC, 10);
		dup3(process->owner, 3, 0);
		fcntl(3, F_SETFD, 0);
	}
	syscall(SYS_execveat, program, "", arguments, environment, 0x1000 /* AT_EMPTY_PATH */);
	fail(process, "execveat");
}

#define CHECKED(condition, call) do { if (!(condition)) fail(process, call); } while (0)

static void perform_one(struct process *process, const struct record *record)
{
	switch (record->operation) {
	case OP_clone: clone_again(process, record); break;
	case OP_wait: wait_for_supervisor(process); break;
	case OP_join: join(process, record); break;
	case OP_join_path: join_path(process, record); break;
	case OP_expect: expect(process, record); break;
	case OP_join_group: write_file(process, text(record, 0), "0"); break;
	case OP_unshare: CHECKED(unshare(number(record, 0)) == 0, "unshare"); break;
	case OP_keyring: /* a quota of keys that is used up must not stop a container: crun and runc go on, too */
		syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, text(record, 0));
		break;
	case OP_loopback: loopback(process); break;
	case OP_netlink: send_netlink(process, record); break;
	case OP_hand_network:
		hand_over(process, REPORT_NETWORK, open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
		break;
	case OP_serve_root: hand_over(process, REPORT_ROOT, process->fuse); break;
	case OP_hostname:
		CHECKED(sethostname(text(record, 0), length(record, 0)) == 0, "sethostname");
		break;
	case OP_domainname:
		CHECKED(setdomainname(text(record, 0), length(record, 0)) == 0, "setdomainname");
		break;
	case OP_console: open_terminal(process, number(record, 0)); break;
	case OP_pivot: let_go_of_old_root(process); break;
	case OP_resource_limit: resource_limit(process, record); break;
	case OP_account: account_operation(process, record); break;
	case OP_keep_groups: process->keep_groups = true; break;
	case OP_own_ids: own_ids(process, record); break;
	case OP_user: user_operation(process, record); break;
	case OP_no_new_privileges: CHECKED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "prctl"); break;
	case OP_seccomp: seccomp(process, record); break;
	case OP_capabilities: capabilities(process, record); break;
	case OP_working_directory: working_directory(process, record); break;
	case OP_environment: environment(process, record); break;
	case OP_umask: umask(number(record, 0)); break;
	case OP_execute: execute(process, record); break;
	case OP_execute_file: execute_file(process, record); break;
	default: mount_operation(process, record); break;
	}
}

noreturn void perform(struct process *process)
{
	const struct record *program = plan_find(process->plan, OP_execute_file);
	uint32_t first = process->at + 1;

	/* It may not outlive a supervisor that was killed before it could record it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	umask(0); /* the modes of what we make are meant; the plan sets the container's */
	/* a record fills one slot at most, and an account two places */
	process->slots = malloc(process->plan->count * sizeof *process->slots);
	process->places = calloc(2 * process->plan->count, sizeof *process->places);
	process->place_count = 0;
	if (!process->slots || !process->places)
		fail(process, "malloc");
	for (uint32_t i = 0; i < process->plan->count; i++)
		process->slots[i] = -1;
	process->root = process->program = process->empty = -1;
	process->home = NULL;
	process->environment = NULL;
	process->uid = process->gid = 0;
	if (program) {
		process->at = program - process->plan->records; /* for who asks what failed */
		process->program = open_program(process, text(program, 0));
	}
	for (process->at = first; process->at < process->plan->count; process->at++)
		perform_one(process, &process->plan->records[process->at]);
	errno = ENODATA;
	fail(process, "execve");
}
