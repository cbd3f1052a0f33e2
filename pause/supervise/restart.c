/* Restarts: the monitor executes itself and reads its plan once more. Nothing of the last run is left in its memory, and
 * its pid stays. */
#define _GNU_SOURCE
#include "supervise/restart.h"
#include "common/clock.h"
#include "common/ops.h"
#include "common/retry.h"
#include "supervise/record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ON_FAILURE = 1 };
enum { APART_MS = 100 }; /* between two starts, as systemd does it (RestartSec=): podman has no delay at all */
static const char POLICY[] = "restart"; /* in the container's directory: somebody has changed it */
/* A permission bit of the status file says that somebody has stopped the container: it takes no space on a full disk,
 * survives a boot, and the next start begins with a new file. */
enum { STOPPED = S_IXUSR };

int restart_prepare(struct restart *restart, const struct supervised *it)
{
	const struct record *asked = plan_find(&it->plan, OP_restart), *attach = plan_find(&it->plan, OP_attach);

	if (asked) {
		restart->policy = number(asked, 0);
		restart->most = number(asked, 1);
	}
	restart->directory = attach ? strdup(text(attach, 0)) : NULL;
	return restart->directory ? 0 : -1;
}

void restart_begin(struct restart *restart)
{
	restart->began_ms = monotonic_ms();
}

static int open_directory(const struct restart *restart)
{
	return open(restart->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_stopped(const struct supervised *it)
{
	struct stat status;

	return it->status_file < 0 || fstat(it->status_file, &status) < 0 || status.st_mode & STOPPED;
}

static void read_policy(struct restart *restart, int directory)
{
	char content[32], *rest;
	int fd = openat(directory, POLICY, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	ssize_t length = RETRY(read(fd, content, sizeof content - 1));
	close(fd);
	content[length > 0 ? length : 0] = '\0';
	if (*content) { /* without space for the content, the policy stays */
		restart->policy = strtoull(content, &rest, 10);
		restart->most = strtoull(rest, NULL, 10);
	}
}

bool restart_is_wanted(struct restart *restart, const struct supervised *it, int status)
{
	int directory = open_directory(restart);

	if (directory < 0)
		return false;
	read_policy(restart, directory);
	close(directory);
	bool wanted = restart->policy && (!restart->most || it->restarts < restart->most);
	return wanted && !is_stopped(it) && !(restart->policy == ON_FAILURE && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Whether the exit that we recorded is still the last thing that happened. */
static bool is_current(int directory, const struct supervised *it)
{
	struct stat ours, there;

	return !is_stopped(it) && fstat(it->status_file, &ours) == 0 &&
	       fstatat(directory, "status", &there, AT_SYMLINK_NOFOLLOW) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

/* A volatile overlay cannot be mounted while the mark of an earlier mount exists (Documentation/filesystems/
 * overlayfs.rst). Python removes it before a start (pypod/engine/storage/layers.py). */
static void remove_overlay_mark(int directory)
{
	unlinkat(directory, "work/work/incompat/volatile/dirty", 0);
	unlinkat(directory, "work/work/incompat/volatile", AT_REMOVEDIR);
	unlinkat(directory, "work/work/incompat", AT_REMOVEDIR);
}

/* Leave in REPORT_FD what a caller sends: one byte counts, and the lock with it. Nobody reads what we answer. */
static int call_ourselves(int lock)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    report_send(pair[0], &(struct report){ .kind = 0 }, lock) < 0)
		return -1;
	return dup2(pair[1], REPORT_FD); /* without CLOEXEC */
}

void restart_now(const struct restart *restart, const struct supervised *it, const char *name)
{
	char count[16];
	char *words[] = { (char *)name, "", "", count, NULL };
	int64_t left = restart->began_ms + APART_MS - monotonic_ms();

	if (left > 0)
		poll(NULL, 0, left);
	int lock = open_directory(restart);
	if (lock < 0 || RETRY(flock(lock, LOCK_EX)) < 0 || !is_current(lock, it))
		return;
	remove_overlay_mark(lock);
	record_restart_event(it);
	snprintf(count, sizeof count, "%u", it->restarts + 1);
	fcntl(PLAN_FD, F_SETFD, 0);
	if (call_ourselves(lock) >= 0)
		execv("/proc/self/exe", words);
}
