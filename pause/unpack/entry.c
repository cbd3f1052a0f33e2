#define _GNU_SOURCE
#include "unpack/entry.h"
#include "unpack/outcome.h"

#include <string.h>

void set_name(char target[PATH_MAX], const char *value, size_t size)
{
	if (size >= PATH_MAX)
		refuse("a name is too long");
	if (memchr(value, '\0', size))
		refuse("a name has a NUL in it");
	memcpy(target, value, size);
	target[size] = '\0';
}
