#ifndef PYPOD_PROCESS_TERMINAL_H
#define PYPOD_PROCESS_TERMINAL_H

#include "common/process.h"

#include <stdbool.h>

/* Open a terminal, pass its master to the supervisor, and make the slave 0, 1 and 2. */
void open_terminal(struct process *process, bool bind_console);

#endif
