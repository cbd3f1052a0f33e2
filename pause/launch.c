/* The launcher: performs a plan for a process that needs no monitor (exec in a container, the infra of a pod), waits
 * for the process and reports its exit, unless the plan says to leave. A plan that creates no process starts a
 * sidecar for a running one, or changes the host's network. */
#define _GNU_SOURCE
#include "common/ops.h"
#include "supervise/begin.h"
#include "supervise/host.h"
#include "supervise/record.h"
#include "supervise/start.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static struct supervised it;
	static const int as_they_are[3] = { -1, -1, -1 };
	struct report report = { .kind = REPORT_EXITED };

	supervise_begin(&it, argc, argv);
	const struct record *joined = plan_find(&it.plan, OP_join);
	if (!plan_find(&it.plan, OP_clone)) {
		if (joined)
			supervise_sidecar(&it, joined);
		else
			supervise_nobody(&it);
		return 0;
	}
	supervise_start(&it, as_they_are, NULL);
	/* a user's program as the infra must not inherit the host's sockets: we stay and hold them until it ends */
	if (it.leave && (!it.held.count || hold_is_handed_on(&it.plan)))
		return 0;
	/* the other end of a pipe must see EOF when the process is gone, not when we are */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (it.terminal >= 0)
		close(it.terminal);
	while (waitpid(it.pid, &report.status, 0) < 0 && errno == EINTR)
		;
	supervise_record_exit(&it, report.status, false);
	report_send(REPORT_FD, &report, -1);
	return 0;
}
