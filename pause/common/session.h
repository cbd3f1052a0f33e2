#ifndef PYPOD_COMMON_SESSION_H
#define PYPOD_COMMON_SESSION_H

#include <stdint.h>
#include <sys/types.h>

/* Go on in the user namespace of a process, as its root: what a user owns is root's there. 0, or -1 with errno. */
int session_enter(pid_t pid, uint64_t start_time);

/* The same for programs without a plan: the environment has PYPOD_COMMON_SESSION=PID:START_TIME. Without it nothing is done. */
int session_enter_environment(void);

/* Go on in the mount namespace of the session, once in its user namespace, and in the same directory: a command that is
 * run in another one than the user meant does harm. What is mounted there others find, too. */
int session_enter_mounts(void);

/* Go on in a network namespace of the session's: PYPOD_COMMON_SESSION_NETWORK=PID:START_TIME. Without it nothing is done. */
int session_enter_network(void);

#endif
