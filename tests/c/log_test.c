/* log.c: everything written can be read back byte for byte, line by line, also after a full disk. */
#define _GNU_SOURCE
#include "monitor/log.h"
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static char content[1 << 20];

static size_t read_back(int fd)
{
	ssize_t size = pread(fd, content, sizeof content - 1, 0);

	if (size < 0)
		abort();
	content[size] = '\0';
	return size;
}

/* Put together the log's output of a stream; -1 for a malformed line. */
static long join(const char *stream, char *out)
{
	long size = 0;

	for (char *line = content, *end; *line; line = end + 1) {
		char name[8], tag;
		int text = 0;
		if (!(end = strchr(line, '\n')))
			return -1;
		if (end == line)
			continue;
		if (sscanf(line, "%*35[0-9T:.+-] %7s %c %n", name, &tag, &text) != 2 || text == 0)
			return -1;
		/* TIME has 35 characters, then come the stream, the tag and three spaces, and then the text */
		text = 35 + 1 + strlen(name) + 1 + 1 + 1;
		if (strcmp(name, stream))
			continue;
		size_t length = end - line - text;
		memcpy(out + size, line + text, length);
		size += length;
		if (tag == 'F')
			out[size++] = '\n';
	}
	return size;
}

static int new_log(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0)
		abort();
	return fd;
}

static void test_lines(void)
{
	static char out[sizeof content];
	int fd = new_log();

	log_write(fd, "stdout", "one\ntwo\n", 8);
	log_write(fd, "stderr", "err\n", 4);
	log_write(fd, "stdout", "par", 3);
	log_write(fd, "stdout", "tial\n", 5);
	log_write(fd, "stdout", "\n", 1);
	log_write(fd, "stdout", "", 0);
	log_write(-1, "stdout", "nowhere\n", 8);
	read_back(fd);
	ok(!strncmp(content + 35, " stdout F one\n", 14), "time, stream, tag and text");
	ok(strstr(content, " stdout P par\n") != NULL, "a piece without its newline is marked");
	long size = join("stdout", out);
	ok(size == 17 && !memcmp(out, "one\ntwo\npartial\n\n", 17), "pieces of stdout");
	ok(join("stderr", out) == 4 && !memcmp(out, "err\n", 4), "and of stderr");
	close(fd);
}

static void test_random(void)
{
	static char in[1 << 16], out[sizeof content];
	size_t wrong = 0;

	for (int run = 0; run < 300; run++) {
		int fd = new_log();
		size_t size = random_number() % 12000, at = 0;
		for (size_t i = 0; i < size; i++)
			in[i] = random_number() % (run % 5 + 2) ? 1 + random_number() % 127 : '\n';
		while (at < size) {
			size_t part = random_number() % 4096;
			/* a buffer of exactly that length: a sanitizer notices a byte too many */
			part = part < size - at ? part : size - at;
			char *read = malloc(part);
			memcpy(read, in + at, part);
			log_write(fd, "stdout", read, part);
			free(read);
			at += part;
		}
		read_back(fd);
		for (char *c = content; *c; c++) /* sscanf treats other white space as a space */
			if (*c != '\n' && *c < ' ')
				*c = '?';
		for (size_t i = 0; i < size; i++)
			if (in[i] != '\n' && in[i] < ' ')
				in[i] = '?';
		long joined = join("stdout", out);
		wrong += joined != (long)size || memcmp(in, out, size);
		close(fd);
	}
	ok(wrong == 0, "random writes come back as they were");
}

static void test_full_disk(void)
{
	static char out[sizeof content];
	struct rlimit limit;
	size_t glued = 0, lost = 0;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	for (rlim_t room = 0; room < 200; room++) {
		char path[] = "log.XXXXXX";
		int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
		if (fd < 0)
			abort();
		unlink(path);
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ room, limit.rlim_max });
		log_write(fd, "stdout", "first line\nsecond line\nthird", 28);
		setrlimit(RLIMIT_FSIZE, &limit);
		log_write(fd, "stdout", "after\n", 6);
		read_back(fd);
		const char *last = strstr(content, " stdout F after\n");
		lost += last == NULL;
		glued += last && last - content != 35 && last[-36] != '\n';
		(void)out;
		close(fd);
	}
	ok(lost == 0, "after a full disk lines are written again");
	ok(glued == 0, "and each begins on a line of its own");
}

int main(void)
{
	test_lines();
	test_random();
	test_full_disk();
	return done();
}
