/* Makes the tree that an image's layer describes: a tar on descriptor 0, the directory on 3, a report on 4.
 *
 *     pypod-unpack BYTES [user|one]    at most that many bytes of files, holes included
 *
 * The second argument says that the layer is for a user namespace: there nobody can make devices, which are left out as
 * podman does, and with `one` there is one id, which owns all.
 *
 * The bytes are hostile. The directory becomes the root first (confine.c), so no name leads out of it; the rest is rules
 * about what a layer means (image-spec: layer.md), in docs/layers.md. The tree is a layer of overlayfs: what is deleted
 * is a character device 0:0, what hides the layers below has trusted.overlay.opaque, or user.overlay.opaque. */
#define _GNU_SOURCE
#include "confine.h"
#include "session.h"
#include "tar.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { TREE_FD = 3, REPORT_FD = 4 };

static struct tar_entry entry;
static bool in_entry, in_user_namespace, one_id, sockets_stand_in;
static uint64_t entries, bytes, bytes_limit;
static struct tar_record default_acl; /* of the directory at hand */

static _Noreturn void fail(const char *kind, const char *reason, int error)
{
	dprintf(REPORT_FD, "%s%c%d%c%s%c%s", kind, 0, error, 0, reason, 0, in_entry ? entry.path : "");
	_exit(1);
}

void refuse(const char *reason)
{
	fail("refused", reason, 0);
}

/* Some failures are the fault of names that the layer has; the others are ours or the disk's. */
void broken(const char *call)
{
	switch (errno) {
	case ENAMETOOLONG:
		refuse("a name is too long");
	case ELOOP:
		refuse("a path leads through too many symbolic links");
	case ENOTDIR:
		refuse("a path leads through something that is no directory");
	case EFBIG:
		refuse("a file is larger than the file system allows");
	case EMLINK:
		refuse("a file has more links than the file system allows");
	default:
		fail("failed", call, errno);
	}
}

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Make a path relative to the root, without "", "." and "..", by its letters: as podman and umoci do it. */
static void clean(char *path)
{
	char *to = path;

	for (const char *from = path; *from; from += strspn(from, "/")) {
		size_t size = strcspn(from, "/");
		if (size == 2 && from[0] == '.' && from[1] == '.') {
			while (to > path && *--to != '/')
				;
		} else if (size > 0 && !(size == 1 && from[0] == '.')) {
			if (to > path)
				*to++ = '/';
			memmove(to, from, size);
			to += size;
		}
		from += size;
	}
	*to = '\0';
}

/* Attributes that the layer may give. trusted.overlay.* would steer overlayfs; security.* belongs to the host, but for
 * the capabilities of programs. */
static bool may_have(const char *name)
{
	return (starts_with(name, "user.") && !starts_with(name, "user.overlay.")) ||
	       strcmp(name, "security.capability") == 0 || strcmp(name, "system.posix_acl_access") == 0;
}

/* An id that the user namespace does not have gives EINVAL. */
static void changed_owner(int result)
{
	if (result == 0 || (one_id && errno == EINVAL))
		return;
	if (errno == EINVAL)
		refuse("the owner of an entry is none of the user's ids (/etc/subuid, /etc/subgid)");
	broken("fchownat");
}

static void set_extended_attributes(int fd)
{
	static const char prefix[] = "SCHILY.xattr.";
	enum { PREFIX = sizeof prefix - 1, NAME_LIMIT = 256 };
	struct tar_record record;
	char name[NAME_LIMIT];

	for (size_t at = 0; tar_record(&entry, &at, &record);) {
		if (record.key_size <= PREFIX || memcmp(record.key, prefix, PREFIX) != 0)
			continue;
		size_t size = record.key_size - PREFIX;
		if (size >= NAME_LIMIT)
			refuse("the name of an extended attribute is too long");
		memcpy(name, record.key + PREFIX, size);
		name[size] = '\0';
		if (strcmp(name, "system.posix_acl_default") == 0)
			default_acl = record;
		else if (strlen(name) == size && may_have(name) && fsetxattr(fd, name, record.value, record.value_size, 0) < 0 &&
			 errno != EOPNOTSUPP && !(one_id && errno == EINVAL)) /* a list that names others */
			broken("fsetxattr");
	}
}

/* In this order: chown(2) clears set-user-id and capabilities, and what is written would change the time. */
static void set_attributes(int fd, bool new_with_mode)
{
	changed_owner(fchown(fd, entry.uid, entry.gid));
	if ((!new_with_mode || entry.mode & 07000) && fchmod(fd, entry.mode) < 0)
		broken("fchmod");
	default_acl.value_size = 0;
	if (entry.records_size > 0)
		set_extended_attributes(fd);
	if (futimens(fd, (struct timespec[2]){ entry.mtime, entry.mtime }) < 0)
		broken("utimensat");
}

