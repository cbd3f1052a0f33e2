#ifndef PYPOD_COMMON_RETRY_H
#define PYPOD_COMMON_RETRY_H

#include <errno.h>

/* Repeat the call while signals interrupt it. */
#define RETRY(call) ({ __typeof__(call) r_; do r_ = (call); while (r_ == -1 && errno == EINTR); r_; })

#endif
