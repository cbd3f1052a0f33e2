/* Users and groups by the container's own /etc/passwd and /etc/group, read after the root changed. The files are an
 * image's: they may be a FIFO, a gigabyte or nonsense. Nothing of the host's name service is asked. */
#define _GNU_SOURCE
#include "ops.h"
#include "perform.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT (1 << 20)
#define GROUP_LIMIT 256
#define FIELDS 7

/* The file's text, or an empty one when there is none or it is not a regular file of a sane size. Any other failure is
 * one: it must not make a user without groups. */
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

/* A plain decimal id: no sign, no space, below 2^32 - 1 (which means "no change" to setresuid). */
static int parse_id(const char *word, uint32_t *id)
{
	uint64_t value = 0;

	if (!*word)
		return -1;
	for (; *word; word++) {
		if (*word < '0' || *word > '9' || (value = value * 10 + (*word - '0')) >= UINT32_MAX)
			return -1;
	}
	*id = value;
	return 0;
}

/* Cut the next line off *text into its fields; 0 at the end. Missing fields are empty. */
static int next_line(char **text, char *fields[FIELDS])
{
	char *line = strsep(text, "\n");

	if (!line)
		return 0;
	for (int i = 0; i < FIELDS; i++) {
		char *field = line ? strsep(&line, ":") : NULL;
		fields[i] = field ? field : "";
	}
	return 1;
}

struct account {
	uint32_t uid, gid;
	const char *name, *home;
};

/* passwd(5): name:password:uid:gid:gecos:home:shell. A number is never taken for a name: an image could call its root
 * "1001". */
static int find_user(char *passwd, const char *wanted, struct account *account)
{
	uint32_t id, wanted_id = 0;
	int by_number = parse_id(wanted, &wanted_id) == 0;
	char *field[FIELDS];

	while (next_line(&passwd, field)) {
		if (parse_id(field[2], &id) < 0 || !*field[0])
			continue;
		if (by_number ? id == wanted_id : !strcmp(field[0], wanted)) {
			account->uid = id;
			account->name = field[0];
			account->home = *field[5] ? field[5] : "/";
			if (parse_id(field[3], &account->gid) < 0)
				account->gid = 0;
			return 0;
		}
	}
	if (!by_number)
		return -1;
	*account = (struct account){ .uid = wanted_id, .gid = 0, .name = "", .home = "/" };
	return 0;
}

/* group(5): name:password:gid:members. */
static int find_group(const char *text, const char *wanted, uint32_t *gid)
{
	char *copy = strdup(text), *rest = copy, *field[FIELDS];
	int found = parse_id(wanted, gid);

	while (copy && found < 0 && next_line(&rest, field))
		if (!strcmp(field[0], wanted) && parse_id(field[2], gid) == 0)
			found = 0;
	free(copy);
	return found;
}

static int is_member(char *members, const char *name)
{
	for (char *member; (member = strsep(&members, ","));)
		if (*name && !strcmp(member, name))
			return 1;
	return 0;
}

static void add_group(gid_t *groups, int *count, gid_t gid)
{
	for (int i = 0; i < *count; i++)
		if (groups[i] == gid)
			return;
	if (*count < GROUP_LIMIT)
		groups[(*count)++] = gid;
}

/* What was opened as /dev/null on the host would let the container's root change the mode of the host's. */
static void take_own_null(struct process *process)
{
	struct stat st;
	int null = -1;

	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &st) < 0 || !is_null(&st))
			continue;
		if (null < 0)
			null = open_inside(process, "/dev/null", O_RDWR | O_NONBLOCK | O_NOCTTY);
		if (null < 0 || fstat(null, &st) < 0 || !is_null(&st)) { /* the container removed its own: as empty as that */
			close(null);
			null = memfd_create("null", MFD_CLOEXEC);
		}
		if (null < 0 || dup2(null, fd) < 0)
			fail(process, "dup2");
	}
	if (null >= 0)
		close(null);
}

void user_operation(struct process *process, const struct record *record)
{
	char *wanted = strdup(text(record, 0)), *passwd = content_of(process, "/etc/passwd");
	char *group = content_of(process, "/etc/group");
	char *group_wanted = wanted, *user_wanted;
	gid_t groups[GROUP_LIMIT];
	int count = 0;
	struct account account;
	char *field[FIELDS];

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
		if (is_member(field[3], account.name) && parse_id(field[2], &gid) == 0)
			add_group(groups, &count, gid);
	}
	if (setgroups(count, groups) < 0)
		fail(process, "setgroups");
	process->uid = account.uid;
	process->gid = account.gid;
	process->home = account.home;
	take_own_null(process);
	/* so that the user can open /dev/stdout and /dev/stderr anew (what runc calls fixStdioPermissions) */
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd)) && fchown(fd, account.uid, -1) < 0 &&
		    errno != EPERM && errno != EROFS && errno != EINVAL)
			fail(process, "fchown");
	}
}