static void set_attributes_of_name(int parent, const char *name)
{
	changed_owner(fchownat(parent, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW));
	if (entry.type != TAR_SYMLINK && fchmodat(parent, name, entry.mode, 0) < 0)
		broken("fchmodat");
	if (utimensat(parent, name, (struct timespec[2]){ entry.mtime, entry.mtime }, AT_SYMLINK_NOFOLLOW) < 0)
		broken("utimensat");
}

static void write_extent(int fd, uint64_t offset, uint64_t length)
{
	const char *piece;
	size_t got;

	for (; length > 0; length -= got) {
		got = tar_data(&piece, length);
		for (size_t done = 0; done < got;) {
			ssize_t written = pwrite(fd, piece + done, got - done, offset);
			if (written < 0)
				broken("write");
			done += written;
			offset += written;
		}
	}
}

static void make_file(int parent, const char *name)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags, entry.mode & 0777);

	if (fd < 0 && errno == EEXIST) {
		tree_remove(parent, name);
		fd = openat(parent, name, flags, entry.mode & 0777);
	}
	if (fd < 0)
		broken("openat");
	if (entry.size > bytes_limit - bytes)
		refuse("its files are larger than is allowed");
	bytes += entry.size;
	if (!entry.sparse)
		write_extent(fd, 0, entry.size);
	/* first, since XFS fills a hole below 64 KiB that comes of writing beyond the end */
	else if (ftruncate(fd, entry.size) < 0)
		broken("ftruncate");
	for (size_t i = 0; i < entry.extent_count; i++)
		write_extent(fd, entry.extents[i].offset, entry.extents[i].length);
	set_attributes(fd, true);
	close(fd);
}

