#define _GNU_SOURCE
#include "unpack/outcome.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

enum { REPORT_FD = 4 };

static const char *path_at_hand;

void outcome_is_of(const char *path)
{
	path_at_hand = path;
}

static _Noreturn void fail(const char *kind, const char *reason, int error)
{
	dprintf(REPORT_FD, "%s%c%d%c%s%c%s", kind, 0, error, 0, reason, 0, path_at_hand ? path_at_hand : "");
	_exit(1);
}

void refuse(const char *reason)
{
	fail("refused", reason, 0);
}

/* Some failures are caused by names in the layer; the others by us or the disk. */
void broken(const char *call)
{
	switch (errno) {
	case ENAMETOOLONG:
		refuse("a name is too long");
	case ELOOP:
		refuse("a path leads through too many symbolic links");
	case ENOTDIR:
		refuse("a path leads through something that is no directory");
	case EFBIG:
		refuse("a file is larger than the file system allows");
	case EMLINK:
		refuse("a file has more links than the file system allows");
	default:
		fail("failed", call, errno);
	}
}

void report_made(uint64_t entries, uint64_t bytes, bool root_is_opaque)
{
	if (dprintf(REPORT_FD, "made%c%llu%c%llu%c%d%c", 0, (unsigned long long)entries, 0, (unsigned long long)bytes, 0,
		    root_is_opaque, 0) < 0)
		broken("write");
}

void report_path(char what, const char *path)
{
	if (dprintf(REPORT_FD, "%c%s%c", what, path, 0) < 0)
		broken("write");
}
