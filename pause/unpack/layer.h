#ifndef PYPOD_UNPACK_LAYER_H
#define PYPOD_UNPACK_LAYER_H

#include "unpack/unpacking.h"

/* Apply the current entry: create a file, or hide one of the layers below. */
void unpack_entry(struct unpacking *it);

#endif
