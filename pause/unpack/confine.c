#define _GNU_SOURCE
#include "unpack/confine.h"
#include "unpack/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The sanitizers need more memory and other system calls; what they look for depends on neither. */
#ifdef __SANITIZE_ADDRESS__
enum { CHECKED = 1 };
#else
enum { CHECKED = 0 };
#endif

#if defined(__x86_64__)
enum { ARCHITECTURE = AUDIT_ARCH_X86_64 };
#elif defined(__aarch64__)
enum { ARCHITECTURE = AUDIT_ARCH_AARCH64 };
#else
enum { ARCHITECTURE = 0 }; /* no filter on others */
#endif

enum { MEMORY_LIMIT = 512 << 20, FILES_LIMIT = 32 };

/* All system calls of unpack.c and of the C library for it. Others that newer C libraries try first (pwritev2 for
 * pwrite in musl 1.2.6) they do without if the kernel does not seem to have them. */
static const unsigned allowed[] = {
	SYS_read, SYS_write, SYS_writev, SYS_pwrite64, SYS_close, SYS_lseek, SYS_ftruncate, SYS_openat, SYS_getdents64, SYS_fstat,
	SYS_newfstatat, SYS_fcntl, SYS_mkdirat, SYS_mknodat, SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_fchown, SYS_fchownat,
	SYS_fchmod, SYS_fchmodat, SYS_utimensat, SYS_fsetxattr, SYS_exit_group,
	/* of the C libraries: memory, and glibc's qsort */
	SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_getrandom, SYS_sysinfo,
#ifdef SYS_lstat /* musl's fstatat, on architectures with these calls */
	SYS_lstat, SYS_stat,
#endif
};

/* A private view of the directory in which device nodes can be created but not opened. Where that is not permitted, use
 * the directory itself. */
static int without_devices(int directory)
{
	struct mount_attr quiet = { .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	int tree = syscall(SYS_open_tree, directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0)
		return directory;
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &quiet, sizeof quiet) < 0) {
		close(tree);
		return directory;
	}
	return tree;
}

static void limit(int resource, rlim_t value)
{
	if (setrlimit(resource, &(struct rlimit){ value, value }) < 0)
		broken("setrlimit");
}

static void keep_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	/* CAP_SYS_ADMIN: for trusted.overlay.opaque; the filter leaves no other use of it. */
	unsigned keep = 1 << CAP_CHOWN | 1 << CAP_DAC_OVERRIDE | 1 << CAP_FOWNER | 1 << CAP_FSETID | 1 << CAP_MKNOD |
			CAP_TO_MASK(CAP_SETFCAP) | 1 << CAP_SYS_ADMIN;

	if (syscall(SYS_capget, &header, data) < 0)
		broken("capget");
	data[0].permitted &= keep;
	data[1].permitted = 0;
	for (int i = 0; i < 2; i++) {
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		broken("capset");
}

static void filter_calls(void)
{
	enum { COUNT = sizeof allowed / sizeof *allowed };
	struct sock_filter code[COUNT + 6];
	size_t at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < COUNT; i++)
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], COUNT - i, 0);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ at, code }) < 0)
		broken("seccomp");
}

void confine(int directory)
{
	int root = without_devices(directory);

	if (fchdir(root) < 0 || chroot(".") < 0)
		broken("chroot");
	if (directory != root)
		close(directory);
	/* The view of the directory lives as long as its descriptor, which now leads nowhere else. */
	umask(0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, FILES_LIMIT);
	if (!CHECKED)
		limit(RLIMIT_AS, MEMORY_LIMIT);
	keep_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		broken("prctl");
	if (!CHECKED && ARCHITECTURE != 0)
		filter_calls();
}
