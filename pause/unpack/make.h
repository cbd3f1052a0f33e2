#ifndef PYPOD_UNPACK_MAKE_H
#define PYPOD_UNPACK_MAKE_H

#include "unpack/unpacking.h"

/* Create what the current entry describes, with this name in a directory. */
void make(struct unpacking *it, int parent, const char *name);
/* The same when the entry is the root of the tree. */
void make_root(const struct unpacking *it);

#endif
