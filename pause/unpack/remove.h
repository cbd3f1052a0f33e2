#ifndef PYPOD_UNPACK_REMOVE_H
#define PYPOD_UNPACK_REMOVE_H

/* Delete whatever has this name. */
void remove_tree(int parent, const char *name);

#endif
