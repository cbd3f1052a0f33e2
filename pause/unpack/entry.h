#ifndef PYPOD_UNPACK_ENTRY_H
#define PYPOD_UNPACK_ENTRY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum tar_type {
	TAR_FILE = '0',
	TAR_HARD_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHARACTER_DEVICE = '3',
	TAR_BLOCK_DEVICE = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
};

struct tar_extent {
	uint64_t offset, length;
};

/* An entry of an archive of any format. */
struct tar_entry {
	enum tar_type type;
	char path[PATH_MAX]; /* as in the archive; never contains a NUL */
	char link[PATH_MAX];
	uint64_t size; /* of the unpacked file: for a sparse file larger than its data */
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	uint32_t major, minor;
	struct timespec mtime;
	/* Where the data of a sparse file go: ascending, within size, in total as long as the data. */
	bool sparse;
	struct tar_extent *extents;
	size_t extent_count;
	const char *records; /* of the pax header, for tar_record */
	size_t records_size;
};

/* Set the path or the link. */
void set_name(char target[PATH_MAX], const char *value, size_t size);

#endif
