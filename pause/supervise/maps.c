/* The id maps of a new user namespace, written by its creator: the supervisor. */
#define _GNU_SOURCE
#include "supervise/maps.h"
#include "common/ops.h"
#include "common/retry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_map(struct supervised *it, const struct record *record, uint32_t i, const char *file)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", it->pid, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || RETRY(write(fd, text(record, i), length(record, i))) < 0) {
		int error = errno;
		kill(it->pid, SIGKILL);
		errno = error;
		die(position(it, record), "write");
	}
	close(fd);
}

/* By a program that may map a user's ids of /etc/subuid or /etc/subgid. The process is our child and not waited for
 * yet, so its pid cannot be reused while the program runs. */
static void map_by(struct supervised *it, const struct record *record)
{
	char **words = calloc(record->count + 2, sizeof *words), pid[16], *environment[] = { NULL };
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t program;
	int status = 0;

	errno = ENOMEM;
	if (!words || posix_spawnattr_init(&attributes) != 0)
		die(position(it, record), "malloc");
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	snprintf(pid, sizeof pid, "%d", it->pid);
	words[0] = (char *)text(record, 0);
	words[1] = pid;
	for (uint32_t i = 1; i < record->count; i++)
		words[i + 1] = (char *)text(record, i);
	errno = posix_spawn(&program, text(record, 0), NULL, &attributes, words, environment);
	if (errno == 0 && RETRY(waitpid(program, &status, 0)) < 0)
		status = 1;
	if (errno == 0 && status == 0)
		return;
	errno = errno ? errno : EPERM;
	kill(it->pid, SIGKILL);
	die(position(it, record), "exec");
}

void make_maps(struct supervised *it)
{
	for (uint32_t i = 0; i < it->plan.count; i++) {
		const struct record *record = &it->plan.records[i];
		if (record->operation == OP_idmap_by)
			map_by(it, record);
		if (record->operation != OP_idmap)
			continue;
		write_map(it, record, 0, "uid_map");
		if (length(record, 2)) /* without CAP_SETGID setgroups must be denied before the groups are mapped */
			write_map(it, record, 2, "setgroups");
		write_map(it, record, 1, "gid_map");
	}
}
