#ifndef PYPOD_SUPERVISE_RECORD_H
#define PYPOD_SUPERVISE_RECORD_H

#include "supervise/supervised.h"

enum { EVENT_FILE, EVENT_START, EVENT_END, EVENT_REST }; /* arguments of `event` */

/* The first line of a status file without boot id and time; no supervisor is 0 0. */
struct recorded {
	pid_t pid, supervisor;
	uint64_t start_time, supervisor_start_time;
	bool initialized; /* it is not started yet */
	bool in_setup;    /* its program is not executed yet */
	unsigned restarts;
};

/* Write the status file `path` of a started process. Returns its descriptor, or -1 with errno. */
int record_start(const char *path, const char *boot_id, const struct recorded *it);

/* Record the exit: for `pypod events`, and in the status file; `again`: the process is about to be started again. */
void supervise_record_exit(struct supervised *it, int status, bool again);

/* Write the line for `pypod events` of a restart. */
void record_restart_event(const struct supervised *it);

/* The process runs: free the memory that only the start needed. The plan stays if it has hooks of poststop. */
void supervise_rest(struct supervised *it);
void supervise_run_last_hooks(struct supervised *it);

/* Open the plan's files for pids, before the process exists: it is not started if one cannot be written. */
void open_pid_files(struct supervised *it);
void withdraw_pid_files(const struct supervised *it);

/* Write the plan's status file and its files for pids, as far as it has them. Returns -1 with errno. */
int write_status(struct supervised *it);

/* The process has been set up. */
void record_setup_end(const struct supervised *it);

/* Write the time of the start of an initialized process into its status file. Returns -1 with errno. */
int record_started(struct supervised *it);

/* Remove the status file that write_status wrote, and no other. */
void withdraw_status(const struct supervised *it, const char *path);

/* Write the lines for `pypod events` of a start, and with ATTENDED one that says that its caller attached. */
void record_start_events(const struct supervised *it, bool attended);

#endif
