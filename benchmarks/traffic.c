/* Both ends of TCP connections, two at a time: in alternating turns, so that the machine's noise affects both.
 *
 *     traffic serve PORT                 prints "ready" when it is listening; runs until killed
 *     traffic send COUNT WAY WAY         times how long a block takes to reach the other end, for both by turns
 *     traffic ask COUNT WAY WAY          times how long a byte takes to come back, for both by turns
 *
 * WAY is the path of a network namespace, an address and a port. Each turn prints a line with both times in us: of one
 * block, or of BYTES_OF_TURN bytes one after the other.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 17, BLOCK = 1 << 24, BYTES_OF_TURN = 20 };

static char piece[PIECE];

#define MUST(call) ({ __typeof__(call) must_ = (call); if (must_ < 0) { perror(#call); exit(1); } must_; })

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int at_once(int fd)
{
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)));
	return fd;
}

/* Echo each 'a'; acknowledge each block of anything else with one byte. */
static void answer(int fd)
{
	size_t came = 0;

	for (ssize_t got; (got = read(fd, piece, PIECE)) > 0; came += got)
		if (piece[0] == 'a' || (came + got) / BLOCK > came / BLOCK)
			MUST(write(fd, piece, 1));
	close(fd);
}

static void serve(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = MUST(socket(AF_INET, SOCK_STREAM, 0));

	MUST(bind(listener, (void *)&address, sizeof address));
	MUST(listen(listener, 8));
	puts("ready");
	fflush(stdout);
	for (;;)
		answer(at_once(MUST(accept(listener, NULL, NULL))));
}

static int connected(char **way)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(way[2])) };
	int namespace = MUST(open(way[0], O_RDONLY | O_CLOEXEC));

	if (inet_pton(AF_INET, way[1], &address.sin_addr) != 1)
		exit(2);
	MUST(setns(namespace, CLONE_NEWNET));
	int fd = at_once(MUST(socket(AF_INET, SOCK_STREAM, 0)));
	MUST(connect(fd, (void *)&address, sizeof address));
	return fd;
}

static void heard(int fd)
{
	if (MUST(read(fd, &(char){ 0 }, 1)) == 0)
		exit(1);
}

static double sent(int fd)
{
	double start = now_us();

	for (size_t gone = 0; gone < BLOCK;)
		gone += MUST(write(fd, piece, PIECE < BLOCK - gone ? PIECE : BLOCK - gone));
	heard(fd);
	return now_us() - start;
}

static double asked(int fd)
{
	double start = now_us();

	for (int i = 0; i < BYTES_OF_TURN; i++) {
		MUST(write(fd, "a", 1));
		heard(fd);
	}
	return now_us() - start;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (argc != 9)
		return 2;
	double (*turn)(int) = !strcmp(argv[1], "ask") ? asked : sent;
	int ways[] = { connected(argv + 3), connected(argv + 6) };
	for (long left = atol(argv[2]); left > 0; left--) {
		double times[2];
		for (int i = 0; i < 2; i++) {
			int which = (i + left) % 2; /* the order alternates, too */
			times[which] = turn(ways[which]);
		}
		printf("%.1f %.1f\n", times[0], times[1]);
	}
	return 0;
}
