#define _GNU_SOURCE
#include "unpack/remove.h"
#include "unpack/outcome.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

/* Delete what can be deleted in a directory, up to the first non-empty directory in it: `name` gets its name, or "". */
static void delete_in(int fd, char name[NAME_MAX + 1])
{
	struct dirent *found;
	DIR *names = fdopendir(openat(fd, ".", OPEN_DIRECTORY));

	if (!names)
		broken("openat");
	name[0] = '\0';
	while (!name[0] && (found = readdir(names))) {
		if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, found->d_name, 0) == 0 || unlinkat(fd, found->d_name, AT_REMOVEDIR) == 0)
			continue;
		if (errno != ENOTEMPTY)
			broken("unlinkat");
		strcpy(name, found->d_name);
	}
	closedir(names);
}

/* With one descriptor, however deep the tree: down into the first directory, up again when that is empty. */
void remove_tree(int parent, const char *name)
{
	char below[NAME_MAX + 1];

	if (unlinkat(parent, name, 0) == 0)
		return;
	if (errno != EISDIR)
		broken("unlinkat");
	int at = openat(parent, name, OPEN_DIRECTORY | O_NOFOLLOW);
	for (size_t depth = 1; depth > 0;) {
		if (at < 0)
			broken("openat");
		delete_in(at, below);
		depth += below[0] ? 1 : -1;
		if (depth == 0)
			break;
		int next = openat(at, below[0] ? below : "..", OPEN_DIRECTORY | O_NOFOLLOW);
		close(at);
		at = next;
	}
	close(at);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0)
		broken("unlinkat");
}
