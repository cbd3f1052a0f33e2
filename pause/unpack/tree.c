#define _GNU_SOURCE
#include "unpack/tree.h"
#include "unpack/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
static const char *opaque_attribute = "trusted.overlay.opaque";
static const char DEFAULT_ACL[] = "system.posix_acl_default";

enum kind {
	ENTERED, /* it has an entry in the archive */
	IMPLIED, /* only its content has entries */
	/* in addition to one of those: */
	RENEWED,   /* a whiteout separates it from the directory in the layers below */
	WHITENING, /* it contains whiteouts */
};

struct directory {
	char *path;
	ino_t inode; /* times are not set if the path is another directory by now */
	enum kind kind;
	size_t turn;
	struct timespec mtime;
	void *acl;
	size_t acl_size;
};

static struct directory *directories;
static size_t count, room;
static char current_path[PATH_MAX];
static int current = -1;
static ino_t root_inode;
static bool root_is_opaque, is_plain;

static void remember(const char *path, int fd, enum kind kind, struct timespec mtime)
{
	struct stat status;

	if (count == room) {
		room = room ? 2 * room : 1024;
		directories = realloc(directories, room * sizeof *directories);
		if (!directories)
			broken("realloc");
	}
	if (fstat(fd, &status) < 0)
		broken("fstat");
	char *copy = strdup(path);
	if (!copy)
		broken("strdup");
	directories[count] =
		(struct directory){ .path = copy, .inode = status.st_ino, .kind = kind, .turn = count, .mtime = mtime };
	count++;
}

static void go_to(const char *path, int fd)
{
	if (current >= 0)
		close(current);
	current = fd;
	strcpy(current_path, path);
}

void tree_enter(const char *path, int fd, struct timespec mtime, const void *default_acl, size_t acl_size)
{
	remember(path, fd, ENTERED, mtime);
	if (acl_size > 0) {
		struct directory *made = &directories[count - 1];
		made->acl = malloc(acl_size);
		if (!made->acl)
			broken("malloc");
		made->acl_size = acl_size;
		memcpy(made->acl, default_acl, acl_size);
	}
	go_to(path, fd);
}

void tree_open(bool in_user_namespace, bool plain)
{
	struct stat status;

	if (in_user_namespace)
		opaque_attribute = "user.overlay.opaque";
	is_plain = plain;
	int root = openat(AT_FDCWD, ".", OPEN_DIRECTORY);

	if (root < 0 || fstat(root, &status) < 0 || (!plain && fchmod(root, 0555) < 0))
		broken("openat");
	root_inode = status.st_ino;
	if (!plain)
		remember("", root, IMPLIED, (struct timespec){ 0 });
	go_to("", root);
}

bool tree_root_is_opaque(void)
{
	return root_is_opaque;
}

void tree_make_opaque(int fd)
{
	struct stat status;

	if (is_plain)
		return;
	if (fsetxattr(fd, opaque_attribute, "y", 1, 0) < 0)
		broken("fsetxattr");
	if (fstat(fd, &status) == 0 && status.st_ino == root_inode)
		root_is_opaque = true;
}

void tree_renew(const char *path, int fd)
{
	tree_make_opaque(fd);
	remember(path, fd, RENEWED, (struct timespec){ 0 });
}

void tree_note_whiteout(const char *path)
{
	if (count == 0 || directories[count - 1].kind != WHITENING || strcmp(directories[count - 1].path, path) != 0)
		remember(path, current, WHITENING, (struct timespec){ 0 });
}

