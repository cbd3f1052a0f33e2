#ifndef PYPOD_UNPACK_TAR_H
#define PYPOD_UNPACK_TAR_H

#include "unpack/entry.h"

/* Reads tar archives: v7, ustar, star, pax and GNU (pax(1); "Basic Tar Format" in GNU tar's manual). Where readers
 * differ, this follows Go's archive/tar, with which podman and docker read layers. */

/* The next entry of the stream, or false at the end of the archive. Unread data of the previous entry is skipped. */
bool tar_next(struct tar_entry *entry);

#endif
