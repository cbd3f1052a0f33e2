/* Maps the owners of the files of a tree: mount_setattr(2), MOUNT_ATTR_IDMAP. */
#define _GNU_SOURCE
#include "root/owners.h"
#include "common/clone.h"
#include "common/identity.h"
#include "common/retry.h"
#include "root/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_map(const struct process *process, pid_t pid, const char *file, const struct record *record, uint32_t i)
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

/* A user namespace with the given maps and no processes. In a joined pid namespace the pid of its first process differs
 * from the one that /proc shows. */
static int mapping(const struct process *process, const struct record *record)
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

/* What id 0 owns on disk belongs to root of the user namespace. */
void map_tree(const struct process *process, const struct record *record)
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
