/* Both ends of a TCP connection: how long do bytes take, and how long a question with its answer?
 *
 *     traffic serve PORT                    says "ready" when it can be asked; to be killed
 *     traffic send ADDRESS PORT MEGABYTES   milliseconds until the other end has all of it
 *     traffic ask ADDRESS PORT COUNT        microseconds from a byte to its echo: the median
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 17, PIECES_OF_MEGABYTE = (1 << 20) / PIECE };

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

/* Who is asked gives each byte back; who is sent something, one byte when it has all. The first byte tells. */
static void answer(int fd)
{
	ssize_t got = read(fd, piece, PIECE);
	char kind = piece[0];

	for (; got > 0; got = read(fd, piece, PIECE))
		if (kind == 'a')
			MUST(write(fd, piece, 1));
	if (kind == 's')
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

static double send_all(int fd, long megabytes)
{
	double start = now_us();

	memset(piece, 's', PIECE);
	for (long i = 0; i < megabytes * PIECES_OF_MEGABYTE; i++)
		for (ssize_t sent = 0; sent < PIECE;)
			sent += MUST(write(fd, piece + sent, PIECE - sent));
	MUST(shutdown(fd, SHUT_WR));
	MUST(read(fd, piece, 1));
	return (now_us() - start) / 1000;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double ask(int fd, long count)
{
	double *times = calloc(count, sizeof *times);

	for (long i = 0; i < count; i++) {
		double start = now_us();
		MUST(write(fd, "a", 1));
		if (MUST(read(fd, piece, 1)) == 0)
			exit(1);
		times[i] = now_us() - start;
	}
	qsort(times, count, sizeof *times, compare);
	return times[count / 2];
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]));
	if (argc != 5 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		return 2;
	address.sin_port = htons(atoi(argv[3]));
	int fd = at_once(MUST(socket(AF_INET, SOCK_STREAM, 0)));
	MUST(connect(fd, (void *)&address, sizeof address));
	printf("%.3f\n", !strcmp(argv[1], "ask") ? ask(fd, atol(argv[4])) : send_all(fd, atol(argv[4])));
	return 0;
}
