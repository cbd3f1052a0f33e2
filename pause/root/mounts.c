/* Mounts in the new root. Targets are resolved by descriptor (resolve.c), never by a path that something in the
 * container could swap meanwhile; the new mount API allows that. */
#define _GNU_SOURCE
#include "root/mounts.h"
#include "common/ops.h"
#include "root/copy.h"
#include "root/mount_api.h"
#include "root/places.h"
#include "root/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SET_FLAG = 0, SET_STRING = 1, CREATE = 6 }; /* fsconfig commands */

enum { TYPE, SOURCE, TARGET, ATTRIBUTES, FIRST_OPTION }; /* arguments of `mount` */

static void keep(struct process *process, uint64_t slot, int fd, const char *call)
{
	if (fd >= 0 && slot >= process->plan->count) {
		errno = EINVAL;
		fd = -1;
	}
	if (fd < 0)
		fail(process, call);
	process->slots[slot] = fd;
}

/* A mount from the mount namespace of a sibling (the pod's /dev/shm): enter it, clone the mount, come back. */
void capture(struct process *process, const struct record *record)
{
	int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), root = open("/", O_PATH | O_CLOEXEC);
	int there = other_process(process, number(record, 1));

	if (home < 0 || root < 0)
		fail(process, "open");
	if (setns(there, CLONE_NEWNS) < 0)
		fail(process, "setns");
	unsigned flags = number(record, 4) ? RECURSIVE : 0;
	keep(process, number(record, 0), open_tree_at(AT_FDCWD, text(record, 3), flags), "open_tree");
	/* setns moves us to the namespace's own root: a caller in a chroot must get back into it */
	if (setns(home, CLONE_NEWNS) < 0)
		fail(process, "setns");
	if (fchdir(root) < 0 || chroot(".") < 0)
		fail(process, "chroot");
	close(home);
	close(root);
}

void take_tree(struct process *process, const struct record *record)
{
	unsigned flags = number(record, 2) ? RECURSIVE : 0;

	keep(process, number(record, 0), open_tree_at(AT_FDCWD, text(record, 1), flags), "open_tree");
}

void take_file(struct process *process, const struct record *record)
{
	int fd = open(text(record, 1), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		errno = EINVAL;
		fail(process, "open");
	}
	keep(process, number(record, 0), fd, "open");
}

/* Clone the mount of a path inside `directory`, or of that itself. A volume's links and the container that writes to it
 * meanwhile cannot lead out. */
static int clone_inside(const struct process *process, int directory, const char *subpath, unsigned flags)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd = -1;

	if (!*subpath)
		return open_tree_at(directory, "", EMPTY_PATH | flags);
	for (int try = 0; try < 1000; try++)
		if ((fd = syscall(SYS_openat2, directory, subpath, &how, sizeof how)) >= 0 || errno != EAGAIN)
			break;
	if (fd < 0)
		fail(process, "openat2");
	int tree = open_tree_at(fd, "", EMPTY_PATH | flags);
	close(fd);
	return tree;
}

void take_subtree(struct process *process, const struct record *record)
{
	int directory = open(text(record, 1), O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		fail(process, "open");
	unsigned flags = number(record, 3) ? RECURSIVE : 0;
	keep(process, number(record, 0), clone_inside(process, directory, text(record, 2), flags), "open_tree");
	close(directory);
}

/* The old mount(2), as for the root: fsconfig(2) takes only 256 bytes of layers. It needs a place, for a moment. */
void take_overlay(struct process *process, const struct record *record)
{
	const char *place = text(record, 1);

	if (mount("overlay", place, "overlay", 0, text(record, 3)) < 0)
		fail(process, "mount");
	int directory = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		fail(process, "open");
	keep(process, number(record, 0), clone_inside(process, directory, text(record, 2), 0), "open_tree");
	close(directory);
	if (umount2(place, MNT_DETACH) < 0)
		fail(process, "umount2");
}

int make_mount(const struct process *process, const char *type, const char *source, const struct argument *options,
	       uint32_t count, uint64_t attributes)
{
	int fs = syscall(SYS_fsopen, type, 1 /* FSOPEN_CLOEXEC */);

	if (fs < 0)
		fail(process, "fsopen");
	if (*source && syscall(SYS_fsconfig, fs, SET_STRING, "source", source, 0) < 0)
		fail(process, "fsconfig");
	for (uint32_t i = 0; i < count; i++) {
		char key[64];
		const char *option = options[i].text, *value = strchr(option, '=');
		size_t length = value ? (size_t)(value - option) : strlen(option);
		if (length >= sizeof key)
			length = sizeof key - 1;
		memcpy(key, option, length);
		key[length] = '\0';
		if (syscall(SYS_fsconfig, fs, value ? SET_STRING : SET_FLAG, key, value ? value + 1 : NULL, 0) < 0)
			fail(process, "fsconfig");
	}
	if (syscall(SYS_fsconfig, fs, CREATE, NULL, NULL, 0) < 0)
		fail(process, "fsconfig");
	int mount = syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, attributes);
	if (mount < 0)
		fail(process, "fsmount");
	close(fs);
	return mount;
}

