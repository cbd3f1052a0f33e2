#ifndef PYPOD_UNPACK_NAMES_H
#define PYPOD_UNPACK_NAMES_H

#include <stdbool.h>

/* Make a path relative to the root, without "", "." and "..", by its letters: as podman and umoci do it. */
void clean_path(char *path);
/* Whether a clean path is what AUFS kept beside its layers, and old images still have: `.wh..wh.plnk` and its like. A
 * whiteout on the way to something is refused. */
bool is_of_aufs(const char *path);
bool starts_with(const char *text, const char *prefix);

#endif
