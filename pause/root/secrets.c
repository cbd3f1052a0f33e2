/* Secrets in the new root: files in a tmpfs, so that neither a layer nor a commit ever has their content. */
#define _GNU_SOURCE
#include "root/secrets.h"
#include "root/mount_api.h"
#include "root/places.h"
#include "root/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECRETS "/run/secrets"
#define ELSEWHERE ".elsewhere" /* until it is bound to a path outside of the tmpfs */

enum { SLOT, TARGET, UID, GID, MODE };

/* The tmpfs that the plan mounted, not a directory that something has put in its place since. */
static int secrets_mount(const struct process *process)
{
	int fd = must_resolve(process, SECRETS, O_DIRECTORY);
	struct stat st;

	if (fstat(fd, &st) < 0)
		fail(process, "fstat");
	for (uint32_t i = 0; i < process->place_count; i++) {
		const struct place *place = &process->places[i];
		if (!strcmp(place->path, SECRETS) && place->device == st.st_dev && place->inode == st.st_ino)
			return fd;
	}
	errno = ESTALE;
	fail(process, "openat2");
}

static int open_beneath(int directory, const char *path, uint64_t flags, uint64_t mode)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .mode = mode,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

	return syscall(SYS_openat2, directory, path, &how, sizeof how);
}

/* The directory of `path` in the tmpfs, created if missing; `name` gets the last component. */
static int directory_of(const struct process *process, int mount, const char *path, const char **name)
{
	char prefix[PATH_MAX];

	*name = path;
	for (const char *end = path; (end = strchr(end, '/')); end++) {
		if ((size_t)(end - path) >= sizeof prefix) {
			errno = ENAMETOOLONG;
			fail(process, "mkdirat");
		}
		memcpy(prefix, path, end - path);
		prefix[end - path] = '\0';
		int parent = open_beneath(mount, prefix, O_PATH | O_DIRECTORY, 0);
		if (parent < 0 && errno == ENOENT && mkdirat(mount, prefix, 0755) < 0)
			fail(process, "mkdirat");
		if (parent >= 0)
			close(parent);
		*name = end + 1;
	}
	if (*name == path)
		return open_beneath(mount, ".", O_PATH | O_DIRECTORY, 0);
	memcpy(prefix, path, *name - path - 1);
	prefix[*name - path - 1] = '\0';
	return open_beneath(mount, prefix, O_PATH | O_DIRECTORY, 0);
}

static void write_copy(const struct process *process, const struct record *record, int directory, const char *name)
{
	int in = process->slots[number(record, SLOT) % process->plan->count];
	int out = open_beneath(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	off_t at = 0;
	ssize_t copied;

	if (out < 0)
		fail(process, "openat2");
	do
		copied = sendfile(out, in, &at, 1 << 20);
	while (copied > 0 || (copied < 0 && errno == EINTR));
	if (copied < 0)
		fail(process, "sendfile");
	if (fchown(out, number(record, UID), number(record, GID)) < 0)
		fail(process, "fchown");
	if (fchmod(out, number(record, MODE) & 07777) < 0) /* after fchown, which clears setuid */
		fail(process, "fchmod");
	close(out);
}

void place_secret(struct process *process, const struct record *record)
{
	const char *target = text(record, TARGET), *name;
	int mount = secrets_mount(process);

	if (!strncmp(target, SECRETS "/", sizeof SECRETS)) {
		int directory = directory_of(process, mount, target + sizeof SECRETS, &name);
		if (directory < 0)
			fail(process, "openat2");
		write_copy(process, record, directory, name);
		close(directory);
		close(mount);
		return;
	}
	write_copy(process, record, mount, ELSEWHERE);
	int file = open_tree_at(mount, ELSEWHERE, 0);
	if (file < 0)
		fail(process, "open_tree");
	place_mount(process, target, file, must_resolve(process, target, 0));
	if (unlinkat(mount, ELSEWHERE, 0) < 0)
		fail(process, "unlinkat");
	close(mount);
}
