/* Mount operations. Targets are resolved inside the new root by descriptor (openat2, RESOLVE_IN_ROOT), never by a
 * path that something in the container could swap meanwhile. The new mount API is the one for that: Linux 5.12. */
#define _GNU_SOURCE
#include "ops.h"
#include "perform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define EMPTY_PATH 0x1000 /* AT_EMPTY_PATH */
#define RECURSIVE 0x8000 /* AT_RECURSIVE */
#define TREE_CLONE 1
#define ATTR_RDONLY 1
#define ATTR_NODEV 4
#define ATTR_IDMAP 0x100000
#define MOVE_BOTH_EMPTY (0x04 | 0x40) /* MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH */
#define PROC_MAGIC 0x9fa0

enum { SET_FLAG = 0, SET_STRING = 1, CREATE = 6 }; /* fsconfig commands */

struct attributes { /* struct mount_attr */
	uint64_t set, clear, propagation, userns;
};

static int open_tree_at(int directory, const char *path, unsigned flags)
{
	return syscall(SYS_open_tree, directory, path, flags | TREE_CLONE | O_CLOEXEC);
}

static int set_attributes(int mount, uint64_t set, uint64_t propagation, unsigned flags)
{
	struct attributes attributes = { .set = set, .propagation = propagation };

	return syscall(SYS_mount_setattr, mount, "", EMPTY_PATH | flags, &attributes, sizeof attributes);
}

static int open_resolved(const struct process *process, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve };
	int directory = process->root >= 0 ? process->root : AT_FDCWD, fd = -1;

	/* EAGAIN: a rename elsewhere raced with a ".." of ours; openat2(2) says to try again. Not for ever: somebody may
	 * rename on purpose. */
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

/* The directory that holds `path` (made if need be), and the last component in `name`. */
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

/* O_DIRECTORY makes a missing target a directory, 0 a file; its parents are directories. One component at a time, each
 * looked up from the root: a link on the way leads to where the container itself would come. */
