/* Directories, symbolic links and devices in the new root. */
#define _GNU_SOURCE
#include "root/nodes.h"
#include "root/mount_api.h"
#include "root/places.h"
#include "root/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void make_directory(const struct process *process, const struct record *record)
{
	close(must_resolve(process, text(record, 0), O_DIRECTORY));
}

void make_symlink(const struct process *process, const struct record *record)
{
	char name[256];
	int parent = must_open_parent(process, text(record, 1), name);

	if (symlinkat(text(record, 0), parent, name) < 0 && errno != EEXIST)
		fail(process, "symlinkat");
	close(parent);
}

/* Device nodes cannot be created in a user namespace: bind the host's node of the same name there. */
void make_device(struct process *process, const struct record *record)
{
	char name[256];
	const char *path = text(record, 0);
	int parent = must_open_parent(process, path, name);

	int made = mknodat(parent, name, number(record, 3), makedev(number(record, 1), number(record, 2)));
	if (made < 0 && errno != EPERM)
		fail(process, "mknodat");
	if (made == 0) {
		if (record->count > 5 && fchownat(parent, name, number(record, 4), number(record, 5), AT_SYMLINK_NOFOLLOW) < 0)
			fail(process, "fchownat");
		close(parent);
		return;
	}
	/* usually /dev is a new tmpfs, and still empty */
	int target = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	close(parent);
	int node = open_tree_at(AT_FDCWD, path, 0);
	if (node < 0)
		fail(process, "open_tree");
	/* read-only protects the inode (chmod), not the device behind it */
	if (set_attributes(node, ATTR_RDONLY, 0, 0) < 0)
		fail(process, "mount_setattr");
	place_mount(process, path, node, target >= 0 ? target : must_resolve(process, path, 0));
}
