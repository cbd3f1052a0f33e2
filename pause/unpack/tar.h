#ifndef PYPOD_UNPACK_TAR_H
#define PYPOD_UNPACK_TAR_H

#include "unpack/entry.h"

/* Reads tar archives: v7, ustar, star, pax and GNU (pax(1); "Basic Tar Format" of GNU tar's manual). Where readers differ,
 * Go's archive/tar is followed, which is what podman and docker read layers with. */

/* The next entry of the stream, or false at the end of the archive. What is left of the data of the one before is skipped. */
bool tar_next(struct tar_entry *entry);

#endif
