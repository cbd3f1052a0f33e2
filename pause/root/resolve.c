/* Paths in the new root, by descriptor (openat2, RESOLVE_IN_ROOT): something in the container could swap any component
 * of a path meanwhile. */
#define _GNU_SOURCE
#include "root/resolve.h"
#include "root/places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int open_resolved(const struct process *process, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve };
	int directory = process->root >= 0 ? process->root : AT_FDCWD, fd = -1;

	if (process->root >= 0 && is_of_the_system(path)) {
		int mount = mount_of(process, path, &path);
		if (mount >= 0)
			directory = mount;
		how.resolve |= RESOLVE_NO_SYMLINKS;
	}

	/* EAGAIN: a rename elsewhere raced with a ".." of ours; openat2(2) says to try again. Not forever: the renames may
	 * be deliberate. */
	for (int try = 0; try < 1000; try++)
		if ((fd = syscall(SYS_openat2, directory, path, &how, sizeof how)) >= 0 || errno != EAGAIN)
			break;
	return fd;
}

int open_inside(const struct process *process, const char *path, int flags)
{
	return open_resolved(process, path, flags, 0);
}

int open_on_root(const struct process *process, const char *path, int flags)
{
	return open_resolved(process, path, flags, RESOLVE_NO_XDEV);
}

int open_parent(const struct process *process, const char *path, char name[256], const char **call)
{
	char parent[4096];
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	size_t start = length;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (length - start > 255 || start >= sizeof parent || length == start) {
		errno = ENAMETOOLONG;
		*call = "openat2";
		return -1;
	}
	memcpy(name, path + start, length - start);
	name[length - start] = '\0';
	memcpy(parent, path, start);
	parent[start] = '\0';
	return resolve(process, start > 1 ? parent : "/", O_DIRECTORY, call);
}

static int make_entry(int parent, const char *name, bool is_directory)
{
	if (is_directory)
		return mkdirat(parent, name, 0755);
	int fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	return fd < 0 ? -1 : close(fd);
}

/* One component at a time, each looked up from the root: a link on the way leads where it would lead the container. */
int resolve(const struct process *process, const char *path, int flags, const char **call)
{
	char prefix[PATH_MAX];
	int fd = open_inside(process, path, O_PATH | flags), parent = -1;

	*call = "openat2";
	if (fd >= 0 || errno != ENOENT || strlen(path) >= sizeof prefix)
		return fd;
	/* usually only the last component is missing */
	const char *at = strrchr(path, '/');
	if (at && at > path && at[1]) {
		memcpy(prefix, path, at - path);
		prefix[at++ - path] = '\0';
		parent = open_inside(process, prefix, O_PATH | O_DIRECTORY);
	}
	bool is_missing = parent >= 0;
	if (parent < 0) {
		parent = open_inside(process, "/", O_PATH | O_DIRECTORY);
		at = path + strspn(path, "/");
	}
	for (const char *next; parent >= 0 && *at; at = next, parent = fd) {
		const char *end = strchrnul(at, '/');
		next = end + strspn(end, "/");
		bool is_directory = *next || flags & O_DIRECTORY;
		memcpy(prefix, path, end - path);
		prefix[end - path] = '\0';
		*call = "openat2";
		if (!is_missing)
			fd = open_inside(process, prefix, O_PATH | (is_directory ? O_DIRECTORY : 0));
		if (is_missing || (fd < 0 && errno == ENOENT)) {
			*call = is_directory ? "mkdirat" : "openat";
			if (make_entry(parent, prefix + (at - path), is_directory) == 0 || errno == EEXIST) {
				*call = "openat2";
				fd = open_inside(process, prefix, O_PATH | (is_directory ? O_DIRECTORY : 0));
			}
		}
		close(parent);
	}
	return parent;
}

int must_resolve(const struct process *process, const char *path, int flags)
{
	const char *call;
	int fd = resolve(process, path, flags, &call);

	if (fd < 0)
		fail(process, call);
	return fd;
}

int must_open_parent(const struct process *process, const char *path, char name[256])
{
	const char *call;
	int parent = open_parent(process, path, name, &call);

	if (parent < 0)
		fail(process, call);
	return parent;
}

bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}
