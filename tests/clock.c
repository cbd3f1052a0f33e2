/* A wall clock that is set while a program runs: PYPOD_TEST_CLOCK names a file with the seconds to add, as an int64_t.
 * With PYPOD_TEST_CLOCK_RUNS each look at it finds it that much further than the one before. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t offset_s(void)
{
	int64_t offset = 0;
	const char *path = getenv("PYPOD_TEST_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		if (read(fd, &offset, sizeof offset) != sizeof offset)
			offset = 0;
		close(fd);
	}
	static int64_t looks;
	return getenv("PYPOD_TEST_CLOCK_RUNS") ? offset * ++looks : offset;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = syscall(SYS_clock_gettime, clock, now);

	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += offset_s();
	return result;
}

time_t time(time_t *where)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (where)
		*where = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &exact);
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}
