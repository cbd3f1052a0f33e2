/* The new root: created, held between two mount namespaces, and swapped for the host's /. */
#define _GNU_SOURCE
#include "root/root.h"
#include "root/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

void set_base(const struct process *process, const struct record *record)
{
	if (chdir(text(record, 0)) < 0)
		fail(process, "chdir");
}

static void take_root(struct process *process, const char *target)
{
	process->root = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process->root < 0)
		fail(process, "open");
	/* here for all kinds of root: a bind mount takes no other flag than MS_REC */
	if (set_attributes(process->root, ATTR_NODEV, 0, 0) < 0)
		fail(process, "mount_setattr");
}

/* The old mount(2): it takes a page of overlay options, fsconfig(2) only 256 bytes per value. */
void mount_root(struct process *process, const struct record *record)
{
	const char *target = text(record, 2), *data = text(record, 4);
	unsigned long flags = number(record, 3);

	if (mount(text(record, 1), target, text(record, 0), flags, data) < 0)
		fail(process, "mount");
	if (flags & MS_BIND && mount(NULL, target, NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail(process, "mount");
	take_root(process, target);
}

/* The kernel requires that the mounter and the opener of /dev/fuse are in the same user namespace (fuse_fill_super in
 * fs/fuse/inode.c), so both are done here. Requests wait until the program answers; if it ends first, they fail,
 * because nothing else has the descriptor by then. */
void mount_fuse_root(struct process *process, const struct record *record)
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

/* A detached mount can be taken into the next mount namespace; an attached one would be locked there, and could not
 * become / (mount_namespaces(7), "Restrictions on mount namespaces"). */
void hold_root(struct process *process)
{
	int held = open_tree_at(process->root, "", EMPTY_PATH | RECURSIVE);

	if (held < 0)
		fail(process, "open_tree");
	close(process->root);
	process->root = -1;
	process->root_held = held;
}

/* On /, which is always reachable: the path to any other place may be closed to the ids of the user namespace. */
void place_root(struct process *process)
{
	int there = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (there < 0)
		fail(process, "open");
	if (syscall(SYS_move_mount, process->root_held, "", there, "", MOVE_BOTH_EMPTY) < 0)
		fail(process, "move_mount");
	close(there);
	process->root = process->root_held;
}

/* Go to the root of our own mount namespace, as setns does: out of a chroot, whose / is not a mount point. */
static void go_to_namespace_root(const struct process *process)
{
	int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (home < 0 || setns(home, CLONE_NEWNS) < 0)
		fail(process, "setns");
	close(home);
}

void pivot(struct process *process)
{
	if (fchdir(process->root) < 0)
		fail(process, "fchdir");
	if (syscall(SYS_pivot_root, ".", ".") < 0) {
		if (errno != EINVAL) /* EINVAL: our / is not a mount point, because the caller lives in a chroot */
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

void make_root_read_only(const struct process *process)
{
	int root = open("/", O_PATH | O_CLOEXEC);

	if (root < 0)
		fail(process, "open");
	if (set_attributes(root, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	close(root);
}

void set_propagation(const struct process *process, const struct record *record)
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
