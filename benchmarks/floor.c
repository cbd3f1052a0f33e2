/* A lower bound for pypod's times: the same kernel work in one C program, without Python, without a database, and
 * without starting any program except those of the pod itself.
 *
 *     floor DIRECTORY ROOTFS CGROUP FILTER LIBEXEC TREES [REPETITIONS [NETWORK]]
 *
 * One repetition creates a pod and starts a container in it, runs `true` in the container, stops and removes it, starts
 * two more, and removes the pod with both. Without REPETITIONS there is one for each line of standard input. Each
 * prints a line of JSON: operation, microseconds. With 0 repetitions the operations of the three plans are printed, one
 * per line: plan, operation, arguments, separated by tabs.
 *
 * NETWORK, or the line of standard input, is the path of a file with the operations of pypod's plan that connect a pod:
 * ports to hold, messages to send outside and inside, messages to send at the end. The pod is then only created and
 * removed.
 *
 * The comparison is fair: inside a new process the same code runs as in pypod (pause/process, pause/root), so that no
 * mount or check is missing, and the benchmark compares the lists below with pypod's plans before it measures. Only the
 * work around it is saved: a fork replaces posix_spawn, exec and plan of launcher and monitor, and a file with a rename
 * replaces each row in the database. Addresses are given, not searched for.
 */
#define _GNU_SOURCE
#include "common/clone.h"
#include "common/hold.h"
#include "common/identity.h"
#include "common/netlink.h"
#include "common/ops.h"
#include "common/process.h"
#include "common/retry.h"
#include "process/perform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ID = 64, STATUS_START = 192, STATUS_EXIT = 64, CONTAINERS = 2, DEAD_TRIES = 2000 };

static const char *directory, *rootfs, *groups, *libexec;
static const char *shown; /* the v1 trees that a container sees, separated by commas; none on a host with only v2 */
static struct argument filter;
static struct plan network; /* no records: lo only */
static int own_pid_namespace, monitors;
static long last_id;

/* A plan built in memory. */
struct list {
	struct plan plan;
	struct record records[96];
	struct argument arguments[256];
	uint32_t used;
	char texts[16384];
	size_t end;
	struct held held; /* ports that the process takes over */
};

struct container {
	char id[ID + 1];
	pid_t pid, monitor;
	uint64_t start_time;
};

struct pod {
	char id[ID + 1];
	struct container infra, members[CONTAINERS];
	ino_t inodes[3];
};

static const char *const shared_kinds[] = { "net", "ipc", "uts" };

static noreturn void die(const char *what)
{
	perror(what);
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/cgroup.kill", groups);
	int fd = open(path, O_WRONLY);
	if (fd >= 0 && write(fd, "1", 1) < 0)
		perror(path);
	_exit(1);
}

#define MUST(call) ({ __typeof__(call) must_ = (call); if (must_ < 0) die(#call); must_; })

