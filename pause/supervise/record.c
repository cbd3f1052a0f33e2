/* The records of a process: that it runs, how it ended, and lines for `pypod events`. */
#define _GNU_SOURCE
#include "supervise/record.h"
#include "common/hooks.h"
#include "common/identity.h"
#include "common/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The status file has a fixed size, so that recording the exit needs no space on a full disk:
 * line 1, written at the start: PID START_TIME SUPERVISOR_PID SUPERVISOR_START_TIME BOOT_ID STARTED_NS RESTARTS
 *         (STARTED_NS 0: the process is initialized and waits for its start), and at its end S until the process has
 *         executed its program or waits for its start: nobody may enter what it has until then
 * line 2, blank until the end:  WAIT_STATUS FINISHED_NS, OOM after an OOM kill in the cgroup, AGAIN before a restart */
enum { START_LINE = 192, EXIT_LINE = 64, SETUP_MARK = START_LINE - 2 };
enum { EVENTS = 3, ACTION_SIZE = 32 }; /* lines in one call, and characters of an action */

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int write_start_line(char line[START_LINE], const char *boot_id, const struct recorded *it)
{
	errno = ESRCH;
	if (it->start_time == 0) /* a pid alone does not identify the process */
		return -1;
	memset(line, ' ', START_LINE);
	int length = snprintf(line, START_LINE, "%d %llu %d %llu %s %lld %u", it->pid, (unsigned long long)it->start_time,
			      it->supervisor, (unsigned long long)it->supervisor_start_time, boot_id,
			      it->initialized ? 0 : now_ns(), it->restarts);
	errno = EBADMSG;
	if (length >= SETUP_MARK)
		return -1;
	line[length] = ' ';
	line[SETUP_MARK] = it->in_setup ? 'S' : ' ';
	line[START_LINE - 1] = '\n';
	return 0;
}

int record_start(const char *path, const char *boot_id, const struct recorded *it)
{
	char line[START_LINE + EXIT_LINE], temporary[PATH_MAX];

	memset(line, ' ', sizeof line);
	line[sizeof line - 1] = '\n';
	if (write_start_line(line, boot_id, it) < 0)
		return -1;
	/* a start whose caller was killed may still be running: each uses its own name */
	errno = ENAMETOOLONG;
	if (snprintf(temporary, sizeof temporary, "%s.%d", path, getpid()) >= (int)sizeof temporary)
		return -1;
	int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return -1;
	if (pwrite(file, line, sizeof line, 0) == (ssize_t)sizeof line && rename(temporary, path) == 0)
		return file;
	int error = errno;
	unlink(temporary);
	close(file);
	errno = error;
	return -1;
}

static const enum operation PID_FILES[] = { OP_pid_file, OP_supervisor_pid_file };

void open_pid_files(struct supervised *it)
{
	for (int i = 0; i < 2; i++) {
		const struct record *record = plan_find(&it->plan, PID_FILES[i]);
		int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
		it->pid_files[i] = record ? open(text(record, 0), flags, 0644) : -1;
		if (record && it->pid_files[i] < 0)
			die(position(it, record), "open");
	}
}

void withdraw_pid_files(const struct supervised *it)
{
	for (int i = 0; i < 2; i++)
		if (it->pid_files[i] >= 0)
			unlink(text(plan_find(&it->plan, PID_FILES[i]), 0));
}

static int write_pid_files(struct supervised *it)
{
	for (int i = 0; i < 2; i++) {
		char pid[16];
		int length = snprintf(pid, sizeof pid, "%d", i ? getpid() : it->pid);
		if (it->pid_files[i] >= 0 && pwrite(it->pid_files[i], pid, length, 0) != length)
			return -1;
	}
	return 0;
}

static int identify(const struct supervised *it, struct recorded *recorded)
{
	*recorded = (struct recorded){ .pid = it->pid, .start_time = it->start_time, .restarts = it->restarts };
	if (it->leave)
		return 0;
	recorded->supervisor = getpid();
	return (recorded->supervisor_start_time = start_time(getpid())) ? 0 : -1;
}

int write_status(struct supervised *it)
{
	const struct record *record = plan_find(&it->plan, OP_status);
	struct recorded recorded;

	errno = ESRCH;
	if (it->start_time == 0)
		return -1;
	if (!record)
		return 0;
	if (identify(it, &recorded) < 0)
		return -1;
	recorded.initialized = plan_find(&it->plan, OP_await_start) != NULL;
	recorded.in_setup = !it->leave;
	it->status_file = record_start(text(record, 0), text(record, 1), &recorded);
	return it->status_file < 0 ? -1 : write_pid_files(it);
}

