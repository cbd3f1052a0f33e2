#ifndef PYPOD_UNPACK_TREE_H
#define PYPOD_UNPACK_TREE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

/* The directories of a tree that is being made: which one is at hand, which were only implied, and their times, which
 * come last because every name made in a directory changes its time. Paths are relative to the root and clean. */

/* `in_user_namespace`: overlayfs finds its attributes among the user's there. */
void tree_open(bool in_user_namespace);
/* A descriptor of a directory, good until the next call. It and those above it are made when the archive had no entry for
 * them. Symbolic links lead where they lead in this layer. Below a whiteout there is nothing to delete: then -1 for
 * `about_lower`, for others a new directory takes its place. */
int tree_parent(const char *path, bool about_lower);
/* The archive has an entry for this directory; the descriptor is the tree's from now on. The access control list is what
 * files made in it would get: it is set at the end as the time is. */
void tree_enter(const char *path, int fd, struct timespec mtime, const void *default_acl, size_t acl_size);
/* Hide what the layers below have in this directory. */
void tree_make_opaque(int fd);
/* Also say that the directory is not the one that the layers below have. */
void tree_renew(const char *path, int fd);
/* A root that is opaque: overlayfs does not look there, so the caller has to leave out the layers below. */
bool tree_root_is_opaque(void);
/* Nothing is here, whatever the layers below have: a character device 0:0. An overlay, which has such of its own, lets nobody
 * make one; there a socket stands for it, since no archive can hold any. */
bool tree_is_whiteout(const struct stat *status);
/* A whiteout was made in this directory, the one that tree_parent gave last. */
void tree_note_whiteout(const char *path);
/* Set the times of directories, and tell which were implied ('i') and which hold whiteouts ('w'); the root is ".". */
void tree_finish(void (*tell)(char what, const char *path));

#endif
