/* Users and groups from the container's own /etc/passwd and /etc/group, read after the root has changed. The files come
 * from an image: they may be a FIFO, a gigabyte or garbage. The host's name service is not used. */
#define _GNU_SOURCE
#include "process/user.h"
#include "common/retry.h"
#include "process/passwd.h"
#include "root/copy.h"
#include "root/mounts.h"
#include "root/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_LIMIT = 1 << 20 };

/* The content of the file, or an empty string when it is missing or not a regular file of a sane size. Any other error
 * is a failure: it must not lead to a user without groups. */
static char *content_of(const struct process *process, const char *path)
{
	struct stat st = { .st_size = 0 };
	int fd = open_inside(process, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EACCES)
		fail(process, "openat2");
	if (fd >= 0 && fstat(fd, &st) < 0)
		fail(process, "fstat");
	size_t size = S_ISREG(st.st_mode) && st.st_size <= FILE_LIMIT ? st.st_size : 0;
	char *content = calloc(1, size + 1);
	if (!content)
		fail(process, "calloc");
	if (size && RETRY(read(fd, content, size)) < 0)
		fail(process, "read");
	if (fd >= 0)
		close(fd);
	return content;
}

/* The host's /dev/null as a standard stream would let the container's root change the mode of the host's device. */
static void take_own_null(const struct process *process)
{
	struct stat st;
	int null = -1;

	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &st) < 0 || !is_null(&st))
			continue;
		if (null < 0)
			null = open_inside(process, "/dev/null", O_RDWR | O_NONBLOCK | O_NOCTTY);
		if (null < 0 || fstat(null, &st) < 0 || !is_null(&st)) { /* the container has none: a file just as empty */
			close(null);
			null = memfd_create("null", MFD_CLOEXEC);
		}
		if (null < 0 || dup2(null, fd) < 0)
			fail(process, "dup2");
	}
	if (null >= 0)
		close(null);
}

void find_process_user(struct process *process, const struct record *record)
{
	char *wanted = strdup(text(record, 0)), *passwd = content_of(process, "/etc/passwd");
	char *group = content_of(process, "/etc/group");
	char *group_wanted = wanted, *user_wanted;
	gid_t groups[GROUP_LIMIT];
	int count = 0;
	struct account account;
	char *field[PASSWD_FIELDS];

	if (!wanted)
		fail(process, "strdup");
	user_wanted = strsep(&group_wanted, ":");
	errno = EINVAL;
	if (find_user(passwd, *user_wanted ? user_wanted : "0", &account) < 0)
		fail(process, "find user");
	errno = EINVAL;
	if (group_wanted && find_group(group, group_wanted, &account.gid) < 0)
		fail(process, "find group");
	for (uint32_t i = 1; i < record->count; i++) {
		uint32_t gid;
		errno = EINVAL;
		if (find_group(group, text(record, i), &gid) < 0)
			fail(process, "find group");
		add_group(groups, &count, gid);
	}
	/* an explicit group replaces the memberships, as with podman and docker */
	add_group(groups, &count, account.gid);
	for (char *rest = group; !group_wanted && next_line(&rest, field);) {
		uint32_t gid;
		/* a numeric user has its group from add_account: the first start and later ones are alike */
		if (parse_id(account.name, &gid) < 0 && is_member(field[3], account.name) && parse_id(field[2], &gid) == 0)
			add_group(groups, &count, gid);
	}
	if (!process->keep_groups && setgroups(count, groups) < 0)
		fail(process, "setgroups");
	process->uid = account.uid;
	process->gid = account.gid;
	process->home = account.home;
	take_own_null(process);
	/* so that the user can reopen /dev/stdout and /dev/stderr (fixStdioPermissions in runc) */
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd)) && fchown(fd, account.uid, -1) < 0 &&
		    errno != EPERM && errno != EROFS && errno != EINVAL)
			fail(process, "fchown");
	}
}

/* The id outside of a user namespace, by the lines of its map; 0 and -1 when it is not mapped. */
static int outside(const char *map, uint32_t id, uint32_t *found)
{
	char *end;

	*found = id;
	if (!*map)
		return 0;
	/* not sscanf(3): a tenth of the program is what that would bring */
	for (; *map; map = end + strspn(end, "\n")) {
		unsigned long inside = strtoul(map, &end, 10), out = strtoul(end, &end, 10), count = strtoul(end, &end, 10);
		if (id >= inside && id - inside < count) {
			*found = out + (id - inside);
			return 0;
		}
		if (end == map)
			break;
	}
	return -1;
}

