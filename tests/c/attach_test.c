/* attach.c: frames in pieces, random bytes, clients that flood or disconnect. */
#define _GNU_SOURCE
#include "monitor/attach.c"
#include "tap.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

static struct attach attach;

/* Connect a client; returns its end. */
static int connect_client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	getsockname(attach.listener, (void *)&address, &size);
	if (chdir(getenv("HOME")) < 0 || fd < 0 || connect(fd, (void *)&address, sizeof address) < 0)
		abort();
	attach_accept(&attach, 4711);
	return fd;
}

static void read_all(void)
{
	for (int i = 0; i < CLIENTS && !attach.blocked; i++)
		if (attach.clients[i].fd >= 0)
			attach_read(&attach, &attach.clients[i]);
}

static int connected(void)
{
	int count = 0;

	for (int i = 0; i < CLIENTS; i++)
		count += attach.clients[i].fd >= 0;
	return count;
}

/* A pipe takes a whole frame or nothing, a terminal also a part of one. */
static int open_input_of(bool is_terminal, int pipes[2])
{
	struct termios raw;

	if (!is_terminal && pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	if (is_terminal) {
		pipes[1] = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		if (pipes[1] < 0 || grantpt(pipes[1]) < 0 || unlockpt(pipes[1]) < 0)
			abort();
		pipes[0] = open(ptsname(pipes[1]), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
		if (pipes[0] < 0 || tcgetattr(pipes[0], &raw) < 0)
			abort();
		cfmakeraw(&raw);
		tcsetattr(pipes[0], TCSANOW, &raw);
	}
	attach.is_terminal = false;
	attach.blocked = false;
	return attach.input = pipes[1];
}

static int open_input(int pipes[2])
{
	return open_input_of(false, pipes);
}

static void leave(int fd)
{
	close(fd);
	for (int i = 0; i < 4; i++)
		read_all();
}

static void test_hello(void)
{
	unsigned char hello[10];
	int fds[CLIENTS + 1];

	for (int i = 0; i <= CLIENTS; i++)
		fds[i] = connect_client();
	ok(recv(fds[0], hello, sizeof hello, 0) == 9 && hello[0] == 'H' && hello[1] == (4711 & 0xff), "welcome, with the size");
	ok(recv(fds[CLIENTS], hello, sizeof hello, 0) == 0, "one too many sees an end before any hello");
	attach_ring(&attach);
	ok(recv(fds[1], hello, 9, 0) == 9 && recv(fds[1], hello, 9, 0) == 1 && hello[0] == 'L', "a ring");
	for (int i = 0; i < 100000; i++)
		attach_ring(&attach);
	ok(connected() == CLIENTS, "a client that does not listen holds up nobody");
	for (int i = 0; i <= CLIENTS; i++)
		leave(fds[i]);
	ok(connected() == 0, "who leaves makes room");
}

static void test_frames_in_pieces(void)
{
	static const unsigned char sent[] = { 'I', 5, 0, 'h', 'e', 'l', 'l', 'o', 'X', 2, 0, 1, 2, 'I', 0, 0, 'W', 1, 0, 9,
					      'I', 1, 0, '!', 'E', 0, 0 };
	size_t wrong = 0;

	for (size_t piece = 1; piece <= sizeof sent; piece++) {
		int pipes[2], fd = connect_client();
		char got[64];
		open_input(pipes);
		for (size_t at = 0; at < sizeof sent; at += piece) {
			size_t part = piece < sizeof sent - at ? piece : sizeof sent - at;
			if (write(fd, sent + at, part) != (ssize_t)part)
				abort();
			read_all();
		}
		ssize_t size = read(pipes[0], got, sizeof got);
		wrong += size != 6 || memcmp(got, "hello!", 6) || read(pipes[0], got, 1) != 0 || attach.input != -1;
		close(pipes[0]);
		leave(fd);
	}
	ok(wrong == 0, "frames in pieces of any size: input passed on, unknown ones skipped, input closed");
}

static void test_too_long(void)
{
	int pipes[2], fd = connect_client();
	unsigned char frame[] = { 'I', 0x01, 0x10 };

	open_input(pipes);
	if (write(fd, frame, 3) != 3)
		abort();
	read_all();
	ok(connected() == 0, "who sends a frame that is too long is shut out");
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}

/* The container does not read: nothing is lost or mixed up, and a client may disconnect meanwhile. */
static void test_blocked(bool is_terminal)
{
	enum { SIZE = 400000 };
	int pipes[2], fd = connect_client(), other = connect_client();
	static unsigned char got[SIZE + 4096];
	size_t received = 0, wrong = 0;

	open_input_of(is_terminal, pipes);
	if (fork() == 0) { /* sends as fast as it can, and exits */
		for (uint32_t at = 0; at < SIZE; at += 4000) {
			unsigned char frame[4003] = { 'I', 4000 & 0xff, 4000 >> 8 };
			for (uint32_t i = 0; i < 4000; i += 4)
				memcpy(frame + 3 + i, &(uint32_t){ at + i }, 4);
			for (size_t sent = 0; sent < sizeof frame;) {
				ssize_t part = write(fd, frame + sent, sizeof frame - sent);
				if (part <= 0)
					_exit(1);
				sent += part;
			}
		}
		_exit(write(fd, "D\0", 3) != 3);
	}
	close(fd);
	for (int idle = 0; idle < 200 && received < SIZE;) {
		struct pollfd input = { .fd = attach.input, .events = POLLOUT };
		if (attach.blocked && poll(&input, 1, 0) == 1)
			attach_input_ready(&attach);
		read_all();
		if (random_number() % 4 == 0 || attach.blocked) { /* the container reads now and then */
			ssize_t part = read(pipes[0], got + received, random_number() % 4096 + 1);
			received += part > 0 ? part : 0;
			idle = part > 0 ? 0 : idle + 1;
		}
		if (idle)
			usleep(1000);
	}
	wait(NULL);
	for (uint32_t at = 0; at + 4 <= received; at += 4)
		wrong += memcmp(got + at, &at, 4) != 0;
	ok(received == SIZE && wrong == 0, "%zu of %d bytes in order (%zu wrong)", received, SIZE, wrong);
	for (int i = 0; i < 4; i++)
		read_all();
	ok(connected() == 1, "who left is gone when its input is through");
	leave(other);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_who_left_while_blocked_makes_room_in_need(void)
{
	int pipes[2], fds[CLIENTS];
	unsigned char frame[4003] = { 'I', 4000 & 0xff, 4000 >> 8 };

	for (int i = 0; i < CLIENTS; i++)
		fds[i] = connect_client();
	open_input(pipes);
	for (int i = 0; i < 40 && !attach.blocked; i++) {
		if (write(fds[0], frame, sizeof frame) < 0)
			break;
		read_all();
	}
	ok(attach.blocked, "the input is full");
	close(fds[0]);
	unsigned char hello[9];
	int late = connect_client();
	ok(recv(late, hello, 9, 0) == 9, "a new client gets the place of one that has gone");
	attach_input_ready(&attach);
	ok(!attach.blocked && connected() == CLIENTS, "and nobody waits for what went with it");
	close(pipes[0]);
	close_input(&attach);
	for (int i = 1; i < CLIENTS; i++)
		leave(fds[i]);
	leave(late);
}

static void test_random_bytes(void)
{
	static unsigned char bytes[8192];
	static const char types[] = "IIIEWX";

	for (int run = 0; run < 2000; run++) {
		int pipes[2], fd = connect_client();
		char got[4096];
		size_t size = random_number() % sizeof bytes;
		open_input(pipes);
		for (size_t i = 0; i < size; i++)
			bytes[i] = random_number();
		for (size_t i = 0; run % 2 && i + 2 < size; i += random_number() % 300 + 3) {
			bytes[i] = types[random_number() % 6];
			bytes[i + 1] = random_number();
			bytes[i + 2] = random_number() % 17;
		}
		attach.is_terminal = run % 3 == 0;
		for (size_t at = 0; at < size;) {
			ssize_t part = send(fd, bytes + at, random_number() % 1000 % (size - at) + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (part < 0)
				break;
			at += part;
			read_all();
			while (read(pipes[0], got, sizeof got) > 0)
				;
			if (attach.blocked)
				attach_input_ready(&attach);
		}
		attach.is_terminal = false;
		attach.blocked = false;
		leave(fd);
		close_input(&attach);
		close(pipes[0]);
	}
	ok(connected() == 0, "random bytes");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (attach_listen(&attach, getenv("HOME")) < 0)
		abort();
	ok(access("attach", F_OK) < 0, "the working directory is / again");
	test_hello();
	test_frames_in_pieces();
	test_too_long();
	test_blocked(false);
	test_blocked(true);
	test_who_left_while_blocked_makes_room_in_need();
	test_random_bytes();
	return done();
}
