/* Paths that are hidden or read-only to protect the host. */
#define _GNU_SOURCE
#include "root/masks.h"
#include "root/mount_api.h"
#include "root/mounts.h"
#include "root/places.h"
#include "root/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Open a path to mask or to make read-only; -1 when it does not exist. Which paths exist in /proc and /sys depends on
 * the kernel; but if one of these is itself missing or not a mount, that is a failure: nothing would be protected. */
static int open_protected(struct process *process, const char *path)
{
	const char *rest;
	int target = open_inside(process, path, O_PATH);

	if (target >= 0)
		return target;
	if (errno != ENOENT && errno != ENOTDIR)
		fail(process, "openat2");
	if (is_of_the_system(path) && mount_of(process, path, &rest) < 0)
		fail(process, "openat2");
	place_nothing(process, path);
	return -1;
}

/* One empty, read-only tmpfs for all hidden directories: the first of them gets the mount itself. What is in no mount
 * namespace yet can only be cloned since Linux 6.15 (may_copy_tree in fs/namespace.c). */
static int empty_directory(struct process *process)
{
	static const struct argument options[] = { { "nr_inodes=1", 11 }, { "size=4096", 9 } };

	if (process->empty >= 0)
		return open_tree_at(process->empty, "", EMPTY_PATH);
	process->empty = make_mount(process, "tmpfs", "tmpfs", options, 2, ATTR_RDONLY);
	return fcntl(process->empty, F_DUPFD_CLOEXEC, 0);
}

static int null_device(const struct process *process)
{
	struct stat st;
	int null = open_inside(process, "/dev/null", O_PATH);

	if (null < 0)
		fail(process, "openat2");
	if (fstat(null, &st) < 0)
		fail(process, "fstat");
	if (!is_null(&st)) { /* a volume over /dev can hold anything (CVE-2025-31133) */
		errno = ENODEV;
		fail(process, "fstat");
	}
	int cover = open_tree_at(null, "", EMPTY_PATH);
	close(null);
	return cover;
}

/* A file is covered by /dev/null, a directory by an empty one. */
void mask_path(struct process *process, const struct record *record)
{
	struct stat st;
	int target = open_protected(process, text(record, 0));

	if (target < 0)
		return;
	if (fstat(target, &st) < 0)
		fail(process, "fstat");
	int cover = S_ISDIR(st.st_mode) ? empty_directory(process) : null_device(process);
	if (cover < 0)
		fail(process, "open_tree");
	place_mount(process, text(record, 0), cover, target)->kind = PLACE_MASK;
}

/* A mount of our own becomes read-only where it is, with what is mounted in it: a clone on top would mount each tree of
 * cgroups a second time. Any other path gets a read-only clone of itself. */
void make_read_only(struct process *process, const struct record *record)
{
	struct place *own = place_of_mount(process, text(record, 0));

	if (own) {
		if (set_attributes(own->mount, ATTR_RDONLY, 0, RECURSIVE) < 0)
			fail(process, "mount_setattr");
		own->kind = PLACE_READ_ONLY;
		return;
	}
	int target = open_protected(process, text(record, 0));
	if (target < 0)
		return;
	int cover = open_tree_at(target, "", EMPTY_PATH | RECURSIVE);
	if (cover < 0)
		fail(process, "open_tree");
	if (set_attributes(cover, ATTR_RDONLY, 0, RECURSIVE) < 0)
		fail(process, "mount_setattr");
	place_mount(process, text(record, 0), cover, target)->kind = PLACE_READ_ONLY;
}