static const char *words(struct list *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

static const char *words(struct list *list, const char *format, ...)
{
	char *text = list->texts + list->end;
	va_list all;

	va_start(all, format);
	list->end += vsnprintf(text, sizeof list->texts - list->end, format, all) + 1;
	va_end(all);
	if (list->end >= sizeof list->texts)
		die("words");
	return text;
}

static void add(struct list *list, uint32_t operation, const char *const texts[])
{
	struct record *record = &list->records[list->plan.count++];

	*record = (struct record){ operation, 0, list->arguments + list->used };
	for (; texts[record->count]; record->count++)
		list->arguments[list->used++] = (struct argument){ texts[record->count], strlen(texts[record->count]) };
	list->plan.records = list->records;
}

#define ADD(list, operation, ...) add(list, OP_##operation, (const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

static void path_of(char path[PATH_MAX], const char *kind, const char *id, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s/%s%s%s", directory, kind, id, *name ? "/" : "", name);
}

static void write_file(const char *kind, const char *id, const char *name, const char *content)
{
	char path[PATH_MAX];

	path_of(path, kind, id, name);
	int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
	MUST(fchmod(fd, 0644));
	MUST(write(fd, content, strlen(content)));
	close(fd);
}

/* Stand-in for a row of the database: as many bytes, written atomically. */
static void remember(const char *id)
{
	char content[900], temporary[PATH_MAX], path[PATH_MAX];

	memset(content, 'x', sizeof content);
	path_of(temporary, "records", "new", "");
	path_of(path, "records", id, "");
	int fd = MUST(open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	MUST(write(fd, content, sizeof content));
	close(fd);
	MUST(rename(temporary, path));
}

static void forget(const char *id)
{
	char path[PATH_MAX];

	path_of(path, "records", id, "");
	MUST(unlink(path));
}

static void group_of(char path[PATH_MAX], const struct pod *pod, const struct container *container, const char *file)
{
	snprintf(path, PATH_MAX, "%s/%s/%s%s", groups, pod->id, container ? container->id : "", file);
}

/* The v1 trees that a member is also in: for podman's limit of processes, and for its memory usage. */
static const char *const trees[] = { "pids", "memory" };
enum { TREES = sizeof trees / sizeof *trees, FIRST_TREE = 4 };

static bool is_hybrid(void)
{
	return *shown;
}

static void tree_of(char path[PATH_MAX], int tree, const char *pod, const char *container, const char *file)
{
	snprintf(path, PATH_MAX, "/sys/fs/cgroup/%s%s/%s/%s%s", trees[tree], strrchr(groups, '/'), pod, container, file);
}

static void make_in_trees(const struct pod *pod, const struct container *container)
{
	char path[PATH_MAX];

	for (int tree = 0; is_hybrid() && tree < TREES; tree++) {
		tree_of(path, tree, pod->id, container->id, "");
		if (mkdir(path, 0755) < 0) {
			tree_of(path, tree, pod->id, "", "");
			MUST(mkdir(path, 0755));
			tree_of(path, tree, pod->id, container->id, "");
			MUST(mkdir(path, 0755));
		}
	}
	if (!is_hybrid())
		return;
	tree_of(path, 0, pod->id, container->id, "/pids.max");
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, "2048", 4));
	close(fd);
}

static void remove_in_trees(const struct pod *pod, const char *container)
{
	char path[PATH_MAX];

	for (int tree = 0; is_hybrid() && tree < TREES; tree++) {
		tree_of(path, tree, pod->id, container, "");
		for (int tries = 0; rmdir(path) < 0 && errno != ENOENT; tries++) {
			if (errno != EBUSY || tries == DEAD_TRIES)
				die(path);
			nanosleep(&(struct timespec){ 0, 200000 }, NULL);
		}
	}
}

static int make_group(const struct pod *pod, const struct container *container)
{
	char path[PATH_MAX];

	group_of(path, pod, container, "");
	MUST(mkdir(path, 0755));
	return MUST(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void kill_group(const struct pod *pod, const struct container *container)
{
	char path[PATH_MAX];

	group_of(path, pod, container, "/cgroup.kill");
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, "1", 1));
	close(fd);
}

static void remove_group(const struct pod *pod, const struct container *container)
{
	char path[PATH_MAX];

	group_of(path, pod, container, "");
	for (int tries = 0; rmdir(path) < 0; tries++) {
		if (errno != EBUSY || tries == DEAD_TRIES)
			die(path);
		nanosleep(&(struct timespec){ 0, 200000 }, NULL);
	}
}