int resolve(const struct process *process, const char *path, int flags, const char **call)
{
	char prefix[PATH_MAX];
	int fd = open_inside(process, path, O_PATH | flags), parent;

	*call = "openat2";
	if (fd >= 0 || errno != ENOENT || strlen(path) >= sizeof prefix)
		return fd;
	parent = open_inside(process, "/", O_PATH | O_DIRECTORY);
	for (const char *at = path + strspn(path, "/"), *next; parent >= 0 && *at; at = next, parent = fd) {
		const char *end = strchrnul(at, '/');
		next = end + strspn(end, "/");
		bool is_directory = *next || flags & O_DIRECTORY;
		memcpy(prefix, path, end - path);
		prefix[end - path] = '\0';
		*call = "openat2";
		fd = open_inside(process, prefix, O_PATH | (is_directory ? O_DIRECTORY : 0));
		if (fd < 0 && errno == ENOENT) {
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

static void attach(struct process *process, int mount, int target)
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
	if (syscall(SYS_move_mount, mount, "", target, "", MOVE_BOTH_EMPTY) < 0)
		fail(process, "move_mount");
	close(mount);
	close(target);
}

static void keep(struct process *process, uint64_t slot, int fd, const char *call)
{
	if (fd >= 0 && slot >= SLOTS) {
		errno = EMFILE;
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

static void take_root(struct process *process, const char *target)
{
	process->root = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process->root < 0)
		fail(process, "open");
	/* a bind takes no other flags than MS_REC, so this is for all kinds */
	if (set_attributes(process->root, ATTR_NODEV, 0, 0) < 0)
		fail(process, "mount_setattr");
}

/* The old mount(2): overlay takes a page of options there, fsconfig(2) only 256 bytes a value. */
static void root(struct process *process, const struct record *record)
{
	const char *target = text(record, 2), *data = text(record, 4);
	unsigned long flags = number(record, 3);

	if (mount(text(record, 1), target, text(record, 0), flags, data) < 0)
		fail(process, "mount");
	if (flags & MS_BIND && mount(NULL, target, NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail(process, "mount");
	take_root(process, target);
}

/* The kernel wants who mounts it and who opened /dev/fuse in one user namespace (fuse_fill_super in fs/fuse/inode.c), so
 * both are done here. Requests wait until the program answers; should that end first, they fail, as nobody else has the
 * descriptor by then. */
static void root_fuse(struct process *process, const struct record *record)
{
	char options[128];

	process->fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (process->fuse < 0)
		fail(process, "open");
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other",
		 process->fuse, getuid(), getgid());
	if (mount("fuse-overlayfs", text(record, 0), "fuse.fuse-overlayfs", 0, options) < 0)
		fail(process, "mount");
	take_root(process, text(record, 0));
}

/* A mount that hangs nowhere goes along into the next mount namespace; one in its place would be locked to it there, so
 * that it could not become / (mount_namespaces(7), "Restrictions on mount namespaces"). */
static void hold_root(struct process *process)
{
	int held = open_tree_at(process->root, "", EMPTY_PATH | RECURSIVE);

	if (held < 0)
		fail(process, "open_tree");
	close(process->root);
	process->root = -1;
	process->root_held = held;
}

/* On /, which everybody finds: the way to any other place may be closed to the ids of the user namespace. */
static void place_root(struct process *process)
{
	int there = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (there < 0)
		fail(process, "open");
	if (syscall(SYS_move_mount, process->root_held, "", there, "", MOVE_BOTH_EMPTY) < 0)
		fail(process, "move_mount");
	close(there);
	process->root = process->root_held;
}

static void write_map(struct process *process, pid_t pid, const char *file, const struct record *record, uint32_t i)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fail(process, "open");
	if (RETRY(write(fd, text(record, i), length(record, i))) < 0)
		fail(process, "write");
	close(fd);
}

/* A user namespace with the given maps that nobody is in. Its first process has, in a joined pid namespace, another
 * number than the one that /proc shows it under. */
static int mapping(struct process *process, const struct record *record)
{
	char path[64];
	pid_t child = clone_process(CLONE_NEWUSER, -1);

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (child < 0)
		fail(process, "clone3");
	int pidfd = syscall(SYS_pidfd_open, child, 0);
	pid_t shown = pidfd < 0 ? 0 : process_number(pidfd);
	write_map(process, shown, "uid_map", record, 1);
	write_map(process, shown, "gid_map", record, 2);
	snprintf(path, sizeof path, "/proc/%d/ns/user", shown);
	int namespace = open(path, O_RDONLY | O_CLOEXEC);
	if (namespace < 0)
		fail(process, "open");
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	close(pidfd);
	return namespace;
}

/* mount_setattr(2), MOUNT_ATTR_IDMAP: what 0 owns on the disk is owned by root of a user namespace with these maps. */
static void map_tree(struct process *process, const struct record *record)
{
	struct attributes attributes = { .set = ATTR_IDMAP, .userns = mapping(process, record) };
	int tree = open_tree_at(AT_FDCWD, text(record, 0), 0), there = open(text(record, 0), O_PATH | O_CLOEXEC);

	if (tree < 0 || there < 0)
		fail(process, "open_tree");
	if (syscall(SYS_mount_setattr, tree, "", EMPTY_PATH, &attributes, sizeof attributes) < 0)
		fail(process, "mount_setattr");
	if (syscall(SYS_move_mount, tree, "", there, "", MOVE_BOTH_EMPTY) < 0)
		fail(process, "move_mount");
	close(attributes.userns);
	close(there);
	close(tree);
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

	attach(process, mount, must_resolve(process, text(record, 2), O_DIRECTORY));
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
	attach(process, mount, target);
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
	int *slot = &process->slots[number(record, 0) % SLOTS];
	unsigned flags = number(record, 4) ? RECURSIVE : 0;
	uint64_t set = number(record, 2), propagation = number(record, 3);
	struct stat st;

	if (fstat(*slot, &st) < 0)
		fail(process, "fstat");
	if (record->operation == OP_bind_with_content)
		fill(process, *slot, text(record, 1));
	if ((set || propagation) && set_attributes(*slot, set, propagation, flags) < 0)
		fail(process, "mount_setattr");
	attach(process, *slot, must_resolve(process, text(record, 1), S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
	*slot = -1;
}

void bind_file(struct process *process, const char *source, const char *path)
{
	int mount = open_tree_at(AT_FDCWD, source, 0);

	if (mount < 0)
		fail(process, "open_tree");
	attach(process, mount, must_resolve(process, path, 0));
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
	close(parent);
	if (made == 0)
		return;
	int node = open_tree_at(AT_FDCWD, path, 0);
	if (node < 0)
		fail(process, "open_tree");
	/* read-only, which holds for the inode (chmod) and not for the device behind it */
	if (set_attributes(node, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	attach(process, node, must_resolve(process, path, 0));
}

/* Only through a real procfs: a container that put a tmpfs there would swallow the write (CVE-2025-52881). */
static void sysctl(struct process *process, const struct record *record)
{
	char path[512];
	struct statfs fs;
	const char *value = text(record, 1);

	snprintf(path, sizeof path, "/proc/sys/%s", text(record, 0));
	int fd = open_inside(process, path, O_WRONLY);
	if (fd < 0)
		fail(process, "openat2");
	if (fstatfs(fd, &fs) < 0)
		fail(process, "fstatfs");
	if (fs.f_type != PROC_MAGIC) {
		errno = EXDEV;
		fail(process, "fstatfs");
	}
	if (RETRY(write(fd, value, strlen(value))) < 0)
		fail(process, "write");
	close(fd);
}

/* A file is covered by /dev/null, a directory by an empty read-only tmpfs; what is not there needs no hiding. */
static void mask(struct process *process, const struct record *record)
{
	static const struct argument arguments[] = {
		{ "tmpfs", 5 }, { "tmpfs", 5 }, { "", 0 }, { "1", 1 }, { "nr_inodes=1", 11 }, { "size=4096", 9 }
	};
	const struct record empty = { OP_mount, 6, (struct argument *)arguments };
	struct stat st;

	int target = open_inside(process, text(record, 0), O_PATH);
	if (target < 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (target < 0 || fstat(target, &st) < 0)
		fail(process, "openat2");
	if (S_ISDIR(st.st_mode)) {
		attach(process, make_mount(process, &empty, ATTR_RDONLY), target);
		return;
	}
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
	if (cover < 0)
		fail(process, "open_tree");
	close(null);
	attach(process, cover, target);
}

static void read_only(struct process *process, const struct record *record)
{
	int target = open_inside(process, text(record, 0), O_PATH);

	if (target < 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (target < 0)
		fail(process, "openat2");
	int cover = open_tree_at(target, "", EMPTY_PATH | RECURSIVE);
	if (cover < 0)
		fail(process, "open_tree");
	if (set_attributes(cover, ATTR_RDONLY, 0, RECURSIVE) < 0)
		fail(process, "mount_setattr");
	attach(process, cover, target);
}

void let_go_of_old_root(struct process *process)
{
	int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (fchdir(process->root) < 0)
		fail(process, "fchdir");
	if (syscall(SYS_pivot_root, ".", ".") < 0) {
		/* EINVAL: our / is no mount point, because the caller lives in a chroot. Joining the namespace we are
		 * in already puts us at its own root, which is one. */
		if (errno != EINVAL || setns(home, CLONE_NEWNS) < 0 || fchdir(process->root) < 0 ||
		    syscall(SYS_pivot_root, ".", ".") < 0)
			fail(process, "pivot_root");
	}
	if (umount2(".", MNT_DETACH) < 0)
		fail(process, "umount2");
	if (chdir("/") < 0)
		fail(process, "chdir");
	close(home);
	close(process->root);
	process->root = -1;
}

static void read_only_root(struct process *process)
{
	int root = open("/", O_PATH | O_CLOEXEC);

	if (root < 0)
		fail(process, "open");
	if (set_attributes(root, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	close(root);
}

/* Go to the root of our own mount namespace: setns does that. Out of a chroot, whose / is no mount point. */
static void go_to_namespace_root(struct process *process)
{
	int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (home < 0 || setns(home, CLONE_NEWNS) < 0)
		fail(process, "setns");
	close(home);
}

static void propagation(struct process *process, const struct record *record)
{
	unsigned long flags = number(record, 0);
	int root;

	if (mount(NULL, "/", NULL, flags, NULL) == 0)
		return;
	if (errno != EINVAL || (root = open("/", O_PATH | O_CLOEXEC)) < 0)
		fail(process, "mount");
	go_to_namespace_root(process);
	if (mount(NULL, "/", NULL, flags, NULL) < 0)
		fail(process, "mount");
	if (fchdir(root) < 0 || chroot(".") < 0)
		fail(process, "chroot");
	close(root);
}

void mount_operation(struct process *process, const struct record *record)
{
	switch (record->operation) {
	case OP_propagation: propagation(process, record); break;
	case OP_capture: capture(process, record); break;
	case OP_open_tree: clone_tree(process, record); break;
	case OP_root: root(process, record); break;
	case OP_root_fuse: root_fuse(process, record); break;
	case OP_hold_root: hold_root(process); break;
	case OP_place_root: place_root(process); break;
	case OP_map_tree: map_tree(process, record); break;
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
	case OP_read_only_root: read_only_root(process); break;
	default:
		errno = ENOSYS;
		fail(process, "perform");
	}
}
