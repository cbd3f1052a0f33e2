/* Copies the content of a directory into a new file system on top of it (podman's tmpcopyup), and changes the owners of
 * a volume's files (podman's option U). By descriptor and without
 * following links: the tree belongs to a container. Devices, sockets and extended attributes are not copied, nor is
 * anything deleted meanwhile: the tree may be the host's, in use by others. */
#define _GNU_SOURCE
#include "root/copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static void take_over(const struct process *process, int fd, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	/* EINVAL: the user namespace does not have the owner, as of a root directory that is not mapped to it */
	if (fchown(fd, st->st_uid, st->st_gid) < 0 && errno != EINVAL)
		fail(process, "fchown");
	if (fchmod(fd, st->st_mode & 07777) < 0) /* after fchown, which clears setuid */
		fail(process, "fchmod");
	futimens(fd, times);
}

static void copy_file(const struct process *process, int from, int to, const char *name, const struct stat *st)
{
	int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t copied;

	if (in < 0 && errno == ENOENT)
		return;
	int out = in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		fail(process, "openat");
	do
		copied = sendfile(out, in, NULL, 1 << 20);
	while (copied > 0 || (copied < 0 && errno == EINTR));
	if (copied < 0)
		fail(process, "sendfile");
	take_over(process, out, st);
	close(in);
	close(out);
}

static void copy_link(const struct process *process, int from, int to, const char *name, const struct stat *st)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(from, name, text, sizeof text - 1);

	if (length < 0 && errno == ENOENT)
		return;
	if (length < 0)
		fail(process, "readlinkat");
	text[length] = '\0';
	if (symlinkat(text, to, name) < 0)
		fail(process, "symlinkat");
	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL)
		fail(process, "fchownat");
}

static int open_below(const struct process *process, int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		fail(process, "openat");
	return fd;
}

static void copy_directory(const struct process *process, int from, int to, const char *name, const struct stat *st)
{
	int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (source < 0 && errno == ENOENT)
		return;
	if (source < 0)
		fail(process, "openat");
	if (mkdirat(to, name, 0700) < 0)
		fail(process, "mkdirat");
	int target = open_below(process, to, name);
	copy_content(process, source, target);
	take_over(process, target, st);
	close(target);
	close(source);
}

static void copy_entry(const struct process *process, int from, int to, const char *name)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		/* ELOOP: the overlay's own upper layer, if it lies in its root (ovl_lookup in fs/overlayfs/namei.c) */
		if (errno == ENOENT || errno == ELOOP)
			return;
		fail(process, "fstatat");
	}
	if (S_ISREG(st.st_mode))
		copy_file(process, from, to, name, &st);
	if (S_ISLNK(st.st_mode))
		copy_link(process, from, to, name, &st);
	if (S_ISDIR(st.st_mode))
		copy_directory(process, from, to, name, &st);
}

void copy_content(const struct process *process, int from, int to)
{
	int own = open_below(process, from, ".");
	DIR *entries = fdopendir(own);
	struct dirent *entry;

	if (!entries)
		fail(process, "fdopendir");
	while ((errno = 0, entry = readdir(entries)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			copy_entry(process, from, to, entry->d_name);
	if (errno)
		fail(process, "readdir");
	closedir(entries);
}

void copy_owner_and_mode(const struct process *process, int from, int to)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		fail(process, "fstat");
	take_over(process, to, &st);
}

static void give_entry(const struct process *process, int parent, const char *name, uid_t uid, gid_t gid)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return;
		fail(process, "fstatat");
	}
	if (S_ISDIR(st.st_mode)) {
		int fd = open_below(process, parent, name);
		give(process, fd, uid, gid, true);
		close(fd);
	} else if ((st.st_uid != uid || st.st_gid != gid) && fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 &&
		   errno != ENOENT) {
		fail(process, "fchownat");
	}
}

void give(const struct process *process, int fd, uid_t uid, gid_t gid, bool recursive)
{
	struct stat st;
	struct dirent *entry;

	if (fstat(fd, &st) < 0)
		fail(process, "fstat");
	if ((st.st_uid != uid || st.st_gid != gid) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
		fail(process, "fchownat");
	if (!recursive || !S_ISDIR(st.st_mode))
		return;
	DIR *entries = fdopendir(open_below(process, fd, "."));
	if (!entries)
		fail(process, "fdopendir");
	while ((errno = 0, entry = readdir(entries)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			give_entry(process, fd, entry->d_name, uid, gid);
	if (errno)
		fail(process, "readdir");
	closedir(entries);
}