static int mount_of_record(const struct process *process, const struct record *record, uint64_t attributes)
{
	uint32_t count = record->count > FIRST_OPTION ? record->count - FIRST_OPTION : 0;

	return make_mount(process, text(record, TYPE), text(record, SOURCE), record->arguments + FIRST_OPTION, count, attributes);
}

void mount_new(struct process *process, const struct record *record)
{
	int mount = mount_of_record(process, record, number(record, ATTRIBUTES));

	place_mount(process, text(record, TARGET), mount, must_resolve(process, text(record, TARGET), O_DIRECTORY));
}

void mount_with_content(struct process *process, const struct record *record)
{
	uint64_t attributes = number(record, ATTRIBUTES);
	int mount = mount_of_record(process, record, attributes & ~(uint64_t)ATTR_RDONLY);
	int target = must_resolve(process, text(record, TARGET), O_DIRECTORY);
	/* the mount's own descriptor is O_PATH */
	int inside = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (inside < 0)
		fail(process, "openat");
	copy_content(process, target, inside); /* its mode stays that of a tmpfs, 1777 unless given, as with crun */
	close(inside);
	if (attributes & ATTR_RDONLY && set_attributes(mount, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	place_mount(process, text(record, TARGET), mount, target);
}

/* Make a new volume like the directory `path` of the root: with its content, with its owner and mode, or both. Without
 * such a directory it stays as it is. */
static void fill(struct process *process, int mount, const char *path, bool content, bool owner)
{
	int from = open_inside(process, path, O_PATH | O_DIRECTORY);

	if (from < 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (from < 0)
		fail(process, "openat2");
	int to = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		fail(process, "openat");
	if (content)
		copy_content(process, from, to);
	if (owner)
		copy_owner_and_mode(process, from, to);
	close(to);
	close(from);
}

void bind_tree(struct process *process, const struct record *record)
{
	int *slot = &process->slots[number(record, 0) % process->plan->count];
	unsigned flags = number(record, 4) ? RECURSIVE : 0;
	uint64_t set = number(record, 2), propagation = number(record, 3);
	struct stat st;

	if (fstat(*slot, &st) < 0)
		fail(process, "fstat");
	if (record->operation == OP_bind_with_content)
		fill(process, *slot, text(record, 1), number(record, 5), number(record, 6));
	if ((set || propagation) && set_attributes(*slot, set, propagation, flags) < 0)
		fail(process, "mount_setattr");
	const char *target = text(record, 1);
	place_mount(process, target, *slot, must_resolve(process, target, S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
	*slot = -1;
}

/* The root of a --read-only container is writable for the host. */
void mount_on_host(struct process *process, const struct record *record)
{
	struct attributes writable = { .clear = ATTR_RDONLY };
	int *slot = &process->slots[number(record, 0) % process->plan->count];
	int target = open(text(record, 1), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (target < 0)
		fail(process, "open");
	if (syscall(SYS_mount_setattr, *slot, "", EMPTY_PATH, &writable, sizeof writable) < 0)
		fail(process, "mount_setattr");
	if (syscall(SYS_move_mount, *slot, "", target, "", MOVE_BOTH_EMPTY) < 0)
		fail(process, "move_mount");
	close(target);
	close(*slot);
	*slot = -1;
}

void bind_file(struct process *process, const char *source, const char *path)
{
	int mount = open_tree_at(AT_FDCWD, source, 0);

	if (mount < 0)
		fail(process, "open_tree");
	place_mount(process, path, mount, must_resolve(process, path, 0));
}
