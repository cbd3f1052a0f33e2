/* The new mount API (Linux 5.12), which today's C libraries have no wrappers for. */
#ifndef PYPOD_ROOT_MOUNT_API_H
#define PYPOD_ROOT_MOUNT_API_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EMPTY_PATH 0x1000 /* AT_EMPTY_PATH */
#define RECURSIVE 0x8000 /* AT_RECURSIVE */
#define TREE_CLONE 1
#define ATTR_RDONLY 1
#define ATTR_NODEV 4
#define ATTR_IDMAP 0x100000
#define MOVE_BOTH_EMPTY (0x04 | 0x40) /* MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH */

struct attributes { /* struct mount_attr */
	uint64_t set, clear, propagation, userns;
};

static inline int open_tree_at(int directory, const char *path, unsigned flags)
{
	return syscall(SYS_open_tree, directory, path, flags | TREE_CLONE | O_CLOEXEC);
}

static inline int set_attributes(int mount, uint64_t set, uint64_t propagation, unsigned flags)
{
	struct attributes attributes = { .set = set, .propagation = propagation };

	return syscall(SYS_mount_setattr, mount, "", EMPTY_PATH | flags, &attributes, sizeof attributes);
}

#endif
