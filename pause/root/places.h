#ifndef PYPOD_ROOT_PLACES_H
#define PYPOD_ROOT_PLACES_H

#include "common/process.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Something that was put on a path, and what has to be found there at the end. */
struct place {
	uint32_t record;      /* of the operation that did it */
	const char *path;
	enum { PLACE_MOUNT, PLACE_MASK, PLACE_READ_ONLY } kind;
	int mount;            /* the mount itself, or -1: directories in /proc, /sys and /dev are kept open */
	bool absent;          /* there was nothing to mask or to make read-only */
	dev_t device;
	ino_t inode;
};

/* Whether `path` is /proc, /sys or /dev, or lies in one of them: no link may lead there or from there. */
bool is_of_the_system(const char *path);
/* The descriptor of the innermost mount that was put on a part of `path`, or -1; `rest` is what of the path lies in it. */
int mount_of(const struct process *process, const char *path, const char **rest);
/* Put `mount` on `target`, the descriptor of `path`, and remember it. Both are the place's from then on. */
struct place *place_mount(struct process *process, const char *path, int mount, int target);
/* Remember a path with nothing there. */
void place_nothing(struct process *process, const char *path);
/* Be sure, through whatever links there are, that everything is where it was put. */
void verify_places(struct process *process);

#endif
