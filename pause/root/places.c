/* What was mounted on which path of the new root: to look up paths inside a mount, and for the check at the end.
 *
 * An image determines its paths, and a container that shares its root can rename them during a start. So masks and
 * read-only paths are applied to the mount itself, by descriptor, and the final check before the exec sees what the
 * container will see: by absolute path, through any links (CVE-2019-19921, CVE-2023-27561, CVE-2025-52881). */
#define _GNU_SOURCE
#include "root/places.h"
#include "root/mount_api.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const SYSTEM[] = { "/proc", "/sys", "/dev" };

/* The part of `path` inside `directory` ("." for the directory itself), or NULL. */
static const char *part_in(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (strncmp(path, directory, length) || (path[length] && path[length] != '/'))
		return NULL;
	path += length;
	path += strspn(path, "/");
	return *path ? path : ".";
}

bool is_of_the_system(const char *path)
{
	for (size_t i = 0; i < sizeof SYSTEM / sizeof *SYSTEM; i++)
		if (part_in(path, SYSTEM[i]))
			return true;
	return false;
}

static struct place *innermost_place(const struct process *process, const char *path, const char **rest)
{
	struct place *innermost = NULL;

	for (uint32_t i = 0; i < process->place_count; i++) {
		struct place *place = &process->places[i];
		const char *part = place->mount < 0 ? NULL : part_in(path, place->path);
		if (part && (!innermost || strlen(place->path) >= strlen(innermost->path))) {
			innermost = place;
			*rest = part;
		}
	}
	return innermost;
}

int mount_of(const struct process *process, const char *path, const char **rest)
{
	const struct place *innermost = innermost_place(process, path, rest);

	return innermost ? innermost->mount : -1;
}

struct place *place_of_mount(const struct process *process, const char *path)
{
	const char *rest;
	struct place *innermost = innermost_place(process, path, &rest);

	return innermost && !strcmp(rest, ".") ? innermost : NULL;
}

static struct place *remember_place(struct process *process, const char *path, const struct stat *what)
{
	struct place *place = &process->places[process->place_count++];

	*place = (struct place){ .record = process->at, .path = path, .kind = PLACE_MOUNT, .mount = -1 };
	if (what) {
		place->device = what->st_dev;
		place->inode = what->st_ino;
	} else {
		place->absent = true;
	}
	return place;
}

void place_nothing(struct process *process, const char *path)
{
	remember_place(process, path, NULL);
}

/* Whether it is a file system that the masks and read-only paths are for. */
static bool shows_the_kernel(const struct process *process, dev_t device)
{
	for (uint32_t i = 0; i < process->place_count; i++) {
		const struct place *place = &process->places[i];
		if (place->device == device && (!strcmp(place->path, "/proc") || !strcmp(place->path, "/sys")))
			return true;
	}
	return false;
}

struct place *place_mount(struct process *process, const char *path, int mount, int target)
{
	struct stat root, there, what;

	if (fstat(process->root, &root) < 0 || fstat(target, &there) < 0 || fstat(mount, &what) < 0)
		fail(process, "fstat");
	if (!S_ISDIR(what.st_mode) && S_ISDIR(there.st_mode)) { /* the kernel would return EINVAL */
		errno = EISDIR;
		fail(process, "move_mount");
	}
	/* A target that links back to / would cover the root for processes that join later, but not for those in it. */
	if (root.st_dev == there.st_dev && root.st_ino == there.st_ino) {
		errno = EBUSY;
		fail(process, "openat2");
	}
	/* a link into /proc or /sys: mounting there by another name could replace a file of the kernel's, and a later
	 * write to that file would not notice */
	if (!is_of_the_system(path) && shows_the_kernel(process, there.st_dev)) {
		errno = ELOOP;
		fail(process, "openat2");
	}
	if (syscall(SYS_move_mount, mount, "", target, "", MOVE_BOTH_EMPTY) < 0)
		fail(process, "move_mount");
	struct place *place = remember_place(process, path, &what);
	if (is_of_the_system(path) && S_ISDIR(what.st_mode))
		place->mount = mount;
	else
		close(mount);
	close(target);
	return place;
}

static bool is_at(const struct place *place, const struct stat *found)
{
	return !place->absent && found->st_dev == place->device && found->st_ino == place->inode;
}

/* Whether a later operation mounted over a place, or over a directory on the way to it. In /proc, /sys and /dev only
 * the same path or a mask can. Elsewhere a link of the image may lead there: /var/run is often a link to /run. */
static bool is_covered(const struct process *process, uint32_t at)
{
	const struct place *place = &process->places[at];
	char path[PATH_MAX];
	struct stat found;

	snprintf(path, sizeof path, "%s", place->path);
	for (char *end = path + strlen(path); end > path; end = strrchr(path, '/')) {
		*end = '\0';
		if (fstatat(AT_FDCWD, path, &found, 0) < 0)
			continue;
		for (uint32_t i = at + 1; i < process->place_count; i++) {
			const struct place *later = &process->places[i];
			bool may = !is_of_the_system(place->path) || !strcmp(place->path, later->path) ||
				   (later->kind == PLACE_MASK && part_in(place->path, later->path));
			if (may && is_at(later, &found))
				return true;
		}
	}
	return false;
}

static void verify(struct process *process, uint32_t at)
{
	const struct place *place = &process->places[at];
	struct statvfs fs;
	struct stat found;
	int there = fstatat(AT_FDCWD, place->path, &found, 0);

	process->at = place->record; /* for a failure report */
	if (there < 0 && place->absent && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (there < 0 || !is_at(place, &found)) {
		if (is_covered(process, at))
			return;
		errno = ESTALE;
		fail(process, "fstatat");
	}
	if (place->kind != PLACE_READ_ONLY)
		return;
	if (statvfs(place->path, &fs) < 0)
		fail(process, "statvfs");
	if (!(fs.f_flag & ST_RDONLY)) {
		errno = ESTALE;
		fail(process, "statvfs");
	}
}

void verify_places(struct process *process)
{
	uint32_t own = process->at;

	for (uint32_t at = 0; at < process->place_count; at++)
		verify(process, at);
	process->at = own;
}
