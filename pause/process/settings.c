#define _GNU_SOURCE
#include "process/settings.h"
#include "common/retry.h"
#include "root/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PROC_MAGIC 0x9fa0

/* Write a kernel setting in the procfs that was mounted, and never in something mounted over it or linked from it: a
 * tmpfs there would swallow the write (CVE-2025-52881), a link in a volume would redirect it to another file. Before
 * there is a new root it is the host's procfs, where a process finds the settings of its own namespaces. */
void set_sysctl(const struct process *process, const struct record *record)
{
	char path[512];
	struct statfs fs;
	struct stat proc, file;
	const char *value = text(record, 1);

	snprintf(path, sizeof path, "/proc/sys/%s", text(record, 0));
	int directory = open_inside(process, "/proc", O_PATH | O_DIRECTORY);
	int fd = directory < 0 ? -1 : open_inside(process, path, O_WRONLY);
	if (fd < 0)
		fail(process, "openat2");
	if (fstatfs(fd, &fs) < 0 || fstat(directory, &proc) < 0 || fstat(fd, &file) < 0)
		fail(process, "fstatfs");
	if (fs.f_type != PROC_MAGIC || proc.st_dev != file.st_dev) {
		errno = EXDEV;
		fail(process, "fstatfs");
	}
	if (RETRY(write(fd, value, strlen(value))) < 0)
		fail(process, "write");
	close(fd);
	close(directory);
}

void set_resource_limit(const struct process *process, const struct record *record)
{
	struct rlimit limit = { number(record, 1), number(record, 2) };

	if (setrlimit(number(record, 0), &limit) < 0)
		fail(process, "setrlimit");
}
