#ifndef PYPOD_COMMON_IDENTITY_H
#define PYPOD_COMMON_IDENTITY_H

#include <stdint.h>
#include <sys/types.h>

/* Who a process is: its number alone may be given to another; with the time of its start it cannot be mistaken. */

/* Field 22 of /proc/PID/stat, or 0 with errno when there is no such process or it cannot be read. */
uint64_t start_time(pid_t pid);
/* A descriptor of the process that had this start time, or -1 (ESRCH when the number was given to another). */
int open_process(pid_t pid, uint64_t start_time);
/* The number that the process of a descriptor has in our pid namespace, or 0 with errno. */
pid_t process_number(int pidfd);

#endif
