#define _GNU_SOURCE
#include "common/lines.h"

#include <stdlib.h>
#include <string.h>

long number_after(char *text, const char *key, long absent)
{
	size_t length = strlen(key);

	for (char *line; (line = strsep(&text, "\n"));)
		if (strncmp(line, key, length) == 0)
			return strtoll(line + length, NULL, 10);
	return absent;
}
