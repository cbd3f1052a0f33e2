/* Deletes directory trees in the background: removing an upper layer is the slowest part of a removal. */
#define _GNU_SOURCE
#include "common/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEEPEST = 200 };

/* Into a directory, but not into what is mounted there: that belongs to somebody else, whatever its device. */
static int enter(int directory, const char *name)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_NO_XDEV };

	return syscall(SYS_openat2, directory, name, &how, sizeof how);
}

/* By descriptor and without following links: the tree belongs to a container. Each level takes one of our descriptors,
 * and a container may have created thousands: what is too deep is moved to the top, which is then emptied again. It
 * gets a name there that the container cannot guess and block. */
static void empty(int directory, int top, int depth, uint64_t *name_above)
{
	DIR *entries = fdopendir(directory);
	struct dirent *entry;

	if (!entries) {
		close(directory);
		return;
	}
	while ((entry = readdir(entries))) {
		char above[32];
		const char *name = entry->d_name;
		if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
			continue;
		if (unlinkat(directory, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
			continue;
		if (depth == DEEPEST) {
			snprintf(above, sizeof above, ".pypod.%llx", (unsigned long long)*name_above);
			*name_above += renameat(directory, name, top, above) == 0;
			continue;
		}
		int below = enter(directory, name);
		if (below >= 0)
			empty(below, top, depth + 1, name_above);
		unlinkat(directory, name, AT_REMOVEDIR);
	}
	closedir(entries);
}

static void discard(const char *path)
{
	uint64_t name_above = 0, before;
	int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	(void)!getrandom(&name_above, sizeof name_above, 0);
	do {
		before = name_above;
		int directory = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (directory >= 0)
			empty(directory, top, 0, &name_above);
	} while (name_above != before);
	close(top);
	rmdir(path);
}

/* Cleanup after a crash sees the lock and leaves the directory alone until we end: the child inherits it. */
static void share_lock_of_parent(const char *path)
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int above = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	close(directory);
	flock(above, LOCK_SH);
}

int main(int argc, char **argv)
{
	syscall(SYS_close_range, 3, ~0U, 0);
	if (session_enter_environment() < 0)
		return 1;
	if (argc > 1)
		share_lock_of_parent(argv[1]);
	if (fork() != 0)
		return 0;
	setsid();
	for (int i = 1; i < argc; i++)
		discard(argv[i]);
	return 0;
}
