#ifndef PYPOD_UNPACK_NAMES_H
#define PYPOD_UNPACK_NAMES_H

#include <stdbool.h>

/* Make a path relative to the root, without "", "." and "..", purely lexically: as podman and umoci do. */
void clean_path(char *path);
/* Whether a clean path is one of AUFS's own files, which old images still have: `.wh..wh.plnk` and the like. A whiteout
 * used as a directory is refused. */
bool is_of_aufs(const char *path);
bool starts_with(const char *text, const char *prefix);

#endif
