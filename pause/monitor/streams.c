/* The standard streams of a container without a terminal. */
#define _GNU_SOURCE
#include "monitor/streams.h"
#include "common/ops.h"

#include <fcntl.h>
#include <unistd.h>

const char *streams_open(const struct plan *plan, int streams[STREAMS], int *input, int standard[3])
{
	int pair[2];

	standard[0] = standard[1] = standard[2] = -1;
	streams[OUT] = streams[ERR] = *input = -1;
	if (plan_find(plan, OP_terminal))
		return NULL;
	for (int stream = 0; stream < STREAMS; stream++) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			return "pipe2";
		streams[stream] = pair[0];
		standard[stream + 1] = pair[1];
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
	}
	if (!plan_find(plan, OP_standard_input))
		return NULL;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return "pipe2";
	standard[0] = pair[0];
	*input = pair[1];
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	return NULL;
}