static int lock_of(const char *kind, const char *id)
{
	char path[PATH_MAX];

	path_of(path, kind, id, "");
	int fd = MUST(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
	MUST(flock(fd, LOCK_EX));
	return fd;
}

static int write_status(const struct container *container, pid_t supervisor)
{
	char line[STATUS_START + STATUS_EXIT], path[PATH_MAX], temporary[PATH_MAX];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	memset(line, ' ', sizeof line);
	snprintf(line, STATUS_START, "%d %llu %d %llu boot %lld", container->pid,
		 (unsigned long long)container->start_time, supervisor,
		 (unsigned long long)(supervisor ? start_time(supervisor) : 0), (long long)now.tv_sec);
	path_of(temporary, "containers", container->id, "status.new");
	path_of(path, "containers", container->id, "status");
	int fd = MUST(open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
	MUST(pwrite(fd, line, sizeof line, 0));
	MUST(rename(temporary, path));
	return fd;
}

static void send_messages(uint32_t operation, pid_t pid)
{
	struct netlink messages;

	for (uint32_t i = 0; i < network.count; i++) {
		if (network.records[i].operation != operation)
			continue;
		MUST(netlink_copy(&messages, &network.records[i], pid));
		MUST(netlink_send(&messages));
		netlink_free(&messages);
	}
}

/* As connect_to_host() of pause/supervise/host.c. */
static void connect_to_host(struct list *list, pid_t pid, int socket)
{
	if (!plan_find(&list->plan, OP_wait))
		return;
	send_messages(OP_netlink_host, pid);
	MUST(send(socket, "g", 1, MSG_NOSIGNAL));
}

/* Perform a plan in a new process; return once its program runs and is recorded in the status file. */
static int start(struct container *container, struct list *list, int group, const int standard[3],
		 const struct container *other, pid_t supervisor, bool recorded)
{
	struct report report;
	int pair[2], passed, status = -1;
	struct process process = { .plan = &list->plan, .owner = -1, .held = &list->held };

	if (other)
		process.others[0] =
			(struct other){ other->pid, MUST(open_process(other->pid, other->start_time)) };
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	container->pid = MUST(clone_process(number(list->records, 0), group));
	if (container->pid == 0) {
		process.report = pair[1];
		for (int i = 0; i < 3; i++)
			dup2(standard[i], i);
		perform(&process);
	}
	close(pair[1]);
	if (other)
		close(process.others[0].fd);
	container->start_time = start_time(container->pid);
	connect_to_host(list, container->pid, pair[0]);
	if (recorded)
		status = write_status(container, supervisor);
	MUST(send(pair[0], "g", 1, MSG_NOSIGNAL));
	if (report_receive(pair[0], &report, &passed) != 0) {
		fprintf(stderr, "operation %u: %s\n", list->records[report.operation].operation, report.call);
		errno = report.error;
		die("start");
	}
	close(pair[0]);
	return status;
}

static void connect_inside(struct list *list)
{
	for (uint32_t i = 0; i < network.count; i++)
		if (network.records[i].operation == OP_wait || network.records[i].operation == OP_netlink)
			list->records[list->plan.count++] = network.records[i];
}

static void infra_plan(struct list *list, const struct pod *pod)
{
	const char *target = words(list, "%s/merged", directory);
	uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	ADD(list, clone, words(list, "%llu", (unsigned long long)flags));
	ADD(list, loopback);
	ADD(list, sysctl, "net/ipv4/ping_group_range", "0 0");
	ADD(list, hostname, words(list, "%.12s", pod->id));
	ADD(list, propagation, words(list, "%d", MS_REC | MS_SLAVE));
	ADD(list, root, "tmpfs", "tmpfs", target, "0", "mode=755,size=64k");
	ADD(list, mount, "tmpfs", "shm", "/dev/shm", "14", "mode=1777", "size=65536000");
	connect_inside(list);
	ADD(list, pivot);
	ADD(list, read_only_root);
	ADD(list, no_new_privileges);
	ADD(list, capabilities, "0", "0", "0", "0", "0");
	ADD(list, execute_file, words(list, "%s/pause", libexec), "pypod-infra"); /* it holds the ports */
}

static void process_plan(struct list *list, const char *const command[], bool has_mounts)
{
	static const int limited[] = { RLIMIT_NOFILE, RLIMIT_NPROC };

	for (unsigned i = 0; i < sizeof limited / sizeof *limited; i++) {
		struct rlimit limit;
		MUST(getrlimit(limited[i], &limit));
		const char *value = words(list, "%llu", (unsigned long long)limit.rlim_max);
		ADD(list, resource_limit, words(list, "%d", limited[i]), value, value);
	}
	ADD(list, user, "0");
	ADD(list, umask, "022");
	ADD(list, working_directory, "/", "0");
	ADD(list, environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "container=podman",
	    "HOSTNAME=floor");
	if (has_mounts)
		ADD(list, verify_mounts);
	ADD(list, seccomp, "", "4");
	list->records[list->plan.count - 1].arguments[0] = filter;
	ADD(list, capabilities, "800405fb", "800405fb", "800405fb", "0", "0");
	add(list, OP_execute, command);
}

static void file_systems(struct list *list)
{
	ADD(list, mount, "proc", "proc", "/proc", "14");
	ADD(list, mount, "tmpfs", "tmpfs", "/dev", "34", "mode=755", "size=65536k");
	ADD(list, mount, "sysfs", "sysfs", "/sys", "15");
	ADD(list, mount, "devpts", "devpts", "/dev/pts", "10", "ptmxmode=0666", "mode=0620", "gid=5");
	ADD(list, mount, "mqueue", "mqueue", "/dev/mqueue", "14");
}

/* Calls `act` with the name of each v1 tree and with its number, which is that of a detached mount. */
static void each_tree(struct list *list, void (*act)(struct list *, const char *name, const char *number))
{
	char names[PATH_MAX], *rest = names;
	int number = FIRST_TREE;

	snprintf(names, sizeof names, "%s", shown);
	for (char *name; (name = strsep(&rest, ",")) && *name; number++)
		act(list, words(list, "%s", name), words(list, "%d", number));
}

static bool is_joined(const char *tree)
{
	for (int i = 0; i < TREES; i++)
		if (!strcmp(tree, trees[i]))
			return true;
	return false;
}

static void open_unlimited(struct list *list, const char *name, const char *number)
{
	if (!is_joined(name))
		ADD(list, open_tree, number, words(list, "/sys/fs/cgroup/%s/pypod/unlimited", name), "0");
}

static void mount_tree(struct list *list, const char *name, const char *number)
{
	const char *place = words(list, "/sys/fs/cgroup/%s", name);

	if (is_joined(name))
		ADD(list, mount, "cgroup", "cgroup", place, "15", name);
	else
		ADD(list, bind, number, place, "15", words(list, "%d", MS_PRIVATE), "0");
}

static void cgroups(struct list *list)
{
	if (is_hybrid())
		ADD(list, mount, "tmpfs", "tmpfs", "/sys/fs/cgroup", "14", "mode=755");
	ADD(list, mount, "cgroup2", "cgroup2", is_hybrid() ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup", "15");
	each_tree(list, mount_tree);
}

static void devices(struct list *list)
{
	static const char *const nodes[][3] = {
		{ "/dev/null", "1", "3" }, { "/dev/zero", "1", "5" }, { "/dev/full", "1", "7" },
		{ "/dev/random", "1", "8" }, { "/dev/urandom", "1", "9" }, { "/dev/tty", "5", "0" }
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" }, { "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" },
		{ "/proc/kcore", "/dev/core" }, { "pts/ptmx", "/dev/ptmx" }
	};

	for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++)
		ADD(list, device, nodes[i][0], nodes[i][1], nodes[i][2], "8630" /* S_IFCHR, 0666 */);
	for (unsigned i = 0; i < sizeof links / sizeof *links; i++)
		ADD(list, symlink, links[i][0], links[i][1]);
}

static void join_trees(struct list *list, const struct pod *pod, const struct container *container)
{
	char path[PATH_MAX];

	for (int tree = 0; is_hybrid() && tree < TREES; tree++) {
		tree_of(path, tree, pod->id, container->id, "/tasks");
		ADD(list, join_group, words(list, "%s", path));
	}
}

static void container_plan(struct list *list, const struct pod *pod, const struct container *container)
{
	static const char *const files[][2] = {
		{ "hosts", "/etc/hosts" }, { "hostname", "/etc/hostname" } /* without a network no resolv.conf */
	};
	static const char *const masked[] = {
		"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
		"/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/fs/selinux", "/sys/dev/block",
		"/sys/devices/virtual/powercap"
	};
	static const char *const read_only[] = {
		"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
	};
	static const char *const slots[] = { "1", "2" };
	const char *infra = words(list, "%d", pod->infra.pid);
	const char *started = words(list, "%llu", (unsigned long long)pod->infra.start_time);

	ADD(list, clone, words(list, "%d", CLONE_NEWNS | CLONE_NEWPID));
	ADD(list, join, infra, started, words(list, "%d", CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS));
	for (int i = 0; i < 3; i++)
		ADD(list, expect, shared_kinds[i], words(list, "%llu", (unsigned long long)pod->inodes[i]));
	join_trees(list, pod, container);
	ADD(list, unshare, words(list, "%d", CLONE_NEWCGROUP));
	ADD(list, keyring, words(list, "_ses.%s", container->id));
	ADD(list, propagation, words(list, "%d", MS_REC | MS_SLAVE));
	ADD(list, capture, "0", infra, started, "/dev/shm");
	for (int i = 0; i < 2; i++)
		ADD(list, open_tree, slots[i], words(list, "%s/pods/%s/%s", directory, pod->id, files[i][0]), "0");
	ADD(list, open_tree, "3", words(list, "%s/mount-points/run/.containerenv", directory), "0");
	each_tree(list, open_unlimited);
	const char *own = words(list, "%s/containers/%s", directory, container->id);
	ADD(list, root, "overlay", "overlay", words(list, "%s/merged", directory), "0",
	    words(list, "lowerdir=%s:%s/mount-points,upperdir=%s/upper,workdir=%s/work,volatile", rootfs, directory,
		  own, own));
	file_systems(list);
	for (int i = 0; i < 2; i++)
		ADD(list, bind, slots[i], files[i][1], "0", words(list, "%d", MS_PRIVATE), "0");
	ADD(list, bind, "3", "/run/.containerenv", "1", words(list, "%d", MS_PRIVATE), "0"); /* read-only */
	cgroups(list);
	ADD(list, bind, "0", "/dev/shm", "14", "0", "0");
	devices(list);
	for (unsigned i = 0; i < sizeof masked / sizeof *masked; i++)
		ADD(list, mask, masked[i]);
	for (unsigned i = 0; i < sizeof read_only / sizeof *read_only; i++)
		ADD(list, read_only, read_only[i]);
	if (is_hybrid())
		ADD(list, read_only, "/sys/fs/cgroup");
	ADD(list, pivot);
	process_plan(list, (const char *const[]){ "sleep", "1000", NULL }, true);
}

static void exec_plan(struct list *list, const struct pod *pod, const struct container *container)
{
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	ADD(list, clone, "0");
	join_trees(list, pod, container);
	ADD(list, join, words(list, "%d", container->pid),
	    words(list, "%llu", (unsigned long long)container->start_time), words(list, "%d", flags));
	process_plan(list, (const char *const[]){ "true", NULL }, false);
}

static void new_id(char id[ID + 1])
{
	snprintf(id, ID + 1, "%064lx", ++last_id);
}

static void pod_start(struct pod *pod)
{
	static const char *const names[] = { "hosts", "hostname", "resolv.conf" };
	struct list list = { 0 };
	const char *call = "hold";
	char path[PATH_MAX];
	struct stat st;

	new_id(pod->id);
	new_id(pod->infra.id);
	remember(pod->id);
	remember(pod->infra.id);
	path_of(path, "pods", pod->id, "");
	MUST(mkdir(path, 0700));
	int lock = lock_of("pods", pod->id);
	path_of(path, "containers", pod->infra.id, "");
	MUST(mkdir(path, 0700));
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		write_file("pods", pod->id, names[i], "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
	close(make_group(pod, NULL));
	int group = make_group(pod, &pod->infra);
	infra_plan(&list, pod);
	int null = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
	if (hold_ports(&list.held, &network, &call) >= 0)
		die(call);
	close(start(&pod->infra, &list, group, (int[]){ null, null, null }, NULL, 0, true));
	hold_forgo(&list.held);
	free(list.held.sockets);
	close(null);
	close(group);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "/proc/%d/ns/%s", pod->infra.pid, shared_kinds[i]);
		MUST(stat(path, &st));
		pod->inodes[i] = st.st_ino;
	}
	close(lock);
}

static void listen_for_clients(const struct container *container)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "attach" };
	char path[PATH_MAX];

	path_of(path, "containers", container->id, "");
	MUST(chdir(path));
	int listener = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	MUST(bind(listener, (void *)&address, sizeof address));
	MUST(fchmodat(AT_FDCWD, "attach", 0600, 0));
	MUST(listen(listener, 8));
	MUST(chdir("/"));
}

