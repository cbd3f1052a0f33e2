#define _GNU_SOURCE
#include "monitor/attach.h"
#include "common/identity.h"
#include "common/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static unsigned char buffers[CLIENTS][FRAME_HEADER + FRAME_LIMIT];

int listen_in(const char *directory, const char *name, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, name);
	/* a relative name: sun_path has room for only 108 bytes */
	if (chdir(directory) < 0)
		return -1;
	unlink(name);
	int listener = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 || bind(listener, (void *)&address, sizeof address) < 0 ||
	    fchmodat(AT_FDCWD, name, 0600, 0) < 0 || listen(listener, CLIENTS) < 0 || chdir("/") < 0)
		return -1;
	return listener;
}

int attach_listen(struct attach *attach, const char *directory)
{
	for (int i = 0; i < CLIENTS; i++)
		attach->clients[i] = (struct client){ .fd = -1, .buffer = buffers[i] };
	attach->blocked = attach->abandoned = false;
	attach->owner = -1;
	attach->listener = listen_in(directory, "attach", SOCK_STREAM);
	return attach->listener < 0 ? -1 : 0;
}

static void close_input(struct attach *attach)
{
	if (attach->input < 0 || attach->is_terminal)
		return;
	close(attach->input);
	attach->input = -1;
}

static void drop(struct attach *attach, struct client *client)
{
	close(client->fd);
	client->fd = -1;
	if (client->typed)
		close_input(attach);
}

/* When all places are taken, drop a client that has gone and whose input still waits for the container. */
static struct client *free_place(struct attach *attach)
{
	for (int i = 0; i < CLIENTS; i++)
		if (attach->clients[i].fd < 0)
			return &attach->clients[i];
	for (int i = 0; i < CLIENTS; i++) {
		struct pollfd gone = { .fd = attach->clients[i].fd };
		if (poll(&gone, 1, 0) == 1) {
			drop(attach, &attach->clients[i]);
			return &attach->clients[i];
		}
	}
	return NULL;
}

void attach_accept(struct attach *attach, uint64_t log_size)
{
	int fd = accept4(attach->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	unsigned char hello[9] = { 'H' };

	if (fd < 0)
		return;
	memcpy(hello + 1, &log_size, 8);
	struct client *client = free_place(attach);
	if (!client) {
		close(fd); /* the client sees EOF instead of a hello */
		return;
	}
	client->fd = fd;
	client->used = client->written = 0;
	client->typed = false;
	if (send(fd, hello, sizeof hello, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof hello)
		drop(attach, client);
}

/* Pass on one frame of input. Returns false when the container does not take more for now. */
static bool pass_input(struct attach *attach, struct client *client, uint16_t length)
{
	while (client->written < length && attach->input >= 0) {
		ssize_t written = RETRY(write(attach->input, client->buffer + FRAME_HEADER + client->written,
					      length - client->written));
		if (written < 0 && errno == EAGAIN) {
			attach->blocked = true;
			return false;
		}
		if (written < 0) { /* EPIPE: the container closed its standard input; drop the rest */
			close_input(attach);
			break;
		}
		client->written += written;
	}
	client->written = 0;
	return true;
}

static void resize(struct attach *attach, const unsigned char *body, uint16_t length)
{
	struct winsize size = { 0 };

	if (length != 4 || !attach->is_terminal || attach->input < 0)
		return;
	size.ws_row = body[0] | body[1] << 8;
	size.ws_col = body[2] | body[3] << 8;
	ioctl(attach->input, TIOCSWINSZ, &size);
}

/* The kernel says which process the client is, in our pid namespace; the start time rules out a reused pid. */
static void take_owner(struct attach *attach, const struct client *client, const unsigned char *body, uint16_t length)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;
	uint64_t started;

	if (length != sizeof started || getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid <= 0)
		return;
	memcpy(&started, body, sizeof started);
	int owner = open_process(peer.pid, started);
	attach->abandoned = owner < 0 && errno == ESRCH;
	if (owner < 0)
		return;
	if (attach->owner >= 0)
		close(attach->owner);
	attach->owner = owner;
}

/* Handle every complete frame in the buffer; false when one has to wait for the container. */
static bool handle_frames(struct attach *attach, struct client *client)
{
	while (client->used >= FRAME_HEADER) {
		unsigned char *body = client->buffer + FRAME_HEADER;
		uint16_t length = client->buffer[1] | client->buffer[2] << 8;

		if (length > FRAME_LIMIT) {
			drop(attach, client);
			return false;
		}
		if (client->used < FRAME_HEADER + length)
			break;
		client->typed = client->buffer[0] == 'I' || (client->typed && client->buffer[0] != 'D');
		if (client->buffer[0] == 'I' && !pass_input(attach, client, length))
			return false;
		if (client->buffer[0] == 'E')
			close_input(attach);
		if (client->buffer[0] == 'W')
			resize(attach, body, length);
		if (client->buffer[0] == 'O')
			take_owner(attach, client, body, length);
		client->used -= FRAME_HEADER + length;
		memmove(client->buffer, body + length, client->used);
	}
	return true;
}

void attach_read(struct attach *attach, struct client *client)
{
	ssize_t got = recv(client->fd, client->buffer + client->used, FRAME_HEADER + FRAME_LIMIT - client->used, MSG_DONTWAIT);

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
		drop(attach, client);
		return;
	}
	if (got > 0) {
		client->used += got;
		handle_frames(attach, client);
	}
}

void attach_input_ready(struct attach *attach)
{
	attach->blocked = false;
	for (int i = 0; i < CLIENTS && !attach->blocked; i++)
		if (attach->clients[i].fd >= 0)
			handle_frames(attach, &attach->clients[i]);
}

void attach_ring(struct attach *attach)
{
	for (int i = 0; i < CLIENTS; i++)
		if (attach->clients[i].fd >= 0) /* full: then a ring is already waiting for it */
			send(attach->clients[i].fd, "L", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}