static void make_directory(int parent, const char *name)
{
	bool replaces = false;
	struct stat status;

	if (mkdirat(parent, name, 0700) < 0) {
		if (errno != EEXIST || fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			broken("mkdirat");
		replaces = !S_ISDIR(status.st_mode);
		if (replaces && (unlinkat(parent, name, 0) < 0 || mkdirat(parent, name, 0700) < 0))
			broken("mkdirat");
	}
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		broken("openat");
	if (replaces) /* what was here hid what the layers below have: a whiteout, or a file before */
		tree_make_opaque(fd);
	set_attributes(fd, false);
	tree_enter(entry.path, fd, entry.mtime, default_acl.value, default_acl.value_size);
}

static void make_root(void)
{
	if (entry.type != TAR_DIRECTORY)
		refuse("the name of an entry is empty");
	int fd = openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		broken("openat");
	set_attributes(fd, false);
	tree_enter("", fd, entry.mtime, default_acl.value, default_acl.value_size);
}

static bool are_same(int parent, const char *name, const struct stat *other)
{
	struct stat status;

	return fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == other->st_ino &&
	       status.st_dev == other->st_dev;
}

/* The target's parents may be symbolic links, which lead to somewhere in the layer; it itself is not followed. */
static void make_hard_link(int parent, const char *name)
{
	struct stat target;

	clean(entry.link);
	errno = 0;
	if (fstatat(AT_FDCWD, entry.link, &target, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		broken("fstatat");
	if (errno == ENOENT || tree_is_whiteout(&target))
		refuse("the target of a hard link is not in the layer");
	if (S_ISDIR(target.st_mode))
		refuse("the target of a hard link is a directory");
	if (linkat(AT_FDCWD, entry.link, parent, name, 0) == 0)
		return;
	if (errno != EEXIST)
		broken("linkat");
	if (are_same(parent, name, &target))
		return;
	tree_remove(parent, name);
	if (linkat(AT_FDCWD, entry.link, parent, name, 0) == 0)
		return;
	if (errno == ENOENT)
		refuse("the target of a hard link is not in the layer");
	broken("linkat");
}

static void make_symlink(int parent, const char *name)
{
	if (!entry.link[0])
		refuse("the target of a symbolic link is empty");
	if (symlinkat(entry.link, parent, name) < 0) {
		if (errno != EEXIST)
			broken("symlinkat");
		tree_remove(parent, name);
		if (symlinkat(entry.link, parent, name) < 0)
			broken("symlinkat");
	}
	set_attributes_of_name(parent, name);
}

static void make_device(int parent, const char *name)
{
	mode_t type = entry.type == TAR_FIFO ? S_IFIFO : entry.type == TAR_BLOCK_DEVICE ? S_IFBLK : S_IFCHR;
	dev_t device = entry.type == TAR_FIFO ? 0 : makedev(entry.major, entry.minor);

	if (type == S_IFCHR && device == 0)
		refuse("a character device 0:0 would be a whiteout");
	if (mknodat(parent, name, type | entry.mode, device) < 0) {
		if (errno == EPERM && in_user_namespace)
			return;
		if (errno != EEXIST)
			broken("mknodat");
		tree_remove(parent, name);
		if (mknodat(parent, name, type | entry.mode, device) < 0) {
			if (errno == EPERM && in_user_namespace)
				return;
			broken("mknodat");
		}
	}
	set_attributes_of_name(parent, name);
}

static int mark(int parent, const char *name)
{
	if (mknodat(parent, name, S_IFCHR, 0) == 0)
		return 0;
	if (errno != EPERM || mknodat(parent, name, S_IFSOCK, 0) < 0)
		return -1;
	sockets_stand_in = true;
	return 0;
}

/* Whiteouts are about the layers below, wherever in the layer they stand. */
static void make_whiteout(int parent, const char *name)
{
	struct stat status;

	if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		refuse("a whiteout names nothing");
	if (mark(parent, name) == 0)
		return;
	if (errno != EEXIST)
		broken("mknodat");
	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		broken("fstatat");
	if (!S_ISDIR(status.st_mode))
		return;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		broken("openat");
	/* from the path of .wh.NAME, of which name is the end, to that of NAME */
	memmove(entry.path + (name - entry.path) - strlen(".wh."), name, strlen(name) + 1);
	tree_renew(entry.path, fd);
	close(fd);
}

static void make(int parent, const char *name)
{
	switch (entry.type) {
	case TAR_FILE:
		return make_file(parent, name);
	case TAR_HARD_LINK:
		return make_hard_link(parent, name);
	case TAR_SYMLINK:
		return make_symlink(parent, name);
	case TAR_DIRECTORY:
		return make_directory(parent, name);
	case TAR_CHARACTER_DEVICE:
	case TAR_BLOCK_DEVICE:
	case TAR_FIFO:
		return make_device(parent, name);
	}
}

/* What AUFS kept beside its layers, and old images still have: `.wh..wh.plnk` and its like. */
static bool is_of_aufs(const char *name)
{
	return starts_with(name, ".wh..wh.") && strcmp(name, ".wh..wh..opq") != 0;
}

static bool is_ignored(const char *path)
{
	for (const char *name = path; *name;) {
		char component[NAME_MAX + 2];
		size_t size = strcspn(name, "/");
		snprintf(component, sizeof component, "%.*s", (int)size, name);
		if (is_of_aufs(component))
			return true;
		if (name[size] == '/' && starts_with(component, ".wh."))
			refuse("a whiteout is used as a directory");
		name += size + (name[size] == '/');
	}
	return false;
}

static void unpack_entry(void)
{
	clean(entry.path);
	if (!entry.path[0])
		return make_root();
	if (is_ignored(entry.path))
		return;
	char *slash = strrchr(entry.path, '/'), *name = slash ? slash + 1 : entry.path;
	bool about_lower = starts_with(name, ".wh.");
	char *parent_path = slash ? entry.path : "";
	if (slash)
		*slash = '\0';
	int parent = tree_parent(parent_path, about_lower);
	if (parent >= 0 && about_lower)
		tree_note_whiteout(parent_path);
	if (slash)
		*slash = '/';
	if (parent < 0)
		return; /* a whiteout below a whiteout */
	if (strcmp(name, ".wh..wh..opq") == 0)
		tree_make_opaque(parent);
	else if (about_lower)
		make_whiteout(parent, name + 4);
	else
		make(parent, name);
}

static void tell(char what, const char *path)
{
	if (dprintf(REPORT_FD, "%c%s%c", what, path, 0) < 0)
		broken("write");
}

static void report(void)
{
	if (dprintf(REPORT_FD, "made%c%llu%c%llu%c%d%c", 0, (unsigned long long)entries, 0, (unsigned long long)bytes, 0,
		    tree_root_is_opaque(), 0) < 0)
		broken("write");
	if (sockets_stand_in)
		tell('s', "");
	tree_finish(tell);
}

int main(int argc, char **argv)
{
	bytes_limit = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	in_user_namespace = argc > 2;
	one_id = in_user_namespace && strcmp(argv[2], "one") == 0;
	prctl(PR_SET_NAME, "pypod-unpack");
	syscall(SYS_close_range, REPORT_FD + 1, ~0U, 0);
	if (session_enter_environment() < 0)
		broken("setns");
	confine(TREE_FD);
	tree_open(in_user_namespace);
	tar_open(STDIN_FILENO);
	for (; tar_next(&entry); entries++) {
		in_entry = true; /* a failure between two entries names the one before: the place to look at */
		unpack_entry();
	}
	in_entry = false;
	tar_drain();
	report();
	return 0;
}