void give_to_user(struct process *process, const struct record *record)
{
	char *wanted = strdup(text(record, 1)), *group_wanted = wanted, *user_wanted;
	char *passwd = content_of(process, "/etc/passwd");
	struct account account;
	uint32_t uid, gid;

	if (!wanted)
		fail(process, "strdup");
	user_wanted = strsep(&group_wanted, ":");
	if (find_user(passwd, *user_wanted ? user_wanted : "0", &account) < 0)
		return; /* the operation `user` reports it */
	if (group_wanted) {
		char *group = content_of(process, "/etc/group");
		if (find_group(group, group_wanted, &account.gid) < 0)
			return;
		free(group);
	}
	if (outside(text(record, 3), account.uid, &uid) == 0 && outside(text(record, 4), account.gid, &gid) == 0)
		give(process, process->slots[number(record, 0) % process->plan->count], uid, gid, number(record, 2));
	free(passwd);
	free(wanted);
}

static void write_all(const struct process *process, int fd, const char *content, size_t size)
{
	if (RETRY(write(fd, content, size)) != (ssize_t)size)
		fail(process, "write");
}

/* Append lines to a file of the root. With a `directory` of the host the root's file stays unchanged, and the
 * container sees a copy from there. Anything but a regular file of a sane size, and any mount, is left alone. */
static void add_line(struct process *process, const char *path, const char *line, const char *directory)
{
	static int copies[2] = { -1, -1 };
	char copy[PATH_MAX], last = '\n';
	struct stat st;
	int *own = &copies[!strcmp(path, "/etc/group")];

	if (*own >= 0) { /* the copy of an earlier operation */
		write_all(process, *own, line, strlen(line));
		return;
	}
	int fd = open_on_root(process, path, (*directory ? O_RDONLY : O_RDWR | O_APPEND) | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES || errno == EXDEV ||
		       errno == EROFS || errno == EISDIR || errno == ENXIO))
		return;
	if (fd < 0)
		fail(process, "openat2");
	if (fstat(fd, &st) < 0)
		fail(process, "fstat");
	if (S_ISREG(st.st_mode) && st.st_size <= FILE_LIMIT) {
		char *content = content_of(process, path);
		size_t size = strlen(content);
		int out = fd;
		if (*directory) {
			snprintf(copy, sizeof copy, "%s%s", directory, strrchr(path, '/'));
			out = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
			if (out < 0)
				fail(process, "open");
			write_all(process, out, content, size);
		}
		if (size)
			last = content[size - 1];
		write_all(process, out, "\n", last != '\n');
		write_all(process, out, line, strlen(line));
		if (*directory) {
			*own = out;
			bind_file(process, copy, path);
		}
		free(content);
	}
	close(fd);
}

/* The pieces of a passwd entry, joined by the number of the group. */
static char *entry_of(const struct process *process, const struct record *record, uint32_t gid)
{
	size_t size = 2;

	for (uint32_t i = 2; i < record->count; i++)
		size += length(record, i) + 10; /* digits of 2^32 */
	char *entry = calloc(1, size), *end = entry;
	if (!entry)
		fail(process, "calloc");
	for (uint32_t i = 2; i < record->count; i++) {
		if (i > 2)
			end += sprintf(end, "%u", gid);
		end += sprintf(end, "%s", text(record, i));
	}
	*end = '\n';
	return entry;
}

void add_account(struct process *process, const struct record *record)
{
	char *wanted = strdup(text(record, 0)), *group_wanted = wanted, *passwd = content_of(process, "/etc/passwd");
	char *group = content_of(process, "/etc/group"), *user_wanted, line[1024];
	const char *directory = text(record, 1);
	struct account account;
	uint32_t id, gid = 0;

	if (!wanted)
		fail(process, "strdup");
	user_wanted = strsep(&group_wanted, ":");
	if (group_wanted && find_group(group, group_wanted, &gid) < 0)
		return; /* the operation `user` reports it */
	if (parse_id(user_wanted, &id) == 0 && find_user(passwd, user_wanted, &account) == 0 && !*account.name)
		add_line(process, "/etc/passwd", entry_of(process, record, gid), directory);
	if (!group_wanted)
		group_wanted = user_wanted;
	if (parse_id(group_wanted, &id) < 0 || has_group(group, id))
		return;
	if (snprintf(line, sizeof line, "%s:x:%s:%s\n", group_wanted, group_wanted, user_wanted) < (int)sizeof line)
		add_line(process, "/etc/group", line, directory);
}

void add_entries(struct process *process, const struct record *record)
{
	const char *path = text(record, 0);
	char *content = content_of(process, path), *lines;
	size_t size = 1;

	for (uint32_t i = 2; i < record->count; i++)
		size += length(record, i) + 1;
	lines = calloc(1, size);
	if (!lines)
		fail(process, "calloc");
	for (uint32_t i = 2; i < record->count; i++)
		if (!has_name_of(content, text(record, i)))
			strcat(strcat(lines, text(record, i)), "\n");
	if (*lines)
		add_line(process, path, lines, text(record, 1));
	free(lines);
	free(content);
}