/* podman also creates these as root's with 0755; whoever stacks the layers knows what they are below. */
static int make_implied(int parent, const char *name, const char *path, bool opaque)
{
	if (mkdirat(parent, name, 0755) < 0) {
		if (errno == EEXIST)
			refuse("a path leads through a symbolic link to something that is not in the layer");
		broken("mkdirat");
	}
	int fd = openat(parent, name, OPEN_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		broken("openat");
	/* it would inherit the group of a set-group-ID parent */
	if (fchown(fd, 0, 0) < 0 || fchmod(fd, 0755) < 0)
		broken("fchown");
	if (!is_plain)
		remember(path, fd, IMPLIED, (struct timespec){ 0 });
	if (opaque)
		tree_renew(path, fd);
	return fd;
}

bool tree_is_whiteout(const struct stat *status)
{
	return !is_plain && ((S_ISCHR(status->st_mode) && status->st_rdev == 0) || S_ISSOCK(status->st_mode));
}

static bool is_whiteout(int parent, const char *name)
{
	struct stat status;

	return fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && tree_is_whiteout(&status);
}

/* One step down; -1 at a whiteout, if that is allowed. */
static int step(int parent, const char *name, const char *path, bool about_lower)
{
	int fd = openat(parent, name, OPEN_DIRECTORY);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return make_implied(parent, name, path, false);
	if (errno == ENOTDIR && is_whiteout(parent, name)) {
		if (about_lower)
			return -1;
		if (unlinkat(parent, name, 0) < 0)
			broken("unlinkat");
		return make_implied(parent, name, path, true);
	}
	if (errno == ENOTDIR)
		refuse("a path leads through something that is no directory");
	broken("openat");
}

/* From the top, one directory at a time. */
static int descend(const char *path, bool about_lower)
{
	char walked[PATH_MAX];
	char *name = strcpy(walked, path);
	int fd = openat(AT_FDCWD, ".", OPEN_DIRECTORY);

	if (fd < 0)
		broken("openat");
	while (name) {
		char *slash = strchr(name, '/');
		if (slash)
			*slash = '\0';
		int below = step(fd, name, walked, about_lower);
		close(fd);
		if (below < 0)
			return -1;
		fd = below;
		if (slash)
			*slash = '/';
		name = slash ? slash + 1 : NULL;
	}
	return fd;
}

int tree_parent(const char *path, bool about_lower)
{
	if (current >= 0 && strcmp(path, current_path) == 0)
		return current;
	int fd = openat(AT_FDCWD, path[0] ? path : ".", OPEN_DIRECTORY);
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
		broken("openat");
	if (fd < 0)
		fd = descend(path, about_lower);
	if (fd >= 0)
		go_to(path, fd);
	return fd;
}

static int by_path(const void *one, const void *other)
{
	const struct directory *a = one, *b = other;
	int order = strcmp(a->path, b->path);

	return order ? order : a->turn < b->turn ? -1 : 1;
}

static void finish(const struct directory *made, const char *path)
{
	int fd = openat(AT_FDCWD, path, OPEN_DIRECTORY | O_NOFOLLOW);

	if (fd < 0)
		broken("openat");
	if (made->acl_size > 0 && fsetxattr(fd, DEFAULT_ACL, made->acl, made->acl_size, 0) < 0 && errno != EOPNOTSUPP)
		broken("fsetxattr");
	if (futimens(fd, (struct timespec[2]){ made->mtime, made->mtime }) < 0)
		broken("utimensat");
	close(fd);
}

/* `made` is the last record for a path; by now the directory may be gone, or another one. */
static bool is_still_there(const struct directory *made, const char *path)
{
	struct stat status;

	return fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode) &&
	       status.st_ino == made->inode;
}

void tree_finish(void (*tell)(char what, const char *path))
{
	const struct directory *made = NULL;
	bool seen[WHITENING + 1] = { false };

	if (current >= 0)
		close(current);
	current = -1;
	qsort(directories, count, sizeof *directories, by_path);
	for (size_t i = 0; i < count; i++) {
		seen[directories[i].kind] = true;
		if (directories[i].kind < RENEWED)
			made = &directories[i];
		if (i + 1 < count && strcmp(directories[i].path, directories[i + 1].path) == 0)
			continue;
		const char *path = directories[i].path[0] ? directories[i].path : ".";
		if (made && is_still_there(made, path)) {
			finish(made, path);
			if (made->kind == IMPLIED && !seen[RENEWED])
				tell('i', path);
			if (seen[WHITENING])
				tell('w', path);
		}
		made = NULL;
		memset(seen, false, sizeof seen);
	}
}
