#ifndef PYPOD_MONITOR_ATTACH_H
#define PYPOD_MONITOR_ATTACH_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* Clients of a container's terminal and standard input. The container's output goes to the log, where clients read it:
 * the socket only rings when there is more. So a client that stops reading delays nobody, loses nothing, and costs the
 * monitor no memory.
 *
 * monitor to client: 'H' and the log's size as u64 on connection; 'L' when the log has grown.
 * client to monitor: frames of type, u16 length, bytes. 'I' input, 'E' no more input, 'W' u16 rows u16 columns, 'D' the
 * client detaches and the input stays open, 'O' the container must not outlive the client's process, whose start time
 * is the body (u64). */
enum { CLIENTS = 8, FRAME_LIMIT = 4096, FRAME_HEADER = 3 };

struct client {
	int fd; /* -1: free */
	uint16_t used, written; /* bytes in buffer; bytes of input already passed on */
	bool typed; /* it sent input: if it goes without a 'D', the input has ended (as in conmon) */
	unsigned char *buffer; /* FRAME_HEADER + FRAME_LIMIT bytes, separate: untouched pages cost nothing */
};

struct attach {
	int listener;
	int input;      /* the container's standard input or terminal, -1 when closed */
	bool is_terminal;
	int owner;      /* pidfd of the process that the container must not outlive, or -1 */
	bool abandoned; /* a would-be owner ended before it could be opened */
	bool blocked;   /* the container does not read its input at the moment */
	struct client clients[CLIENTS];
};

/* Listen on a socket in a directory. Returns a descriptor that does not block, or -1 with errno. */
int listen_in(const char *directory, const char *name, int type);
/* Listen on DIRECTORY/attach. Returns 0, or -1 with errno. */
int attach_listen(struct attach *attach, const char *directory);
void attach_accept(struct attach *attach, uint64_t log_size);
/* Handle a client's frames; attach_input_ready resumes all clients once input can be written. */
void attach_read(struct attach *attach, struct client *client);
void attach_input_ready(struct attach *attach);
void attach_ring(struct attach *attach);

#endif
