#ifndef PYPOD_SUPERVISE_GROUP_H
#define PYPOD_SUPERVISE_GROUP_H

/* A descriptor of a cgroup's directory; -1 for "" and when it cannot be opened. */
int open_group(const char *directory);

/* Kill every process of a cgroup, given its directory. */
void kill_group(int directory);

/* Without a cgroup: kill whoever is our child. */
void kill_children(void);

/* How often the kernel killed in a group for want of memory, by a file of it; -1 for the file: never. */
unsigned long count_oom_kills(int file);

#endif
