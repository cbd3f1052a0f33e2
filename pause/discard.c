/* Deletes directory trees, and lets nobody wait for it: the removal of an upper layer takes longer than all else. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By descriptor and without following links: the tree is a container's. Depth is bounded by the descriptors we may
 * open; deeper trees stay and are tried again by the next removal. */
static void empty(int directory)
{
	DIR *entries = fdopendir(directory);
	struct dirent *entry;

	if (!entries) {
		close(directory);
		return;
	}
	while ((entry = readdir(entries))) {
		const char *name = entry->d_name;
		if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
			continue;
		if (unlinkat(directory, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
			continue;
		int below = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0)
			empty(below);
		unlinkat(directory, name, AT_REMOVEDIR);
	}
	closedir(entries);
}

int main(int argc, char **argv)
{
	syscall(SYS_close_range, 3, ~0U, 0);
	if (fork() != 0)
		return 0;
	setsid();
	for (int i = 1; i < argc; i++) {
		int directory = open(argv[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (directory >= 0)
			empty(directory);
		rmdir(argv[i]);
	}
	return 0;
}
