/* What becomes /: made, held between two mount namespaces, mapped, taken for / in place of the host's. */
#define _GNU_SOURCE
#include "mount_api.h"
#include "ops.h"
#include "perform.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Go to the root of our own mount namespace: setns does that. Out of a chroot, whose / is no mount point. */
static void go_to_namespace_root(struct process *process)
{
	int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (home < 0 || setns(home, CLONE_NEWNS) < 0)
		fail(process, "setns");
	close(home);
}

void let_go_of_old_root(struct process *process)
{
	if (fchdir(process->root) < 0)
		fail(process, "fchdir");
	if (syscall(SYS_pivot_root, ".", ".") < 0) {
		if (errno != EINVAL) /* it is that when our / is no mount point, because the caller lives in a chroot */
			fail(process, "pivot_root");
		go_to_namespace_root(process);
		if (fchdir(process->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
			fail(process, "pivot_root");
	}
	if (umount2(".", MNT_DETACH) < 0)
		fail(process, "umount2");
	if (chdir("/") < 0)
		fail(process, "chdir");
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

void root_operation(struct process *process, const struct record *record)
{
	switch (record->operation) {
	case OP_propagation: propagation(process, record); break;
	case OP_root: root(process, record); break;
	case OP_root_fuse: root_fuse(process, record); break;
	case OP_hold_root: hold_root(process); break;
	case OP_place_root: place_root(process); break;
	case OP_map_tree: map_tree(process, record); break;
	case OP_read_only_root: read_only_root(process); break;
	default:
		errno = ENOSYS;
		fail(process, "perform");
	}
}
