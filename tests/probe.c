/* Runs inside containers and tells what it finds: lines of NAME<TAB>VALUE, a name may come several times.
 *
 * Without arguments it reports on itself; `probe VERB ...` does one of the things that main() lists. Static, so that it
 * runs in any root file system. Values are raw: the tests know what they should be. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void say(const char *name, const char *value)
{
	printf("%s\t%s\n", name, value);
}

/* What came of a call: "ok" or the error's number. */
static void result(const char *name, long value)
{
	char number[16];

	snprintf(number, sizeof number, "%d", errno);
	say(name, value >= 0 ? "ok" : number);
}

static void lines(const char *path, const char *name)
{
	char line[4096];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		say(name, line);
	}
	if (file)
		fclose(file);
}

static void descriptors(void)
{
	DIR *entries = opendir("/proc/self/fd");
	char target[4096], value[5000];

	for (struct dirent *entry; entries && (entry = readdir(entries));) {
		int fd = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || fd == dirfd(entries))
			continue;
		ssize_t length = readlinkat(dirfd(entries), entry->d_name, target, sizeof target - 1);
		target[length > 0 ? length : 0] = '\0';
		snprintf(value, sizeof value, "%d %s", fd, target);
		say("fd", value);
	}
	if (entries)
		closedir(entries);
}

static void devices(const char *directory)
{
	DIR *entries = opendir(directory);
	char value[5000], target[4096];
	struct stat st;

	for (struct dirent *entry; entries && (entry = readdir(entries));) {
		if (entry->d_name[0] == '.' || fstatat(dirfd(entries), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISLNK(st.st_mode)) {
			ssize_t length = readlinkat(dirfd(entries), entry->d_name, target, sizeof target - 1);
			target[length > 0 ? length : 0] = '\0';
			snprintf(value, sizeof value, "%s -> %s", entry->d_name, target);
		} else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
			snprintf(value, sizeof value, "%s %c %u:%u %o", entry->d_name, S_ISCHR(st.st_mode) ? 'c' : 'b',
				 major(st.st_rdev), minor(st.st_rdev), st.st_mode & 07777);
		} else {
			snprintf(value, sizeof value, "%s/", entry->d_name);
		}
		say("device", value);
	}
	if (entries)
		closedir(entries);
}

static int report(void)
{
	static const char *const kinds[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
	char path[64], value[4200], cwd[4096] = "";
	struct stat st;

	lines("/proc/self/status", "status");
	descriptors();
	for (char **word = environ; *word; word++)
		say("env", *word);
	syscall(SYS_getcwd, cwd, sizeof cwd);
	say("cwd", cwd);
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit;
		getrlimit(i, &limit);
		snprintf(value, sizeof value, "%d %lld %lld", i, (long long)limit.rlim_cur, (long long)limit.rlim_max);
		say("limit", value);
	}
	mode_t mask = umask(0);
	snprintf(value, sizeof value, "%03o", mask);
	say("umask", value);
	snprintf(value, sizeof value, "%d %d %d %d", getpid(), getppid(), getsid(0), getpgrp());
	say("ids", value);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
		if (stat(path, &st) == 0) {
			snprintf(value, sizeof value, "%s %lu", kinds[i], (unsigned long)st.st_ino);
			say("ns", value);
		}
	}
	for (int fd = 0; fd < 3; fd++) {
		snprintf(value, sizeof value, "%d %d", fd, isatty(fd));
		say("tty", value);
	}
	lines("/proc/self/mountinfo", "mount");
	lines("/proc/self/cgroup", "cgroup");
	devices("/dev");
	return 0;
}

/* The number of bytes that can be read, as far as the first few; a directory counts its entries. */
static void contents(const char *path)
{
	char buffer[64], name[128];
	long got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && (got = read(fd, buffer, sizeof buffer)) < 0 && errno == EISDIR) {
		DIR *entries = fdopendir(fd);
		for (got = -2; entries && readdir(entries);)
			got++;
	}
	snprintf(name, sizeof name, "read %s", path);
	if (got < 0)
		result(name, got);
	else
		say(name, got ? "something" : "empty");
}