void record_setup_end(const struct supervised *it)
{
	if (it->status_file >= 0)
		(void)!pwrite(it->status_file, " ", 1, SETUP_MARK);
}

int record_started(struct supervised *it)
{
	char line[START_LINE];
	struct recorded recorded;

	/* in place: it needs no space, and who waits for the exit has the file open */
	if (identify(it, &recorded) < 0 || write_start_line(line, text(plan_find(&it->plan, OP_status), 1), &recorded) < 0)
		return -1;
	return pwrite(it->status_file, line, sizeof line, 0) == sizeof line ? 0 : -1;
}

void withdraw_status(const struct supervised *it, const char *path)
{
	struct stat ours, there;

	if (it->status_file >= 0 && fstat(it->status_file, &ours) == 0 && lstat(path, &there) == 0 &&
	    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		unlink(path);
}

/* Append lines for `pypod events`, one for each word of ACTIONS: in one call, so that no other process's line gets in
 * between, and after a newline, so that they stay intact behind a line that a full disk or a killed process cut short.
 * A line that cannot be written is lost: no container starts or ends differently because of it. They are written here
 * and not by Python, because the supervisor is always there, and so that the start comes before the end. */
static void write_events(const struct supervised *it, const char *actions, const int *status)
{
	char heads[EVENTS][128];
	struct iovec parts[EVENTS * 2];
	int count = 0;

	if (!it->event[EVENT_FILE] || !actions || !*actions || !it->event[EVENT_REST])
		return;
	int fd = open(it->event[EVENT_FILE], O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	for (const char *word = actions; *word && count < EVENTS * 2; count += 2) {
		char *head = heads[count / 2];
		int size = strcspn(word, " "), length;

		length = snprintf(head, sizeof heads[0], "\n{\"time\":%lld,\"action\":\"%.*s\",", now_ns(),
				  size < ACTION_SIZE ? size : ACTION_SIZE, word);
		if (status)
			length += snprintf(head + length, sizeof heads[0] - length, "\"exit_code\":%d,",
					   WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status));
		parts[count] = (struct iovec){ head, length };
		parts[count + 1] = (struct iovec){ it->event[EVENT_REST], strlen(it->event[EVENT_REST]) };
		word += size + (word[size] == ' ');
	}
	(void)!writev(fd, parts, count);
	close(fd);
}

void record_start_events(const struct supervised *it, bool attended)
{
	const char *actions = it->event[EVENT_START];

	/* a process that waited for its start was reported as initialized then, by Python: the first word */
	if (actions && plan_find(&it->plan, OP_await_start) && strchr(actions, ' '))
		actions = strchr(actions, ' ') + 1;
	write_events(it, actions, NULL);
	if (attended)
		write_events(it, "attach", NULL);
}

void record_restart_event(const struct supervised *it)
{
	write_events(it, "restart", NULL);
}

/* The event comes first: whoever learns of the exit finds it there. The host's network rules are removed before that;
 * if that fails here, Python removes them when it releases the address. */
void supervise_record_exit(struct supervised *it, int status, bool again)
{
	char line[EXIT_LINE];

	if (it->end.messages)
		netlink_send(&it->end);
	hold_release(&it->held); /* a restart may follow as soon as the exit is known */
	if (it->oom_killed)
		write_events(it, "oom", NULL);
	write_events(it, it->event[EVENT_END], &status);
	if (it->status_file < 0)
		return;
	memset(line, ' ', sizeof line);
	int length = snprintf(line, sizeof line, "%d %lld%s%s", status, now_ns(), it->oom_killed ? " OOM" : "",
			      again ? " AGAIN" : "");
	line[length] = ' ';
	line[EXIT_LINE - 1] = '\n';
	if (pwrite(it->status_file, line, sizeof line, START_LINE) < 0)
		return; /* the exit code is lost, and readers of the file see that */
}

/* The calls of a start go deeper than any that follow: give back the pages of the stack below ours and the next one,
 * which this call itself may use. */
static void give_back_stack(void)
{
	enum { PAGES = 16 };
	uintptr_t page = sysconf(_SC_PAGESIZE), here = (uintptr_t)__builtin_frame_address(0) & -page;

	madvise((void *)(here - (PAGES + 1) * page), PAGES * page, MADV_DONTNEED);
}

void supervise_rest(struct supervised *it)
{
	if (!has_hooks(&it->plan, "poststop"))
		plan_free(&it->plan);
	give_back_stack();
}

void supervise_run_last_hooks(struct supervised *it)
{
	char call[36];
	uint32_t at;

	/* nobody is there whom a failure could be told */
	run_hooks(&it->plan, "poststop", 0, &at, call);
}
