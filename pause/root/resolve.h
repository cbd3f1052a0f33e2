#ifndef PYPOD_ROOT_RESOLVE_H
#define PYPOD_ROOT_RESOLVE_H

#include "common/process.h"

#include <stdbool.h>
#include <sys/stat.h>

/* A descriptor of `path` inside the new root, or -1 with errno; `call` gets the failing call's name. O_DIRECTORY makes a
 * missing target a directory, 0 a file; its parents are directories. */
int resolve(const struct process *process, const char *path, int flags, const char **call);
/* The directory that holds `path` (made if need be), and the last component in `name`. */
int open_parent(const struct process *process, const char *path, char name[256], const char **call);
/* The same two for who cannot go on without. */
int must_resolve(const struct process *process, const char *path, int flags);
int must_open_parent(const struct process *process, const char *path, char name[256]);
/* As open(2), inside the new root: before the pivot from its descriptor, afterwards from the working directory, which is
 * / until the plan sets another. Never through /proc/PID/root and its like. Before the pivot, what lies in /proc, /sys and
 * /dev is looked up from the mount that was put there, and through no link. */
int open_inside(const struct process *process, const char *path, int flags);
/* The same on the root's own file system: what is mounted on it gives EXDEV. */
int open_on_root(const struct process *process, const char *path, int flags);
/* Whether it is /dev/null, whatever name it has. */
bool is_null(const struct stat *st);

#endif
