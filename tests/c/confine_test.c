/* confine.c: the privileges of unpack once it is confined, and system calls that the C library must find missing. */
#include "unpack/confine.c"
#include "tap.h"

#include <stdlib.h>
#include <stdnoreturn.h>

noreturn void broken(const char *call)
{
	printf("Bail out! %s\n", call);
	exit(1);
}

static bool unknown(long number)
{
	return syscall(number, 0, 0, 0, 0, 0, 0) == -1 && errno == ENOSYS;
}

int main(void)
{
	struct stat st;
	int fd;

	confine(open(".", O_RDONLY | O_DIRECTORY));
	fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0644);
	ok(fd >= 0 && write(fd, "0123", 4) == 4 && pwrite(fd, "x", 1, 2) == 1, "files are written");
	ok(fstat(fd, &st) == 0 && st.st_size == 4, "and looked at");
	ok(mkdirat(AT_FDCWD, "directory", 0755) == 0 && fstatat(AT_FDCWD, "/../directory", &st, 0) == 0, "the directory is the root");
	ok(unknown(SYS_pwritev2), "what a C library would like is not there");
	ok(unknown(SYS_execve) && unknown(SYS_socket) && unknown(SYS_ptrace) && unknown(SYS_kill), "nor what an attack would");
	ok(unknown(SYS_mount) && unknown(SYS_setns) && unknown(SYS_open_by_handle_at), "nor ways out");
	return done();
}
