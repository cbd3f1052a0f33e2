#ifndef PYPOD_SUPERVISE_MAPS_H
#define PYPOD_SUPERVISE_MAPS_H

#include "supervise/supervised.h"

/* Map the ids of the process's user namespace as the plan says. Does not return when that failed. */
void make_maps(struct supervised *it);

#endif
