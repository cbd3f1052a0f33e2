#ifndef PYPOD_SUPERVISE_GROUP_H
#define PYPOD_SUPERVISE_GROUP_H

#include <stdbool.h>

/* A descriptor of a cgroup's directory; -1 for "" and on failure. */
int open_group(const char *directory);

/* Kill every process of a cgroup, given its directory. `is_used_again`: without cgroup.kill, since a process cloned into a
 * group that was ever killed dies at once (Linux 6.14: kill_seq in cgroup_css_set_fork, kernel/cgroup/cgroup.c). */
void kill_group(int directory, bool is_used_again);

/* Without a cgroup: kill our children. */
void kill_children(void);

/* The number of OOM kills in a group, from its open file; 0 if the descriptor is -1. */
unsigned long count_oom_kills(int file);

#endif
