#ifndef PYPOD_UNPACK_LAYER_H
#define PYPOD_UNPACK_LAYER_H

#include "unpack/unpacking.h"

/* Do what the entry at hand means: make a file, or delete what layers below have. */
void unpack_entry(struct unpacking *it);

#endif
