#ifndef PYPOD_UNPACK_TREE_H
#define PYPOD_UNPACK_TREE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

/* The directories of a tree being created: the current one, the implied ones, and their times, which are set last
 * because each name created in a directory changes its time. Paths are relative to the root and clean. */

/* `in_user_namespace`: overlayfs uses user.* attributes there. `plain`: the tree is no layer, and stays as it is except
 * for what the archive has entries for. */
void tree_open(bool in_user_namespace, bool plain);
/* A descriptor of a directory, valid until the next call. The directory and its parents are created if the archive had
 * no entries for them. Symbolic links are resolved in this layer. Below a whiteout there is nothing to delete: then the
 * result is -1 for `about_lower`; for others a new directory takes the whiteout's place. */
int tree_parent(const char *path, bool about_lower);
/* The archive has an entry for this directory; takes over the descriptor. The default ACL, which files created in it
 * would inherit, is set at the end, as is the time. */
void tree_enter(const char *path, int fd, struct timespec mtime, const void *default_acl, size_t acl_size);
/* Hide what the layers below have in this directory. */
void tree_make_opaque(int fd);
/* Also record that the directory is separate from the one in the layers below. */
void tree_renew(const char *path, int fd);
/* Whether the root is opaque: overlayfs ignores that on the root, so the caller has to leave out the layers below. */
bool tree_root_is_opaque(void);
/* Whether the file is a whiteout: a character device 0:0. On an overlay, which has whiteouts of its own, none can
 * be created; there a socket stands in for it, because an archive cannot contain sockets. */
bool tree_is_whiteout(const struct stat *status);
/* A whiteout was created in this directory, the one that tree_parent returned last. */
void tree_note_whiteout(const char *path);
/* Set the times of directories, and report which were implied ('i') and which hold whiteouts ('w'); the root is ".". */
void tree_finish(void (*tell)(char what, const char *path));

#endif
