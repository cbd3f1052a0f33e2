/* The meaning of an entry of a layer: docs/layers.md has the rules (image-spec: layer.md). The tree is an overlayfs
 * layer: a deleted file is a character device 0:0, a directory that hides the layers below has trusted.overlay.opaque,
 * or user.overlay.opaque. */
#define _GNU_SOURCE
#include "unpack/layer.h"
#include "unpack/make.h"
#include "unpack/names.h"
#include "unpack/outcome.h"
#include "unpack/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int mark(struct unpacking *it, int parent, const char *name)
{
	if (mknodat(parent, name, S_IFCHR, 0) == 0)
		return 0;
	if (errno != EPERM || mknodat(parent, name, S_IFSOCK, 0) < 0)
		return -1;
	it->sockets_stand_in = true;
	return 0;
}

/* Whiteouts concern the layers below, wherever in the layer they appear. */
static void make_whiteout(struct unpacking *it, int parent, const char *name)
{
	struct stat status;

	if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		refuse("a whiteout names nothing");
	if (mark(it, parent, name) == 0)
		return;
	if (errno != EEXIST)
		broken("mknodat");
	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		broken("fstatat");
	if (!S_ISDIR(status.st_mode))
		return;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		broken("openat");
	/* from the path of .wh.NAME (which `name` is the end of) to that of NAME */
	memmove(it->entry.path + (name - it->entry.path) - strlen(".wh."), name, strlen(name) + 1);
	tree_renew(it->entry.path, fd);
	close(fd);
}

void unpack_entry(struct unpacking *it)
{
	clean_path(it->entry.path);
	if (!it->entry.path[0] && it->plain)
		return; /* owner and mode of the directory are not the archive's */
	if (!it->entry.path[0])
		return make_root(it);
	if (!it->plain && is_of_aufs(it->entry.path))
		return;
	char *slash = strrchr(it->entry.path, '/'), *name = slash ? slash + 1 : it->entry.path;
	bool about_lower = !it->plain && starts_with(name, ".wh.");
	char *parent_path = slash ? it->entry.path : "";
	if (slash)
		*slash = '\0';
	int parent = tree_parent(parent_path, about_lower);
	if (parent >= 0 && about_lower)
		tree_note_whiteout(parent_path);
	if (slash)
		*slash = '/';
	if (parent < 0)
		return; /* a whiteout below a whiteout */
	if (strcmp(name, ".wh..wh..opq") == 0)
		tree_make_opaque(parent);
	else if (about_lower)
		make_whiteout(it, parent, name + 4);
	else
		make(it, parent, name);
}
