#ifndef PYPOD_PROCESS_EXECUTE_H
#define PYPOD_PROCESS_EXECUTE_H

#include "common/plan.h"
#include "common/process.h"

#include <stdnoreturn.h>

/* Open a program of the host, for execute_file. */
int open_program(const struct process *process, const char *path);

/* Operations: the program's surroundings, and its start. */
void enter_working_directory(const struct process *process, const struct record *record);
void set_environment(struct process *process, const struct record *record);
void add_secret_variable(struct process *process, const struct record *record);
void await_start(struct process *process);
noreturn void execute(struct process *process, const struct record *record);
noreturn void execute_file(struct process *process, const struct record *record);

#endif
