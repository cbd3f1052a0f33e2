#ifndef PYPOD_UNPACK_UNPACKING_H
#define PYPOD_UNPACK_UNPACKING_H

#include "unpack/entry.h"

#include <stdbool.h>
#include <stdint.h>

/* A layer being unpacked into the current directory. */
struct unpacking {
	struct tar_entry entry;      /* the current one; its paths are relative to the root and clean */
	uint64_t bytes, bytes_limit; /* of files, holes included */
	bool in_user_namespace;      /* device nodes cannot be created */
	bool one_id;                 /* the namespace has a single id, which owns everything */
	bool sockets_stand_in;       /* sockets are used as whiteouts */
	bool plain;                  /* not a layer: no name is a whiteout, and the directory has content already */
};

#endif
