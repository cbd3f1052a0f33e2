#ifndef PYPOD_UNPACK_ATTRIBUTES_H
#define PYPOD_UNPACK_ATTRIBUTES_H

#include "unpack/records.h"
#include "unpack/unpacking.h"

/* Set a file's owner, mode, time and extended attributes from its entry. `new_with_mode`: it was created with the mode.
 * The default ACL of a directory is not set but returned: the record's value, or nothing. */
struct tar_record set_attributes(const struct unpacking *it, int fd, bool new_with_mode);
/* The same by name, for what cannot be opened; such entries have no extended attributes. */
void set_attributes_of_name(const struct unpacking *it, int parent, const char *name);

#endif
