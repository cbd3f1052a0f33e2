/* Common to the fuzzers. Input N of a seed is the same in every run:
 *
 *     plan_fuzz SECONDS SEED FIRST FILE...
 *
 * takes the files in turn for SECONDS, damages each at random and reads it, from input FIRST on. When a sanitizer
 * reports, a check fails or an input takes too long, stderr names the input, and `plan_fuzz 0 SEED NUMBER FILE...`
 * repeats it. */
#ifndef PYPOD_TESTS_FUZZ_H
#define PYPOD_TESTS_FUZZ_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FUZZ_LARGEST = 64 << 10, FUZZ_FILES = 64, FUZZ_PATIENCE_S = 20, FUZZ_ROUND = 256 };

/* Defined by each fuzzer: damage an input, which may grow to FUZZ_LARGEST, and return its size; read it, and return
 * whether it was accepted. */
static size_t damage(unsigned char *bytes, size_t size);
static bool try_input(const unsigned char *bytes, size_t size);

static uint64_t fuzz_state;

static inline size_t below(size_t limit) /* splitmix64 */
{
	uint64_t mixed = fuzz_state += 0x9e3779b97f4a7c15;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
	return limit ? (mixed ^ mixed >> 31) % limit : 0;
}

#define check(fact) ((fact) ? (void)0 : fuzz_wrong(#fact))

_Noreturn static inline void fuzz_wrong(const char *fact)
{
	fprintf(stderr, "not true: %s\n", fact);
	_exit(1);
}

/* Damage for any format of bytes and 32-bit little-endian numbers. */
static inline size_t damage_bytes(unsigned char *bytes, size_t size)
{
	for (size_t times = 1 + below(6); times > 0 && size >= 8; times--) {
		size_t at = below(size), room = size - at, other = below(size), count = 1 + below(32);
		const uint32_t telling[] = { 0, 1, 4, 15, 16, 17, size, size - at, UINT32_MAX, UINT32_MAX - 3, 1U << 31, 255 };
		if (count > size - other)
			count = size - other;
		switch (below(7)) {
		case 0:
			bytes[at] = below(256);
			break;
		case 1:
			bytes[at] ^= 1 << below(8);
			break;
		case 2:
			at &= ~(size_t)3;
			if (size - at >= 4)
				memcpy(bytes + at, &telling[below(sizeof telling / 4)], 4);
			break;
		case 3: /* overwrite with other bytes */
			memmove(bytes + at, bytes + other, count < room ? count : room);
			break;
		case 4: /* insert */
			if (size + count > FUZZ_LARGEST)
				break;
			memmove(bytes + at + count, bytes + at, room);
			size += count;
			break;
		case 5: /* delete */
			count = count < room ? count : room;
			memmove(bytes + at, bytes + at + count, room - count);
			size -= count;
			break;
		default:
			if (below(4) == 0)
				size = at;
		}
	}
	return size;
}

struct fuzz_file {
	unsigned char *bytes;
	size_t size;
};

static inline struct fuzz_file fuzz_load(const char *path)
{
	struct fuzz_file file = { malloc(FUZZ_LARGEST), 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 || !file.bytes ? -1 : read(fd, file.bytes, FUZZ_LARGEST);

	if (got < 0) {
		perror(path);
		exit(2);
	}
	close(fd);
	file.size = got;
	return file;
}

static inline void fuzz_all(time_t seconds, uint64_t seed, volatile uint64_t *number, int count, char **paths)
{
	static struct fuzz_file files[FUZZ_FILES];
	static unsigned char bytes[FUZZ_LARGEST];
	unsigned long taken = 0, refused = 0;
	time_t end = time(NULL) + seconds;

	for (int i = 0; i < count; i++)
		files[i] = fuzz_load(paths[i]);
	do {
		if (*number % FUZZ_ROUND == 0)
			alarm(FUZZ_PATIENCE_S);
		const struct fuzz_file *file = &files[*number % count];
		fuzz_state = seed * 0x9e3779b97f4a7c15 + *number * 0xd1342543de82ef95;
		memcpy(bytes, file->bytes, file->size);
		if (try_input(bytes, damage(bytes, file->size)))
			taken++;
		else
			refused++;
		++*number;
	} while (*number % FUZZ_ROUND || time(NULL) < end);
	printf("%lu read, %lu refused\n", taken, refused);
}

/* A child reads the inputs, so that its parent can report whatever ends it. */
int main(int argc, char **argv)
{
	uint64_t *number = mmap(NULL, sizeof *number, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = -1;

	if (argc < 5 || argc > 4 + FUZZ_FILES || number == MAP_FAILED)
		return 2;
	*number = strtoull(argv[3], NULL, 10);
	pid_t child = fork();
	if (child == 0) {
		fuzz_all(atol(argv[1]), strtoull(argv[2], NULL, 10), number, argc - 4, argv + 4);
		exit(0);
	}
	if (waitpid(child, &status, 0) == child && status == 0)
		return 0;
	fprintf(stderr, "input %llu of seed %s%s\n", (unsigned long long)*number, argv[2],
		WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " takes too long" : "");
	return 1;
}

#endif
