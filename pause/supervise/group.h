#ifndef PYPOD_SUPERVISE_GROUP_H
#define PYPOD_SUPERVISE_GROUP_H

/* A descriptor of a cgroup's directory; -1 for "" and on failure. */
int open_group(const char *directory);

/* Kill every process of a cgroup, given its directory. */
void kill_group(int directory);

/* Without a cgroup: kill our children. */
void kill_children(void);

/* The number of OOM kills in a group, from its open file; 0 if the descriptor is -1. */
unsigned long count_oom_kills(int file);

#endif
