#ifndef PYPOD_PERFORM_H
#define PYPOD_PERFORM_H

#include "hold.h"
#include "plan.h"
#include "report.h"

#include <stdbool.h>
#include <stdnoreturn.h>
#include <sys/stat.h>
#include <sys/types.h>

#define OTHERS 16

/* A process whose namespaces the plan joins. Opened before the clone: in a pid namespace of its own the new process
 * has no number for it. */
struct other {
	uint64_t pid;
	int fd;
};

/* Something that was put on a path, and what has to be found there at the end (places.c). */
struct place {
	uint32_t record;      /* of the operation that did it */
	const char *path;
	enum { PLACE_MOUNT, PLACE_MASK, PLACE_READ_ONLY } kind;
	int mount;            /* the mount itself, or -1: directories in /proc, /sys and /dev are kept open */
	bool absent;          /* there was nothing to mask or to make read-only */
	dev_t device;
	ino_t inode;
};

/* The process that a plan turns into a container's first process. */
struct process {
	const struct plan *plan;
	uint32_t at;          /* the record being performed */
	int report;           /* socket to the supervisor */
	int root;             /* the new root until it is /, or -1 */
	int root_held;        /* the same between two mount namespaces */
	int fuse;             /* of a root that nobody serves yet */
	int *slots;           /* mounts by descriptor, waiting for their place; as many as the plan has records */
	struct place *places; /* in the order in which they were made */
	uint32_t place_count;
	int empty;            /* the tmpfs that masks directories, or -1 */
	int program;          /* what execute_file will run */
	struct other others[OTHERS];
	int owner;            /* pidfd handed on to the infra, or -1 */
	const struct held *held; /* ports handed on to the infra */
	bool keep_groups;     /* as keep_groups says */
	uid_t uid;
	gid_t gid;
	const char *home;     /* from the container's passwd file */
	char **environment;
};

/* Tell the supervisor that `call` failed with errno in the current operation, and end. */
noreturn void fail(const struct process *process, const char *call);

/* Perform the records after `process->at`; ends in exec or in a report of failure. */
noreturn void perform(struct process *process);

/* clone3 without a stack of its own: as fork, with flags and a cgroup to be born into (group < 0: none). */
pid_t clone_process(uint64_t flags, int group);

/* The descriptor of process `pid`, opened before the clone. */
int other_process(const struct process *process, uint64_t pid);

/* mounts.c, and what it leaves to root.c */
void mount_operation(struct process *process, const struct record *record);
void root_operation(struct process *process, const struct record *record);
void let_go_of_old_root(struct process *process);
/* copy.c: all that is in the directory `from` into the empty directory `to`. */
void copy_content(struct process *process, int from, int to);
void copy_owner_and_mode(struct process *process, int from, int to);
/* Put `mount` on `target`, the descriptor of `path`, and remember it. Both are the place's from then on. */
struct place *attach(struct process *process, const char *path, int mount, int target);
/* places.c */
/* Whether `path` is /proc, /sys or /dev, or lies in one of them: no link may lead there or from there. */
bool is_of_the_system(const char *path);
/* The descriptor of the innermost mount that was put on a part of `path`, or -1; `rest` is what of the path lies in it. */
int mount_of(const struct process *process, const char *path, const char **rest);
struct place *remember_place(struct process *process, const char *path, const struct stat *what);
void verify_places(struct process *process);
/* resolve.c */
/* A descriptor of `path` inside the new root, or -1 with errno; `call` gets the failing call's name. */
int resolve(const struct process *process, const char *path, int flags, const char **call);
int open_parent(const struct process *process, const char *path, char name[256], const char **call);
/* As open(2), inside the new root: before the pivot from its descriptor, afterwards from the working directory, which is
 * / until the plan sets another. Never through /proc/PID/root and its like. Before the pivot, what lies in /proc, /sys and
 * /dev is looked up from the mount that was put there, and through no link. */
int open_inside(const struct process *process, const char *path, int flags);
/* The same on the root's own file system: what is mounted on it gives EXDEV. */
int open_on_root(const struct process *process, const char *path, int flags);
/* mounts.c */
/* A file of the host on one of the new root's. */
void bind_file(struct process *process, const char *source, const char *path);
int open_program(struct process *process, const char *path);
bool is_null(const struct stat *st);

/* terminal.c: open a terminal, hand its master to the supervisor, make the slave 0, 1 and 2. */
void open_terminal(struct process *process, bool bind_console);

/* user.c: look `user` up, set the supplementary groups, remember uid, gid and home. */
void user_operation(struct process *process, const struct record *record);
/* user.c: give ids that the root's passwd and group files do not know an entry there. */
void account_operation(struct process *process, const struct record *record);

#endif
