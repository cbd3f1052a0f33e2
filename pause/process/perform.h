#ifndef PYPOD_PROCESS_PERFORM_H
#define PYPOD_PROCESS_PERFORM_H

#include "common/process.h"

#include <stdnoreturn.h>

/* Perform the records after `process->at`; ends with exec or with a report of failure. */
noreturn void perform(struct process *process);

#endif
