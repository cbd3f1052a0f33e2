#ifndef PYPOD_GROUP_H
#define PYPOD_GROUP_H

/* A descriptor of a cgroup's directory; -1 for "" and when it cannot be opened. */
int open_group(const char *directory);

/* Kill every process of a cgroup, given its directory. */
void kill_group(int directory);

#endif
