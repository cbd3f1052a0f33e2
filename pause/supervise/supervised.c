#define _GNU_SOURCE
#include "supervise/supervised.h"
#include "common/retry.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void die(uint32_t operation, const char *call)
{
	report_failure(REPORT_FD, operation, call, errno);
	_exit(125);
}

uint32_t position(const struct supervised *it, const struct record *record)
{
	return record - it->plan.records;
}

bool allow_start(int socket)
{
	if (RETRY(send(socket, "g", 1, MSG_NOSIGNAL)) == 1)
		return true;
	shutdown(socket, SHUT_WR);
	return false;
}
