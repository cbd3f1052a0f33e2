/* The end of a plan: the process becomes the program. */
#define _GNU_SOURCE
#include "process/execute.h"
#include "common/hooks.h"
#include "common/ops.h"
#include "root/mount_api.h"
#include "root/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The program on its own read-only mount, so that nothing can write to a file of the host through /proc/PID/exe
 * (CVE-2019-5736). */
int open_program(const struct process *process, const char *path)
{
	int fd = open_tree_at(AT_FDCWD, path, 0);

	if (fd < 0)
		fail(process, "open_tree");
	if (set_attributes(fd, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	return fd;
}

/* A directory that was missing is owned by the user, as in podman; one that somebody else creates meanwhile is not. */
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

/* Without magic links, which lead outside (/proc/self/fd/N, CVE-2024-21626; /proc/1/root). The check at the end is a
 * second line of defence: the kernel's getcwd starts with "(unreachable)" outside of the root. */
void enter_working_directory(const struct process *process, const struct record *record)
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

void set_environment(struct process *process, const struct record *record)
{
	char **all = vector(record, 0), **last = all;

	if (!all)
		fail(process, "calloc");
	if (!variable(all, "HOME") && process->home) {
		char *home = malloc(strlen(process->home) + 6);
		if (!home)
			fail(process, "malloc");
		sprintf(home, "HOME=%s", process->home);
		/* one more than in the plan: vector() leaves no room for it */
		all = calloc(record->count + 2, sizeof *all);
		if (!all)
			fail(process, "calloc");
		for (uint32_t i = 0; i < record->count; i++)
			*(all + i) = last[i];
		all[record->count] = home;
	}
	process->environment = all;
}

static char *content_of(const struct process *process, const struct record *record)
{
	const char *name = text(record, 1);
	int fd = process->slots[number(record, 0) % process->plan->count];
	struct stat st;
	size_t start = strlen(name) + 1, done = 0;

	if (fstat(fd, &st) < 0)
		fail(process, "fstat");
	char *whole = calloc(1, start + st.st_size + 1);
	if (!whole)
		fail(process, "calloc");
	sprintf(whole, "%s=", name);
	while (done < (size_t)st.st_size) {
		ssize_t got = pread(fd, whole + start + done, st.st_size - done, done);
		if (got <= 0)
			fail(process, "pread");
		done += got;
	}
	return whole;
}

void add_secret_variable(struct process *process, const struct record *record)
{
	char **all = process->environment, *added = content_of(process, record);
	uint32_t count = 0, at;

	while (all && all[count])
		count++;
	for (at = 0; at < count; at++)
		if (!strncmp(all[at], added, length(record, 1) + 1))
			break;
	process->environment = calloc(count + 2, sizeof *all);
	if (!process->environment)
		fail(process, "calloc");
	if (count)
		memcpy(process->environment, all, count * sizeof *all);
	process->environment[at] = added;
}

/* Give the caller's descriptors their numbers. First they are moved above all of these, and so is our own. */
static void place_descriptors(struct process *process)
{
	const struct record *numbers = plan_find(process->plan, OP_descriptors);
	uint32_t count = process->descriptor_count;
	int moved[count + 1], above = 3;

	for (uint32_t i = 0; i < count; i++)
		if ((int)number(numbers, i) >= above)
			above = number(numbers, i) + 1;
	for (uint32_t i = 0; i <= count; i++) {
		moved[i] = fcntl(i < count ? process->descriptors[i] : process->report, F_DUPFD_CLOEXEC, above);
		if (moved[i] < 0)
			fail(process, "fcntl");
	}
	process->report = moved[count];
	for (uint32_t i = 0; i < count; i++)
		if (dup2(moved[i], number(numbers, i)) < 0)
			fail(process, "dup2");
}

/* No descriptor but 0, 1, 2 and those of the caller is inherited by the container, nor is our signal mask. */
static void last_preparations(struct process *process, bool keep_mask)
{
	sigset_t none;

	wait_for_supervisor(process);
	sigemptyset(&none);
	if (!keep_mask)
		sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, 0);
	syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	if (process->descriptor_count)
		place_descriptors(process);
}

/* Run a program; without arguments only look whether that would be possible. */
static bool run(const char *path, char **arguments, char **environment)
{
	return (arguments ? execve(path, arguments, environment) : access(path, X_OK)) == 0;
}

/* Like execvp, with the container's PATH; the error of a file that cannot be run takes precedence over ENOENT. */
static bool find_and_run(const struct process *process, const char *name, char **arguments)
{
	static char *nothing[] = { NULL };
	char **environment = process->environment ? process->environment : nothing, path[4096];
	const char *search = variable(process->environment, "PATH");
	int error = ENOENT;

	if (strchr(name, '/'))
		return run(name, arguments, environment);
	for (const char *end; search && *name; search = *end ? end + 1 : NULL) {
		end = strchrnul(search, ':');
		int length = snprintf(path, sizeof path, "%.*s/%s", (int)(end - search), search, name);
		if (length > 0 && (size_t)length < sizeof path && *path == '/') {
			if (run(path, arguments, environment))
				return true;
			if (errno != ENOENT && errno != ENOTDIR && !(errno == EACCES && access(path, F_OK) < 0))
				error = errno;
		}
	}
	errno = error;
	return false;
}

/* As `create` of an OCI runtime does, look for the program: then it is not only the start that says it is missing. A
 * process that may wait for days keeps nothing of the host open; until its exec it cannot be dumped (supervise/begin.c),
 * so that none that it shares a namespace with looks into it. */
void await_start(struct process *process)
{
	struct report ready = { .kind = REPORT_INITIALIZED };
	const struct record *program = plan_find(process->plan, OP_execute);
	uint32_t own = process->at;

	wait_for_supervisor(process);
	process->at = program - process->plan->records; /* for a failure report */
	if (!find_and_run(process, text(program, 0), NULL))
		fail(process, "execve");
	process->at = own;
	syscall(SYS_close_range, 3, process->report - 1, 0);
	syscall(SYS_close_range, process->report + 1, ~0U, 0);
	if (report_send(process->report, &ready, -1) < 0)
		fail(process, "sendmsg");
	if (has_hooks(process->plan, "startContainer"))
		wait_for_supervisor(process); /* else the exec does: the start sends a byte for each */
}

void execute(struct process *process, const struct record *record)
{
	char **arguments = vector(record, 0);

	if (!arguments)
		fail(process, "calloc");
	last_preparations(process, false);
	find_and_run(process, text(record, 0), arguments);
	fail(process, "execve");
}

void execute_file(struct process *process, const struct record *record)
{
	char **arguments = vector(record, 1), *environment[] = { NULL };
	int program = process->program;

	if (!arguments)
		fail(process, "calloc");
	/* Our own infra reads signals from the start: a TERM before the exec must stay pending. */
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
