#ifndef PYPOD_UNPACK_UNPACKING_H
#define PYPOD_UNPACK_UNPACKING_H

#include "unpack/entry.h"

#include <stdbool.h>
#include <stdint.h>

/* A layer that is being unpacked into the current directory. */
struct unpacking {
	struct tar_entry entry;      /* at hand; its paths are relative to the root and clean */
	uint64_t bytes, bytes_limit; /* of files, holes included */
	bool in_user_namespace;      /* where nobody can make devices */
	bool one_id;                 /* and there is one id, which owns all */
	bool sockets_stand_in;       /* for whiteouts */
};

#endif
