/* Runs a command as root of a user's session: `pypod unshare`, and Python code that works on files owned by other ids.
 *
 *     PYPOD_SESSION=PID:START_TIME pypod-inside [--mounts] COMMAND...      --mounts: in the session's mount namespace
 *
 * With PYPOD_SESSION_NETWORK=PID:START_TIME in the environment it also runs in the network namespace of that process.
 */
#define _GNU_SOURCE
#include "common/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fail(const char *call, int status)
{
	dprintf(2, "pypod-inside: %s: %s\n", call, strerror(errno));
	return status;
}

int main(int argc, char **argv)
{
	int first = argc > 1 && strcmp(argv[1], "--mounts") == 0 ? 2 : 1;

	errno = EINVAL;
	if (first >= argc)
		return fail("arguments", 125);
	if (session_enter_environment() < 0 || session_enter_network() < 0)
		return fail("setns", 125);
	if (first == 2 && session_enter_mounts() < 0)
		return fail("the current directory in the session's mount namespace", 125);
	unsetenv("PYPOD_SESSION");
	execvp(argv[first], argv + first);
	return fail(argv[first], errno == ENOENT ? 127 : 126);
}
