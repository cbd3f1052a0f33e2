#ifndef PYPOD_COMMON_SESSION_H
#define PYPOD_COMMON_SESSION_H

#include <stdint.h>
#include <sys/types.h>

/* Continue in the user namespace of a process, as its root: a user's files are root's there. 0, or -1 with errno. */
int session_enter(pid_t pid, uint64_t start_time);

/* The same for programs without a plan, from PYPOD_SESSION=PID:START_TIME. Does nothing without the variable. */
int session_enter_environment(void);

/* Continue in the mount namespace of the session, once in its user namespace, and keep the current directory: a command
 * run in another directory than the user meant does harm. What it mounts there is visible to others. */
int session_enter_mounts(void);

/* Continue in the network namespace of PYPOD_SESSION_NETWORK=PID:START_TIME. Does nothing without it. */
int session_enter_network(void);

#endif
