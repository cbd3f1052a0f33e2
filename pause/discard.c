/* Deletes directory trees, and lets nobody wait for it: the removal of an upper layer takes longer than all else. */
#define _GNU_SOURCE
#include "common/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEEPEST = 200 };

/* By descriptor and without following links: the tree is a container's. Each level takes a descriptor of ours and a
 * container may have made thousands: what is too deep is moved up to the top, which is then done once more. It gets a
 * name there that the container could not guess, and have in the way. */
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
		int below = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
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

/* Whoever looks for what a crash left sees that somebody is at work there, until we end: the child has it, too. */
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
