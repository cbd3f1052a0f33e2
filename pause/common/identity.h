#ifndef PYPOD_COMMON_IDENTITY_H
#define PYPOD_COMMON_IDENTITY_H

#include <stdint.h>
#include <sys/types.h>

/* The identity of a process: its pid alone may be reused; with the start time it is unambiguous. */

/* Field 22 of /proc/PID/stat, or 0 with errno when the process does not exist or cannot be read. */
uint64_t start_time(pid_t pid);
/* A pidfd of the process with this start time, or -1 (ESRCH when the pid was reused). */
int open_process(pid_t pid, uint64_t start_time);
/* The pid of a pidfd's process in our pid namespace, or 0 with errno. */
pid_t process_number(int pidfd);

#endif
