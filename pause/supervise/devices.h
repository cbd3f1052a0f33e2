#ifndef PYPOD_SUPERVISE_DEVICES_H
#define PYPOD_SUPERVISE_DEVICES_H

#include "supervise/supervised.h"

/* Attach the plan's filter of device accesses, if it has one, to its cgroup. Does not return on failure. */
void attach_device_filter(struct supervised *it);

#endif
