/* Mounts in the new root. Targets are resolved by descriptor (resolve.c), never by a path that something in the container
 * could swap meanwhile; the new mount API is the one for that. */
#define _GNU_SOURCE
#include "mount_api.h"
#include "ops.h"
#include "perform.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PROC_MAGIC 0x9fa0

enum { SET_FLAG = 0, SET_STRING = 1, CREATE = 6 }; /* fsconfig commands */

static int must_resolve(struct process *process, const char *path, int flags)
{
	const char *call;
	int fd = resolve(process, path, flags, &call);

	if (fd < 0)
		fail(process, call);
	return fd;
}

bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* The program by a mount of its own that is read-only, so that nobody can write to a file of the host through
 * /proc/PID/exe (CVE-2019-5736). */
int open_program(struct process *process, const char *path)
{
	int fd = open_tree_at(AT_FDCWD, path, 0);

	if (fd < 0)
		fail(process, "open_tree");
	if (set_attributes(fd, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	return fd;
}

/* The file systems that the masks and the read-only paths are there for. */
static bool shows_the_kernel(const struct process *process, dev_t device)
{
	for (uint32_t i = 0; i < process->place_count; i++) {
		const struct place *place = &process->places[i];
		if (place->device == device && (!strcmp(place->path, "/proc") || !strcmp(place->path, "/sys")))
			return true;
	}
	return false;
}

struct place *attach(struct process *process, const char *path, int mount, int target)
{
	struct stat root, there, what;

	if (fstat(process->root, &root) < 0 || fstat(target, &there) < 0 || fstat(mount, &what) < 0)
		fail(process, "fstat");
	if (!S_ISDIR(what.st_mode) && S_ISDIR(there.st_mode)) { /* the kernel would only say EINVAL */
		errno = EISDIR;
		fail(process, "move_mount");
	}
	/* A target that links back to / would cover the root for those who join later, and not for who is there. */
	if (root.st_dev == there.st_dev && root.st_ino == there.st_ino) {
		errno = EBUSY;
		fail(process, "openat2");
	}
	/* a link that leads into /proc or /sys: who mounts there by another name could put a file of theirs in place of
	 * the kernel's, which a later write to it would not notice */
	if (!is_of_the_system(path) && shows_the_kernel(process, there.st_dev)) {
		errno = ELOOP;
		fail(process, "openat2");
	}
	if (syscall(SYS_move_mount, mount, "", target, "", MOVE_BOTH_EMPTY) < 0)
		fail(process, "move_mount");
	struct place *place = remember_place(process, path, &what);
	if (is_of_the_system(path) && S_ISDIR(what.st_mode))
		place->mount = mount;
	else
		close(mount);
	close(target);
	return place;
}

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

/* A mount of a sibling's mount namespace (the pod's /dev/shm): go there, clone it, come back. */
static void capture(struct process *process, const struct record *record)
{
	int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), root = open("/", O_PATH | O_CLOEXEC);
	int there = other_process(process, number(record, 1));

	if (home < 0 || root < 0)
		fail(process, "open");
	if (setns(there, CLONE_NEWNS) < 0)
		fail(process, "setns");
	keep(process, number(record, 0), open_tree_at(AT_FDCWD, text(record, 3), 0), "open_tree");
	/* setns puts us at the namespace's own root: a caller in a chroot wants to be back in it */
	if (setns(home, CLONE_NEWNS) < 0)
		fail(process, "setns");
	if (fchdir(root) < 0 || chroot(".") < 0)
		fail(process, "chroot");
	close(home);
	close(root);
}

static void clone_tree(struct process *process, const struct record *record)
{
	unsigned flags = number(record, 2) ? RECURSIVE : 0;

	keep(process, number(record, 0), open_tree_at(AT_FDCWD, text(record, 1), flags), "open_tree");
}

/* A file system by descriptor. OPTION is `key=value` or `flag`. */
static int make_mount(struct process *process, const struct record *record, uint64_t attributes)
{
	int fs = syscall(SYS_fsopen, text(record, 0), 1 /* FSOPEN_CLOEXEC */);

	if (fs < 0)
		fail(process, "fsopen");
	if (*text(record, 1) && syscall(SYS_fsconfig, fs, SET_STRING, "source", text(record, 1), 0) < 0)
		fail(process, "fsconfig");
	for (uint32_t i = 4; i < record->count; i++) {
		char key[64];
		const char *option = text(record, i), *value = strchr(option, '=');
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

static void mount_new(struct process *process, const struct record *record)
{
	int mount = make_mount(process, record, number(record, 3));

	attach(process, text(record, 2), mount, must_resolve(process, text(record, 2), O_DIRECTORY));
}

static void mount_with_content(struct process *process, const struct record *record)
{
	uint64_t attributes = number(record, 3);
	int mount = make_mount(process, record, attributes & ~(uint64_t)ATTR_RDONLY);
	int target = must_resolve(process, text(record, 2), O_DIRECTORY);
	bool own_mode = false;
	/* the mount's own descriptor is good for paths only */
	int inside = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (uint32_t i = 4; i < record->count; i++)
		own_mode = own_mode || !strncmp(text(record, i), "mode=", 5);
	if (inside < 0)
		fail(process, "openat");
	copy_content(process, target, inside);
	if (!own_mode)
		copy_owner_and_mode(process, target, inside);
	close(inside);
	if (attributes & ATTR_RDONLY && set_attributes(mount, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	attach(process, text(record, 2), mount, target);
}

/* What a new volume begins with. */
static void fill(struct process *process, int mount, const char *path)
{
	int from = must_resolve(process, path, O_DIRECTORY);
	int to = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (to < 0)
		fail(process, "openat");
	copy_content(process, from, to);
	copy_owner_and_mode(process, from, to);
	close(to);
	close(from);
}

static void base(struct process *process, const struct record *record)
{
	if (chdir(text(record, 0)) < 0)
		fail(process, "chdir");
}

static void bind(struct process *process, const struct record *record)
{
	int *slot = &process->slots[number(record, 0) % process->plan->count];
	unsigned flags = number(record, 4) ? RECURSIVE : 0;
	uint64_t set = number(record, 2), propagation = number(record, 3);
	struct stat st;

	if (fstat(*slot, &st) < 0)
		fail(process, "fstat");
	if (record->operation == OP_bind_with_content)
		fill(process, *slot, text(record, 1));
	if ((set || propagation) && set_attributes(*slot, set, propagation, flags) < 0)
		fail(process, "mount_setattr");
	const char *target = text(record, 1);
	attach(process, target, *slot, must_resolve(process, target, S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
	*slot = -1;
}

void bind_file(struct process *process, const char *source, const char *path)
{
	int mount = open_tree_at(AT_FDCWD, source, 0);

	if (mount < 0)
		fail(process, "open_tree");
	attach(process, path, mount, must_resolve(process, path, 0));
}

static int parent_of(struct process *process, const char *path, char name[256])
{
	const char *call;
	int parent = open_parent(process, path, name, &call);

	if (parent < 0)
		fail(process, call);
	return parent;
}

static void directory(struct process *process, const struct record *record)
{
	close(must_resolve(process, text(record, 0), O_DIRECTORY));
}

static void make_symlink(struct process *process, const struct record *record)
{
	char name[256];
	int parent = parent_of(process, text(record, 1), name);

	if (symlinkat(text(record, 0), parent, name) < 0 && errno != EEXIST)
		fail(process, "symlinkat");
	close(parent);
}

/* In a user namespace nobody may make device nodes: bind the host's of the same name there. */
static void device(struct process *process, const struct record *record)
{
	char name[256];
	const char *path = text(record, 0);
	int parent = parent_of(process, path, name);

	int made = mknodat(parent, name, number(record, 3), makedev(number(record, 1), number(record, 2)));
	if (made < 0 && errno != EPERM)
		fail(process, "mknodat");
	if (made == 0) {
		close(parent);
		return;
	}
	/* most often /dev is a new tmpfs, and nothing is there yet */
	int target = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	close(parent);
	int node = open_tree_at(AT_FDCWD, path, 0);
	if (node < 0)
		fail(process, "open_tree");
	/* read-only, which holds for the inode (chmod) and not for the device behind it */
	if (set_attributes(node, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	attach(process, path, node, target >= 0 ? target : must_resolve(process, path, 0));
}

/* A setting of the kernel, in the procfs that was mounted and in nothing that somebody put on it or linked from it: a
 * tmpfs there would swallow the write (CVE-2025-52881), a link in a volume lead it to another file. Before there is a root
 * it is the host's procfs, in which a process finds the settings of its own namespaces. */
static void sysctl(struct process *process, const struct record *record)
{
	char path[512];
	struct statfs fs;
	struct stat proc, file;
	const char *value = text(record, 1);

	snprintf(path, sizeof path, "/proc/sys/%s", text(record, 0));
	int directory = open_inside(process, "/proc", O_PATH | O_DIRECTORY);
	int fd = directory < 0 ? -1 : open_inside(process, path, O_WRONLY);
	if (fd < 0)
		fail(process, "openat2");
	if (fstatfs(fd, &fs) < 0 || fstat(directory, &proc) < 0 || fstat(fd, &file) < 0)
		fail(process, "fstatfs");
	if (fs.f_type != PROC_MAGIC || proc.st_dev != file.st_dev) {
		errno = EXDEV;
		fail(process, "fstatfs");
	}
	if (RETRY(write(fd, value, strlen(value))) < 0)
		fail(process, "write");
	close(fd);
	close(directory);
}

/* What is to be masked or made read-only, or -1 where there is nothing. In /proc and /sys that is a matter of what the
 * kernel has, and only there: that one of these is missing itself, or is no mount, protects nobody. */
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
	remember_place(process, path, NULL);
	return -1;
}

/* One empty tmpfs, read-only, for all directories that are hidden. */
static int empty_directory(struct process *process)
{
	static const struct argument arguments[] = {
		{ "tmpfs", 5 }, { "tmpfs", 5 }, { "", 0 }, { "1", 1 }, { "nr_inodes=1", 11 }, { "size=4096", 9 }
	};
	const struct record record = { OP_mount, 6, (struct argument *)arguments };

	if (process->empty < 0)
		process->empty = make_mount(process, &record, ATTR_RDONLY);
	return open_tree_at(process->empty, "", EMPTY_PATH);
}

static int null_device(struct process *process)
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
static void mask(struct process *process, const struct record *record)
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
	attach(process, text(record, 0), cover, target)->kind = PLACE_MASK;
}

static void read_only(struct process *process, const struct record *record)
{
	int target = open_protected(process, text(record, 0));

	if (target < 0)
		return;
	int cover = open_tree_at(target, "", EMPTY_PATH | RECURSIVE);
	if (cover < 0)
		fail(process, "open_tree");
	if (set_attributes(cover, ATTR_RDONLY, 0, RECURSIVE) < 0)
		fail(process, "mount_setattr");
	attach(process, text(record, 0), cover, target)->kind = PLACE_READ_ONLY;
}

void mount_operation(struct process *process, const struct record *record)
{
	switch (record->operation) {
	case OP_capture: capture(process, record); break;
	case OP_open_tree: clone_tree(process, record); break;
	case OP_mount: mount_new(process, record); break;
	case OP_mount_with_content: mount_with_content(process, record); break;
	case OP_bind:
	case OP_bind_with_content: bind(process, record); break;
	case OP_base: base(process, record); break;
	case OP_directory: directory(process, record); break;
	case OP_symlink: make_symlink(process, record); break;
	case OP_device: device(process, record); break;
	case OP_sysctl: sysctl(process, record); break;
	case OP_mask: mask(process, record); break;
	case OP_read_only: read_only(process, record); break;
	case OP_verify_mounts: verify_places(process); break;
	default: root_operation(process, record); break;
	}
}
