#ifndef PYPOD_UNPACK_MAKE_H
#define PYPOD_UNPACK_MAKE_H

#include "unpack/unpacking.h"

/* Make what the entry at hand describes, with this name in a directory. */
void make(struct unpacking *it, int parent, const char *name);
/* The same where it is the root of the tree. */
void make_root(const struct unpacking *it);

#endif
