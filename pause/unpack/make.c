/* Creates the files, links, directories and devices of a layer. */
#define _GNU_SOURCE
#include "unpack/make.h"
#include "unpack/attributes.h"
#include "unpack/names.h"
#include "unpack/outcome.h"
#include "unpack/remove.h"
#include "unpack/stream.h"
#include "unpack/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void write_extent(int fd, uint64_t offset, uint64_t length)
{
	const char *piece;
	size_t got;

	for (; length > 0; length -= got) {
		got = stream_data(&piece, length);
		for (size_t done = 0; done < got;) {
			ssize_t written = pwrite(fd, piece + done, got - done, offset);
			if (written < 0)
				broken("write");
			done += written;
			offset += written;
		}
	}
}

static void make_file(struct unpacking *it, int parent, const char *name)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, flags, it->entry.mode & 0777);

	if (fd < 0 && errno == EEXIST) {
		remove_tree(parent, name);
		fd = openat(parent, name, flags, it->entry.mode & 0777);
	}
	if (fd < 0)
		broken("openat");
	if (it->entry.size > it->bytes_limit - it->bytes)
		refuse("its files are larger than is allowed");
	it->bytes += it->entry.size;
	if (!it->entry.sparse)
		write_extent(fd, 0, it->entry.size);
	/* before the data, because XFS fills a hole below 64 KiB that results from writing beyond the end */
	else if (ftruncate(fd, it->entry.size) < 0)
		broken("ftruncate");
	for (size_t i = 0; i < it->entry.extent_count; i++)
		write_extent(fd, it->entry.extents[i].offset, it->entry.extents[i].length);
	set_attributes(it, fd, true);
	close(fd);
}

static void make_directory(const struct unpacking *it, int parent, const char *name)
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
	if (replaces) /* a whiteout or file here hid what the layers below have */
		tree_make_opaque(fd);
	struct tar_record default_acl = set_attributes(it, fd, false);
	tree_enter(it->entry.path, fd, it->entry.mtime, default_acl.value, default_acl.value_size);
}

void make_root(const struct unpacking *it)
{
	if (it->entry.type != TAR_DIRECTORY)
		refuse("the name of an entry is empty");
	int fd = openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		broken("openat");
	struct tar_record default_acl = set_attributes(it, fd, false);
	tree_enter("", fd, it->entry.mtime, default_acl.value, default_acl.value_size);
}

static bool are_same(int parent, const char *name, const struct stat *other)
{
	struct stat status;

	return fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_ino == other->st_ino &&
	       status.st_dev == other->st_dev;
}

/* The target's parents may be symbolic links, which are resolved in the layer; the target itself is not followed. */
static void make_hard_link(struct unpacking *it, int parent, const char *name)
{
	struct stat target;

	clean_path(it->entry.link);
	errno = 0;
	if (fstatat(AT_FDCWD, it->entry.link, &target, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
		broken("fstatat");
	if (errno == ENOENT || tree_is_whiteout(&target))
		refuse("the target of a hard link is not in the layer");
	if (S_ISDIR(target.st_mode))
		refuse("the target of a hard link is a directory");
	if (linkat(AT_FDCWD, it->entry.link, parent, name, 0) == 0)
		return;
	if (errno != EEXIST)
		broken("linkat");
	if (are_same(parent, name, &target))
		return;
	remove_tree(parent, name);
	if (linkat(AT_FDCWD, it->entry.link, parent, name, 0) == 0)
		return;
	if (errno == ENOENT)
		refuse("the target of a hard link is not in the layer");
	broken("linkat");
}

static void make_symlink(const struct unpacking *it, int parent, const char *name)
{
	if (!it->entry.link[0])
		refuse("the target of a symbolic link is empty");
	if (symlinkat(it->entry.link, parent, name) < 0) {
		if (errno != EEXIST)
			broken("symlinkat");
		remove_tree(parent, name);
		if (symlinkat(it->entry.link, parent, name) < 0)
			broken("symlinkat");
	}
	set_attributes_of_name(it, parent, name);
}

static void make_device(const struct unpacking *it, int parent, const char *name)
{
	mode_t type = it->entry.type == TAR_FIFO ? S_IFIFO : it->entry.type == TAR_BLOCK_DEVICE ? S_IFBLK : S_IFCHR;
	dev_t device = it->entry.type == TAR_FIFO ? 0 : makedev(it->entry.major, it->entry.minor);

	if (type == S_IFCHR && device == 0)
		refuse("a character device 0:0 would be a whiteout");
	if (mknodat(parent, name, type | it->entry.mode, device) < 0) {
		if (errno == EPERM && it->in_user_namespace)
			return;
		if (errno != EEXIST)
			broken("mknodat");
		remove_tree(parent, name);
		if (mknodat(parent, name, type | it->entry.mode, device) < 0) {
			if (errno == EPERM && it->in_user_namespace)
				return;
			broken("mknodat");
		}
	}
	set_attributes_of_name(it, parent, name);
}

void make(struct unpacking *it, int parent, const char *name)
{
	switch (it->entry.type) {
	case TAR_FILE:
		return make_file(it, parent, name);
	case TAR_HARD_LINK:
		return make_hard_link(it, parent, name);
	case TAR_SYMLINK:
		return make_symlink(it, parent, name);
	case TAR_DIRECTORY:
		return make_directory(it, parent, name);
	case TAR_CHARACTER_DEVICE:
	case TAR_BLOCK_DEVICE:
	case TAR_FIFO:
		return make_device(it, parent, name);
	}
}
