#define _GNU_SOURCE
#include "process/passwd.h"

#include <stdlib.h>
#include <string.h>

int parse_id(const char *word, uint32_t *id)
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

int next_line(char **text, char *fields[PASSWD_FIELDS])
{
	char *line = strsep(text, "\n");

	if (!line)
		return 0;
	for (int i = 0; i < PASSWD_FIELDS; i++) {
		char *field = line ? strsep(&line, ":") : NULL;
		fields[i] = field ? field : "";
	}
	return 1;
}

/* passwd(5): name:password:uid:gid:gecos:home:shell. A number is never looked up as a name: an image could name its
 * root "1001". */
int find_user(char *passwd, const char *wanted, struct account *account)
{
	uint32_t id, wanted_id = 0;
	int by_number = parse_id(wanted, &wanted_id) == 0;
	char *field[PASSWD_FIELDS];

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
int find_group(const char *text, const char *wanted, uint32_t *gid)
{
	char *copy = strdup(text), *rest = copy, *field[PASSWD_FIELDS];
	int found = parse_id(wanted, gid);

	while (copy && found < 0 && next_line(&rest, field))
		if (!strcmp(field[0], wanted) && parse_id(field[2], gid) == 0)
			found = 0;
	free(copy);
	return found;
}

int has_group(const char *text, uint32_t gid)
{
	char *copy = strdup(text), *rest = copy, *field[PASSWD_FIELDS];
	uint32_t id;
	int found = 0;

	while (copy && !found && next_line(&rest, field))
		found = *field[0] && parse_id(field[2], &id) == 0 && id == gid;
	free(copy);
	return found;
}

int has_name_of(const char *text, const char *line)
{
	size_t length = strcspn(line, ":");

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		if (strcspn(text, ":\n") == length && !strncmp(text, line, length))
			return 1;
	return 0;
}

int is_member(char *members, const char *name)
{
	for (char *member; (member = strsep(&members, ","));)
		if (*name && !strcmp(member, name))
			return 1;
	return 0;
}

void add_group(gid_t groups[GROUP_LIMIT], int *count, gid_t gid)
{
	for (int i = 0; i < *count; i++)
		if (groups[i] == gid)
			return;
	if (*count < GROUP_LIMIT)
		groups[(*count)++] = gid;
}
