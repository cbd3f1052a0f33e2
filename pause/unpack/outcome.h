#ifndef PYPOD_UNPACK_OUTCOME_H
#define PYPOD_UNPACK_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

/* What is said of a layer on the descriptor of the report: that it was made, or why it was not. */

/* What goes wrong from now on does so in the entry of this path, which may change meanwhile; NULL: in none. */
void outcome_is_of(const char *path);
/* End, because the archive is none, or means what no layer may. */
_Noreturn void refuse(const char *reason);
/* End, because a call failed with errno. */
_Noreturn void broken(const char *call);
void report_made(uint64_t entries, uint64_t bytes, bool root_is_opaque);
/* After that: a word about a path of the tree. */
void report_path(char what, const char *path);

#endif
