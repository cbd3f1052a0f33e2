#ifndef PYPOD_UNPACK_HEADER_H
#define PYPOD_UNPACK_HEADER_H

#include "unpack/stream.h"

enum { OLD_GNU_EXTENTS = 4, OLD_GNU_MORE_EXTENTS = 21 };

/* A header as it is stored in the archive. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[8]; /* POSIX: "ustar\0" "00"; GNU: "ustar  \0" */
	char user[32], group[32], major[8], minor[8];
	union {
		char prefix[155];
		struct {
			char prefix[131], atime[12], ctime[12];
		} star;
		struct {
			char atime[12], ctime[12], offset[12], long_names[4], unused, extents[OLD_GNU_EXTENTS][24], more, size[12];
		} gnu;
	};
	char padding[8];
	char star_magic[4];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

#endif
