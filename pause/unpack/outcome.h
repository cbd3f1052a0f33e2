#ifndef PYPOD_UNPACK_OUTCOME_H
#define PYPOD_UNPACK_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

/* Reports about a layer on the report descriptor: that it was unpacked, or why not. */

/* Attribute failures from now on to the entry with this path, which may change meanwhile; NULL: to none. */
void outcome_is_of(const char *path);
/* Exit, because the archive is malformed, or has something that is not allowed in a layer. */
_Noreturn void refuse(const char *reason);
/* Exit, because a call failed with errno. */
_Noreturn void broken(const char *call);
void report_made(uint64_t entries, uint64_t bytes, bool root_is_opaque);
/* After that: a remark about a path of the tree. */
void report_path(char what, const char *path);

#endif
