#ifndef PYPOD_ROOT_RESOLVE_H
#define PYPOD_ROOT_RESOLVE_H

#include "common/process.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Return a descriptor of `path` in the new root, or -1 with errno; `call` gets the failing call's name. A missing
 * target is created, with O_DIRECTORY as a directory, with 0 as a file; so are its parent directories. */
int resolve(const struct process *process, const char *path, int flags, const char **call);
/* Return the directory that holds `path` (created if missing), and the last component in `name`. */
int open_parent(const struct process *process, const char *path, char name[256], const char **call);
/* The same two, but a failure ends the process through fail(). */
int must_resolve(const struct process *process, const char *path, int flags);
int must_open_parent(const struct process *process, const char *path, char name[256]);
/* As open(2), in the new root: before the pivot from its descriptor, afterwards from the working directory, which is /
 * until the plan sets another. Never through /proc/PID/root and the like. Before the pivot, paths in /proc, /sys and
 * /dev are looked up from the mount that was put there, and through no link. */
int open_inside(const struct process *process, const char *path, int flags);
/* The same on the root's own file system: mounts on it give EXDEV. */
int open_on_root(const struct process *process, const char *path, int flags);
/* Whether it is /dev/null, by whatever name. */
bool is_null(const struct stat *st);

#endif
