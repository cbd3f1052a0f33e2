#ifndef PYPOD_SUPERVISE_MAPS_H
#define PYPOD_SUPERVISE_MAPS_H

#include "supervise/supervised.h"

/* Map the ids of the process's user namespace as in the plan. Does not return on failure. */
void make_maps(struct supervised *it);

#endif
