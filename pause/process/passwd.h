#ifndef PYPOD_PROCESS_PASSWD_H
#define PYPOD_PROCESS_PASSWD_H

#include <stdint.h>
#include <sys/types.h>

/* The lines of passwd and group files. They come from an image and may be malformed. */
enum { PASSWD_FIELDS = 7, GROUP_LIMIT = 256 };

struct account {
	uint32_t uid, gid;
	const char *name, *home;
};

/* A plain decimal id: no sign, no space, below 2^32 - 1 (which means "no change" to setresuid). */
int parse_id(const char *word, uint32_t *id);
/* Cut the next line off *text into its fields; 0 at the end. Missing fields are empty. */
int next_line(char **text, char *fields[PASSWD_FIELDS]);
/* Look up a name or an id in the text of a passwd file, which is cut into pieces; -1 for an unknown name. */
int find_user(char *passwd, const char *wanted, struct account *account);
/* The same in the text of a group file, which is left unchanged. */
int find_group(const char *text, const char *wanted, uint32_t *gid);
int has_group(const char *text, uint32_t gid);
/* Whether a line of either file begins with the same name as `line`. */
int has_name_of(const char *text, const char *line);
/* Whether `name` is in a list of names, which is cut into pieces. */
int is_member(char *members, const char *name);
/* Add to a list without duplicates; ignored when it is full. */
void add_group(gid_t groups[GROUP_LIMIT], int *count, gid_t gid);

#endif
