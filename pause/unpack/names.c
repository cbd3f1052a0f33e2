#define _GNU_SOURCE
#include "unpack/names.h"
#include "unpack/outcome.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

void clean_path(char *path)
{
	char *to = path;

	for (const char *from = path; *from; from += strspn(from, "/")) {
		size_t size = strcspn(from, "/");
		if (size == 2 && from[0] == '.' && from[1] == '.') {
			while (to > path && *--to != '/')
				;
		} else if (size > 0 && !(size == 1 && from[0] == '.')) {
			if (to > path)
				*to++ = '/';
			memmove(to, from, size);
			to += size;
		}
		from += size;
	}
	*to = '\0';
}

static bool is_component_of_aufs(const char *name)
{
	return starts_with(name, ".wh..wh.") && strcmp(name, ".wh..wh..opq") != 0;
}

bool is_of_aufs(const char *path)
{
	for (const char *name = path; *name;) {
		char component[NAME_MAX + 2];
		size_t size = strcspn(name, "/");
		snprintf(component, sizeof component, "%.*s", (int)size, name);
		if (is_component_of_aufs(component))
			return true;
		if (name[size] == '/' && starts_with(component, ".wh."))
			refuse("a whiteout is used as a directory");
		name += size + (name[size] == '/');
	}
	return false;
}
