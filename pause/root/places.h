#ifndef PYPOD_ROOT_PLACES_H
#define PYPOD_ROOT_PLACES_H

#include "common/process.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A path that something was mounted on, and what must be found there at the end. */
struct place {
	uint32_t record;      /* of the operation */
	const char *path;
	enum { PLACE_MOUNT, PLACE_MASK, PLACE_READ_ONLY } kind;
	int mount;            /* the mount itself (kept open for directories in /proc, /sys and /dev), or -1 */
	bool absent;          /* the path to mask or to make read-only does not exist */
	dev_t device;
	ino_t inode;
};

/* Whether `path` is /proc, /sys or /dev, or lies in one of them: no link may lead there or out of there. */
bool is_of_the_system(const char *path);
/* The descriptor of the innermost mount on a prefix of `path`, or -1; `rest` is the part of the path inside it. */
int mount_of(const struct process *process, const char *path, const char **rest);
/* What was mounted on `path` itself, in /proc, /sys or /dev, or NULL. */
struct place *place_of_mount(const struct process *process, const char *path);
/* Put `mount` on `target`, the descriptor of `path`, and remember it. Takes over both descriptors. */
struct place *place_mount(struct process *process, const char *path, int mount, int target);
/* Remember a path that does not exist. */
void place_nothing(struct process *process, const char *path);
/* Check, through any links, that everything is where it was put. */
void verify_places(struct process *process);

#endif