/* A call in a child of its own, so that one that works changes nothing for the next. None may harm the host. */
#define ATTEMPT(name, call) \
	do { \
		fflush(stdout); \
		pid_t child_ = fork(); \
		if (child_ == 0) { \
			long value_ = (call); \
			result(name, value_); \
			fflush(stdout); \
			_exit(0); \
		} \
		/* not for any: what an attempt left behind is a child of process 1, which this may be */ \
		waitpid(child_, NULL, 0); \
	} while (0)

/* CVE-2022-0492: own user and cgroup namespaces, then a v1 hierarchy with a file that steers the host. */
static long namespace_and_cgroup(const char *controller, const char *file, const char *text)
{
	char path[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
		return -1;
	if (mount("cgroup", "/tmp/v1", "cgroup", 0, controller) < 0)
		return -1;
	snprintf(path, sizeof path, "/tmp/v1/%s", file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -1 : write(fd, text, strlen(text));
}

#ifdef __x86_64__
static long int80(long number, long b, long c, long d)
{
	int value;

	__asm__ volatile("int $0x80" : "=a"(value) : "a"(number), "b"(b), "c"(c), "d"(d)
			 : "memory", "r8", "r9", "r10", "r11");
	if (value >= 0)
		return value;
	errno = -value;
	return -1;
}

static long socketcall(int family, int type, int protocol)
{
	int *arguments = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	arguments[0] = family;
	arguments[1] = type;
	arguments[2] = protocol;
	return int80(102, 1, (long)arguments, 0);
}
#endif

static int attempts(void)
{
	static const char *const secret[] = {
		"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/proc/scsi", "/proc/latency_stats",
		"/proc/sched_debug", "/sys/firmware", "/sys/dev/block", "/sys/devices/virtual/powercap", "/proc/kmsg",
	};
	static const char *const locked[] = {
		"/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname",
		"/proc/sys/vm/drop_caches", "/proc/sys/fs/binfmt_misc/register", "/proc/irq/default_smp_affinity",
		"/proc/bus/pci/devices", "/proc/fs/ext4/x", "/sys/kernel/mm/transparent_hugepage/enabled",
		"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs", "/sys/power/state",
	};
	unsigned long clone3_arguments[11] = { CLONE_NEWUSER, 0, 0, 0, SIGCHLD };
	struct { unsigned long set, clear, propagation, userns; } writable = { 0, MS_RDONLY, 0, 0 };
	static char ring[256];
	char name[128];

	mkdir("/tmp/v1", 0755);
	mkdir("/tmp/mount", 0755);
	for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
		contents(secret[i]);
	for (size_t i = 0; i < sizeof locked / sizeof *locked; i++) {
		/* only opened: where that works, because it was asked for, the host's setting must stay as it is */
		snprintf(name, sizeof name, "write %s", locked[i]);
		ATTEMPT(name, open(locked[i], O_WRONLY | O_CLOEXEC));
	}
	ATTEMPT("socket AF_ALG", socket(38, SOCK_SEQPACKET, 0));
	ATTEMPT("socket AF_VSOCK", socket(40, SOCK_STREAM, 0));
	ATTEMPT("socket AF_PACKET", socket(17, SOCK_RAW, 0));
	ATTEMPT("socket raw", socket(2, SOCK_RAW, 1));
	ATTEMPT("socket audit", socket(16, SOCK_RAW, 9));
	ATTEMPT("unshare user", unshare(CLONE_NEWUSER));
	ATTEMPT("unshare mnt", unshare(CLONE_NEWNS));
	ATTEMPT("clone3 user", syscall(SYS_clone3, clone3_arguments, sizeof clone3_arguments));
	ATTEMPT("setns", setns(open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC), 0));
	ATTEMPT("mount tmpfs", mount("x", "/tmp/mount", "tmpfs", 0, ""));
	ATTEMPT("remount proc/sys", mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
	ATTEMPT("umount proc/sys", umount2("/proc/sys", MNT_DETACH));
	ATTEMPT("mount cgroup v1", mount("cgroup", "/tmp/mount", "cgroup", 0, "pids"));
	/* texts that change nothing where they are taken: an empty name is there without anybody's doing */
	ATTEMPT("release_agent in a user namespace", namespace_and_cgroup("pids", "release_agent", "\n"));
	ATTEMPT("devices.allow in a user namespace", namespace_and_cgroup("devices", "devices.allow", "c 1:3 r"));
	ATTEMPT("mknod", mknod("/tmp/vda", S_IFBLK | 0600, makedev(254, 0)));
	ATTEMPT("mknod on /dev", mknod("/dev/mem", S_IFCHR | 0600, makedev(1, 1)));
	ATTEMPT("sethostname", sethostname("x", 1));
	ATTEMPT("bpf", syscall(SYS_bpf, 5, NULL, 0));
	ATTEMPT("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	ATTEMPT("init_module", syscall(SYS_init_module, NULL, 0, ""));
	ATTEMPT("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	ATTEMPT("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0));
	ATTEMPT("userfaultfd", syscall(SYS_userfaultfd, 0));
	ATTEMPT("settimeofday", syscall(SYS_settimeofday, NULL, NULL));
	ATTEMPT("swapon", syscall(SYS_swapon, "/tmp/x", 0));
	ATTEMPT("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL)); /* 0: CAD off, harmless */
	ATTEMPT("syslog", syscall(SYS_syslog, 3, name, 1));
	ATTEMPT("raise limit", setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 1 << 30, 1 << 30 }));
	ATTEMPT("personality", syscall(SYS_personality, 0x0040000));
	ATTEMPT("clone user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	ATTEMPT("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
	ATTEMPT("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
	ATTEMPT("fspick", syscall(SYS_fspick, AT_FDCWD, "/proc", 0));
	ATTEMPT("open_tree clone", syscall(SYS_open_tree, AT_FDCWD, "/tmp", 1));
	ATTEMPT("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, "/tmp/mount", 0));
	ATTEMPT("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/proc/sys", 0, &writable, sizeof writable));
	ATTEMPT("io_uring_setup", syscall(SYS_io_uring_setup, 1, ring));
	ATTEMPT("memfd_secret", syscall(447, 0));
	ATTEMPT("keyctl", syscall(SYS_keyctl, 0, -3, 0));
	ATTEMPT("add_key", syscall(SYS_add_key, "user", "x", "x", 1, -3));
	ATTEMPT("request_key", syscall(SYS_request_key, "user", "x", NULL, -3));
	ATTEMPT("bpf map", syscall(SYS_bpf, 0, NULL, 0));
	ATTEMPT("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
	ATTEMPT("finit_module", syscall(SYS_finit_module, -1, "", 0));
	ATTEMPT("delete_module", syscall(SYS_delete_module, "x", 0));
	ATTEMPT("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 0));
	ATTEMPT("acct", syscall(SYS_acct, "/nosuch"));
	ATTEMPT("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
	ATTEMPT("clock_settime", syscall(SYS_clock_settime, CLOCK_REALTIME, NULL));
	ATTEMPT("setdomainname", setdomainname("x", 1));
	ATTEMPT("lsm_list_modules", syscall(461, NULL, NULL, 0));
#ifdef __x86_64__
	ATTEMPT("iopl", syscall(SYS_iopl, 3));
	ATTEMPT("ioperm", syscall(SYS_ioperm, 0x80, 1, 1));
	ATTEMPT("i386 fsopen", int80(430, 0, 0, 0));
	ATTEMPT("i386 keyctl", int80(288, 0, -3, 0));
	ATTEMPT("i386 io_uring_setup", int80(425, 1, 0, 0));
	ATTEMPT("i386 userfaultfd", int80(374, 0, 0, 0));
	ATTEMPT("i386 socketcall AF_ALG", socketcall(38, SOCK_SEQPACKET, 0));
	ATTEMPT("x32 unshare mnt", syscall(0x40000000 | SYS_unshare, CLONE_NEWNS));
	ATTEMPT("x32 keyctl", syscall(0x40000000 | SYS_keyctl, 0, -3, 0));
	ATTEMPT("x32 fsopen", syscall(0x40000000 | SYS_fsopen, "tmpfs", 0));
	ATTEMPT("x32 userfaultfd", syscall(0x40000000 | SYS_userfaultfd, 0));
	ATTEMPT("i386 getpid", int80(20, 0, 0, 0));
	ATTEMPT("i386 unshare mnt", int80(310, CLONE_NEWNS, 0, 0));
	ATTEMPT("i386 socketcall raw", socketcall(2, SOCK_RAW, 1));
	ATTEMPT("i386 socketcall audit", socketcall(16, SOCK_RAW, 9));
	ATTEMPT("i386 bpf", int80(357, 5, 0, 0));
	ATTEMPT("x32 bpf", syscall(0x40000000 | SYS_bpf, 5, NULL, 0));
	ATTEMPT("x32 getpid", syscall(0x40000000 | SYS_getpid));
#endif
	return 0;
}

static int process_file(int pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	return open(path, flags | O_CLOEXEC);
}

/* Of all processes, those that are gone, too. */
static int last_pid(void)
{
	static int loadavg = -1;
	char text[128], *end;

	if (loadavg < 0)
		loadavg = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	ssize_t length = pread(loadavg, text, sizeof text - 1, 0);
	text[length > 0 ? length : 0] = '\0';
	end = strrchr(text, ' ');
	return end ? atoi(end + 1) : 0;
}

/* The pids that were given out last: calls `look` for each again and again until the file /tmp/stop is there. */
static unsigned long follow_new(void look(int pid, const char *argument), const char *argument)
{
	unsigned long looked = 0;

	say("watching", "");
	fflush(stdout);
	while (access("/tmp/stop", F_OK) < 0)
		for (int newest = last_pid(), pid = newest - 2; pid < newest + 8; pid++) {
			if (pid == getpid() || pid < 1 || kill(pid, 0) < 0)
				continue;
			looked++;
			look(pid, argument);
		}
	return looked;
}

static bool is_ours(const char *program)
{
	return strstr(program, "pypod") || !strncmp(program, "/memfd:", 7);
}

static void look_inside(int pid, const char *host_path)
{
	char link[4096];
	int directory = process_file(pid, "", O_PATH | O_DIRECTORY), fd;

	ssize_t length = readlinkat(directory, "exe", link, sizeof link - 1);
	link[length > 0 ? length : 0] = '\0';
	if (is_ours(link))
		say("saw the program", link);
	if ((fd = openat(directory, "root", O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		if (faccessat(fd, host_path, F_OK, 0) == 0)
			say("reached the host's root", host_path);
		close(fd);
	}
	if ((fd = openat(directory, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0) {
		DIR *entries = fdopendir(fd);
		for (struct dirent *entry; entries && (entry = readdir(entries));) {
			length = readlinkat(fd, entry->d_name, link, sizeof link - 1);
			link[length > 0 ? length : 0] = '\0';
			if (!strncmp(link, "socket:", 7) || strstr(link, "pidfd") || is_ours(link))
				say("saw a descriptor", link);
		}
		if (entries)
			closedir(entries);
		else
			close(fd);
	}
	close(directory);
}

/* watch HOST_PATH: look into every process that appears (CVE-2016-9962). */
static int watch(char **arguments)
{
	printf("looked\t%lu\n", follow_new(look_inside, arguments[0]));
	return 0;
}

static void write_program(int pid, const char *unused)
{
	char path[64], link[4096];
	int readable = process_file(pid, "exe", O_PATH);

	(void)unused;
	if (readable < 0)
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", readable);
	ssize_t length = readlink(path, link, sizeof link - 1);
	link[length > 0 ? length : 0] = '\0';
	for (int i = 0; is_ours(link) && i < 2000; i++) { /* ETXTBSY until its process has ended */
		int writable = open(path, O_WRONLY | O_CLOEXEC);
		if (i == 0) {
			say("held", link);
			fflush(stdout);
		}
		if (writable >= 0 && write(writable, "#!/bin/sh\n", 10) > 0) {
			say("wrote to", link);
			close(writable);
			break;
		}
		if (writable >= 0)
			close(writable);
		usleep(10);
	}
	close(readable);
}

/* overwrite: try to write to the program of every process that appears (CVE-2019-5736). */
static int overwrite(void)
{
	printf("looked\t%lu\n", follow_new(write_program, NULL));
	return 0;
}

/* swap SECONDS A B: exchange two names in a loop. */
static int swap(char **arguments)
{
	time_t end = time(NULL) + atoi(arguments[0]);
	unsigned long done = 0;

	while (time(NULL) < end && access("/tmp/stop", F_OK) < 0)
		for (int i = 0; i < 1000; i++)
			done += syscall(SYS_renameat2, AT_FDCWD, arguments[1], AT_FDCWD, arguments[2], 2) == 0;
	printf("swapped\t%lu\n", done);
	return 0;
}

/* shared-memory KEY [TEXT]: make a segment with TEXT, or read the one there is. */
static int shared_memory(char **arguments)
{
	int id = shmget(atoi(arguments[0]), 4096, arguments[1] ? IPC_CREAT | 0600 : 0);
	char *memory = id < 0 ? NULL : shmat(id, NULL, 0);

	if (!memory || memory == (void *)-1) {
		result("shmget", -1);
		return 1;
	}
	if (arguments[1])
		strcpy(memory, arguments[1]);
	say("shared", memory);
	return 0;
}

/* An orphan that ends: whoever is pid 1 here has to reap it. Prints the orphan's pid. */
static int orphan(void)
{
	int pair[2];

	if (pipe(pair) < 0)
		return 1;
	if (fork() == 0) {
		pid_t pid = fork();
		if (pid == 0) {
			usleep(20000);
			_exit(0);
		}
		dprintf(pair[1], "orphan\t%d\n", pid);
		_exit(0);
	}
	wait(NULL);
	char line[64] = "";
	ssize_t length = read(pair[0], line, sizeof line - 1);
	fwrite(line, 1, length > 0 ? length : 0, stdout);
	return 0;
}

/* Push characters into the terminal's input, as if typed (CVE-2016-2568 and many more). */
static int type_in(char **arguments)
{
	for (const char *c = arguments[0]; *c; c++)
		if (ioctl(0, TIOCSTI, c) < 0) {
			result("TIOCSTI", -1);
			return 0;
		}
	say("TIOCSTI", "ok");
	return 0;
}

/* Stay, ignoring nothing: a container that only has to be there, and ends at once when asked to. */
static int stay(void)
{
	signal(SIGTERM, _exit);
	say("staying", "");
	fflush(stdout);
	while (pause())
		;
	return 0;
}

/* dig DEPTH: directories in directories, a file at the bottom. */
static int dig(char **arguments)
{
	for (int i = 0; i < atoi(arguments[0]); i++)
		if (mkdir("d", 0700) < 0 || chdir("d") < 0) {
			result("dig", -1);
			return 1;
		}
	result("dig", mknod("fifo", S_IFIFO | 0600, 0) + symlink("/", "link") + mkdir("last", 0));
	return 0;
}

/* peek PID: what can be done to a process. */
static int peek(char **arguments)
{
	int pid = atoi(arguments[0]);
	static const char *const names[] = { "root/", "cwd/", "fd/0", "mem", "environ", "exe", "maps" };
	char name[64], link[64];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(name, sizeof name, "open %s", names[i]);
		result(name, process_file(pid, names[i], O_RDONLY));
	}
	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	result("write exe", open(link, O_WRONLY | O_CLOEXEC));
	long traced = ptrace(PTRACE_ATTACH, pid, NULL, NULL);
	result("ptrace", traced);
	if (traced == 0) {
		waitpid(pid, NULL, __WALL);
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
	result("SIGKILL", kill(pid, SIGKILL));
	result("SIGTERM", kill(pid, SIGTERM));
	result("SIGSTOP", kill(pid, SIGSTOP));
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "report";

	if (!strcmp(verb, "report"))
		return report();
	if (!strcmp(verb, "attempts"))
		return attempts();
	if (!strcmp(verb, "watch") && argc == 3)
		return watch(argv + 2);
	if (!strcmp(verb, "overwrite"))
		return overwrite();
	if (!strcmp(verb, "swap") && argc == 5)
		return swap(argv + 2);
	if (!strcmp(verb, "shared-memory") && argc > 2)
		return shared_memory(argv + 2);
	if (!strcmp(verb, "orphan"))
		return orphan();
	if (!strcmp(verb, "type") && argc == 3)
		return type_in(argv + 2);
	if (!strcmp(verb, "stay"))
		return stay();
	if (!strcmp(verb, "dig") && argc == 3)
		return dig(argv + 2);
	if (!strcmp(verb, "read") && argc == 3) {
		contents(argv[2]);
		return 0;
	}
	if (!strcmp(verb, "peek") && argc == 3)
		return peek(argv + 2);
	fprintf(stderr, "probe: no such verb: %s\n", verb);
	return 2;
}