/* The container's parent: log, pipes, socket for clients, status; lives until the container has ended. */
static noreturn void monitor(struct pod *pod, struct container *container, int group, int ready)
{
	struct list list = { 0 };
	struct report started = { .kind = REPORT_STARTED };
	struct signalfd_siginfo info;
	char path[PATH_MAX], line[STATUS_EXIT];
	int out[2], err[2], status;
	sigset_t child;

	setsid();
	path_of(path, "containers", container->id, "ctr.log");
	MUST(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
	listen_for_clients(container);
	MUST(pipe2(out, O_CLOEXEC));
	MUST(pipe2(err, O_CLOEXEC));
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	int signals = MUST(signalfd(-1, &child, SFD_CLOEXEC));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	int null = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
	container_plan(&list, pod, container);
	int file = start(container, &list, group, (int[]){ null, out[1], err[1] }, &pod->infra, getpid(), true);
	for (int fd = 0; fd < 3; fd++) /* the caller's: we must not keep them open */
		dup2(null, fd);
	close(out[1]);
	close(err[1]);
	started.pid = container->pid;
	started.start_time = container->start_time;
	report_send(ready, &started, -1);
	close(ready);

	while (waitpid(container->pid, &status, WNOHANG) != container->pid)
		MUST(read(signals, &info, sizeof info));
	kill_group(pod, container);
	memset(line, ' ', sizeof line);
	snprintf(line, sizeof line, "%d", status);
	MUST(pwrite(file, line, sizeof line, STATUS_START));
	_exit(0);
}

static void container_start(struct pod *pod, struct container *container)
{
	static const char *const layers[] = { "", "upper", "work" };
	static const char *const stale[] = { "work/work/incompat/volatile/dirty", "work/work/incompat/volatile",
					     "work/work/incompat" };
	struct report report;
	char path[PATH_MAX];
	int ready[2];

	new_id(container->id);
	remember(container->id);
	for (int i = 0; i < 3; i++) {
		path_of(path, "containers", container->id, layers[i]);
		MUST(mkdir(path, 0700));
	}
	path_of(path, "containers", container->id, "upper");
	MUST(chmod(path, 0755));
	int lock = lock_of("containers", container->id);
	for (int i = 0; i < 3; i++) {
		path_of(path, "containers", container->id, stale[i]);
		i == 0 ? unlink(path) : rmdir(path);
	}
	int group = make_group(pod, container);
	make_in_trees(pod, container);
	MUST(pipe2(ready, O_CLOEXEC));
	container->monitor = MUST(clone_process(0, monitors));
	if (container->monitor == 0)
		monitor(pod, container, group, ready[1]);
	close(ready[1]);
	close(group);
	if (read(ready[0], &report, sizeof report) != sizeof report)
		die("monitor");
	close(ready[0]);
	container->pid = report.pid;
	container->start_time = report.start_time;
	close(lock);
}

static void exec_true(const struct pod *pod, const struct container *container)
{
	struct list list = { 0 };
	struct container process = { 0 };
	char path[PATH_MAX], buffer[512];
	int out[2], err[2], status;

	MUST(pipe2(out, O_CLOEXEC));
	MUST(pipe2(err, O_CLOEXEC));
	group_of(path, pod, container, "");
	int group = MUST(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	int target = MUST(open_process(container->pid, container->start_time));
	exec_plan(&list, pod, container);
	int null = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
	MUST(setns(target, CLONE_NEWPID));
	start(&process, &list, group, (int[]){ null, out[1], err[1] }, container, 0, false);
	MUST(setns(own_pid_namespace, CLONE_NEWPID));
	close(null);
	close(target);
	close(group);
	close(out[1]);
	close(err[1]);
	while (read(out[0], buffer, sizeof buffer) > 0 || read(err[0], buffer, sizeof buffer) > 0)
		;
	close(out[0]);
	close(err[0]);
	MUST(waitpid(process.pid, &status, 0));
	if (status != 0)
		die("true");
}

static int ask_to_end(const struct pod *pod, const struct container *container)
{
	int fd = MUST(open_process(container->pid, container->start_time));

	MUST(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
	kill_group(pod, container);
	return fd;
}

static void container_stop(const struct pod *pod, struct container *container)
{
	int fd = ask_to_end(pod, container);

	MUST(waitpid(container->monitor, NULL, 0));
	close(fd);
	remove_group(pod, container);
	remove_in_trees(pod, container->id);
}

static void discard(const char *const paths[], int count)
{
	char program[PATH_MAX], *arguments[8] = { "floor-discard" }, *environment[] = { NULL };
	char moved[6][PATH_MAX];
	pid_t pid;

	for (int i = 0; i < count; i++) {
		snprintf(moved[i], PATH_MAX, "%s/trash/%s", directory, strrchr(paths[i], '/') + 1);
		MUST(rename(paths[i], moved[i]));
		arguments[1 + i] = moved[i];
	}
	snprintf(program, sizeof program, "%s/discard", libexec);
	if (posix_spawn(&pid, program, NULL, NULL, arguments, environment) != 0)
		die("posix_spawn");
	MUST(waitpid(pid, NULL, 0));
}

static void container_remove(const struct container *container)
{
	char path[PATH_MAX];

	forget(container->id);
	path_of(path, "containers", container->id, "");
	discard((const char *const[]){ path }, 1);
}

static void pod_remove(struct pod *pod)
{
	char paths[CONTAINERS + 2][PATH_MAX];
	const char *all[CONTAINERS + 2];
	int fds[CONTAINERS], lock = lock_of("pods", pod->id), members = 0;

	for (; members < CONTAINERS && pod->members[members].pid; members++)
		fds[members] = ask_to_end(pod, &pod->members[members]);
	for (int i = 0; i < members; i++) {
		MUST(waitpid(pod->members[i].monitor, NULL, 0));
		close(fds[i]);
		remove_group(pod, &pod->members[i]);
		remove_in_trees(pod, pod->members[i].id);
		forget(pod->members[i].id);
		path_of(paths[i], "containers", pod->members[i].id, "");
	}
	int infra = MUST(open_process(pod->infra.pid, pod->infra.start_time));
	MUST(syscall(SYS_pidfd_send_signal, infra, SIGTERM, NULL, 0));
	MUST(waitpid(pod->infra.pid, NULL, 0));
	close(infra);
	send_messages(OP_netlink_end, 0);
	remove_group(pod, &pod->infra);
	remove_group(pod, NULL);
	remove_in_trees(pod, "");
	forget(pod->infra.id);
	forget(pod->id);
	path_of(paths[members], "containers", pod->infra.id, "");
	path_of(paths[members + 1], "pods", pod->id, "");
	for (int i = 0; i < members + 2; i++)
		all[i] = paths[i];
	discard(all, members + 2);
	close(lock);
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

#define TIMED(statement) ({ double before_ = now_us(); statement; now_us() - before_; })

static void repetition(void)
{
	struct pod pod = { 0 };
	struct container *first = &pod.members[0], *second = &pod.members[1];

	double up = TIMED(pod_start(&pod));
	double start_1 = TIMED(container_start(&pod, first));
	double exec = TIMED(exec_true(&pod, first));
	double stop = TIMED(container_stop(&pod, first));
	container_remove(first);
	double start_2 = TIMED(container_start(&pod, first));
	double start_3 = TIMED(container_start(&pod, second));
	double removal = TIMED(pod_remove(&pod));
	printf("{\"pod create+start\": [%.1f], \"container create+start\": [%.1f, %.1f, %.1f], \"exec true\": [%.1f], "
	       "\"stop\": [%.1f], \"pod rm -f\": [%.1f]}\n", up, start_1, start_2, start_3, exec, stop, removal);
	fflush(stdout);
}

static void connected_repetition(void)
{
	struct pod pod = { 0 };

	double up = TIMED(pod_start(&pod));
	double removal = TIMED(pod_remove(&pod));
	printf("{\"pod create+start\": [%.1f], \"pod rm -f\": [%.1f]}\n", up, removal);
	fflush(stdout);
}

static void read_network(const char *path)
{
	if (network.records)
		plan_free(&network);
	if (!*path)
		return;
	int fd = MUST(open(path, O_RDONLY | O_CLOEXEC));
	MUST(plan_read(fd, &network));
	close(fd);
}

static void repeat(void)
{
	network.count ? connected_repetition() : repetition();
}

static bool is_binary(const struct record *record, uint32_t argument)
{
	return (record->operation == OP_seccomp && argument == 0) || record->operation == OP_netlink;
}

static void print_plan(const char *name, const struct list *list)
{
	for (uint32_t i = 0; i < list->plan.count; i++) {
		const struct record *record = &list->records[i];
		printf("%s\t%u", name, record->operation);
		for (uint32_t j = 0; j < record->count; j++)
			printf("\t%s", is_binary(record, j) ? "" : text(record, j));
		putchar('\n');
	}
}

static void print_plans(void)
{
	static struct list infra, container, exec;
	struct pod pod = { 0 };

	infra_plan(&infra, &pod);
	container_plan(&container, &pod, &pod.members[0]);
	exec_plan(&exec, &pod, &pod.members[0]);
	print_plan("infra", &infra);
	print_plan("container", &container);
	print_plan("exec", &exec);
}

static void read_filter(const char *path)
{
	static char content[65536];
	int fd = MUST(open(path, O_RDONLY | O_CLOEXEC));

	filter = (struct argument){ content, MUST(read(fd, content, sizeof content)) };
	close(fd);
}

/* pypod's lowest layer: "dir/" and "file" below mount-points. */
static void make_mount_points(void)
{
	static const char *const points[] = { "", "dev/", "proc/", "sys/", "etc/", "etc/hosts", "etc/hostname",
					      "run/", "run/.containerenv" };
	char path[PATH_MAX];

	for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
		int length = snprintf(path, sizeof path, "%s/mount-points/%s", directory, points[i]);
		MUST(path[length - 1] == '/' ? mkdir(path, 0755) : mknod(path, S_IFREG | 0644, 0));
	}
}

int main(int argc, char **argv)
{
	static const char *const parts[] = { "pods", "containers", "records", "trash", "merged" };
	char line[PATH_MAX], path[PATH_MAX];

	if (argc < 7) {
		fputs("usage: floor DIRECTORY ROOTFS CGROUP FILTER LIBEXEC hybrid|unified [REPETITIONS [NETWORK]]\n", stderr);
		return 2;
	}
	directory = argv[1];
	rootfs = argv[2];
	groups = argv[3];
	read_filter(argv[4]);
	libexec = argv[5];
	shown = argv[6];
	read_network(argc > 8 ? argv[8] : "");
	if (argc > 7 && atol(argv[7]) == 0) {
		print_plans();
		return 0;
	}
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL); /* as launchers do: signals sent before the infra listens stay pending */
	MUST(chdir("/")); /* as supervisors do: until the new root is set up, paths are relative to here */
	own_pid_namespace = MUST(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
	for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, parts[i]);
		MUST(mkdir(path, 0700));
	}
	make_mount_points();
	MUST(mkdir(groups, 0755));
	for (int tree = 0; is_hybrid() && tree < TREES; tree++) {
		tree_of(path, tree, "", "", "");
		MUST(mkdir(path, 0755));
	}
	snprintf(path, sizeof path, "%s/monitors", groups);
	MUST(mkdir(path, 0755));
	monitors = MUST(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	for (long i = 0; argc > 7 && i < atol(argv[7]); i++)
		repeat();
	while (argc <= 7 && fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = '\0';
		read_network(line);
		repeat();
	}
	MUST(rmdir(path));
	MUST(rmdir(groups));
	for (int tree = 0; is_hybrid() && tree < TREES; tree++) {
		tree_of(path, tree, "", "", "");
		MUST(rmdir(path));
	}
	return 0;
}
