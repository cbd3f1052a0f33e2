/* The operations of a plan: number, name, kinds of its arguments. pypod/runtime/ops.py has the same table; a test compares
 * them.
 *
 * A plan is a file of records: u32 operation, u32 argument count, then per argument u32 length, the bytes, a NUL.
 * Integers are little-endian on the wire. An argument is `s` text, `b` bytes, `n` a number in decimal digits, `i` one that may
 * have a sign, `o` an octal or `x` a hexadecimal number; `*` after the last one: any number of them, `+`: one or more.
 * A plan with other arguments is refused as a whole.
 * Records before the first `clone` are for the supervisor (monitor or launcher), the rest for the process it makes.
 */
#ifndef PYPOD_COMMON_OPS_H
#define PYPOD_COMMON_OPS_H

#define OPERATIONS(X) \
	X(1, status, "ss")                /* PATH BOOT_ID: where start and exit are recorded */ \
	X(2, log, "s")                    /* PATH: k8s-file log */ \
	X(3, attach, "s")                 /* DIRECTORY: holds the socket `attach` */ \
	X(4, standard_input, "")          /* : keep the container's stdin open for clients */ \
	X(5, terminal, "nn")              /* COLUMNS ROWS: a pseudo-terminal instead of pipes */ \
	X(6, owner, "nn")                 /* PID START_TIME: end the container when this process is gone */ \
	X(7, finally, "s+")               /* ARGV...: run by the monitor as its last act */ \
	X(8, mount_program, "sssss*")     /* DIRECTORY BOOT_ID REQUESTS PROGRAM [ARGUMENT...]: as companion, descriptor 4 being the /dev/fuse of the root */ \
	X(10, leave, "")                  /* : do not supervise; exit once the process runs */ \
	X(11, idmap, "sss")               /* UID_MAP GID_MAP SETGROUPS: written by the supervisor for the clone's user namespace */ \
	X(12, group_kill, "s")            /* DIRECTORY: cgroup killed when the container's first process has ended */ \
	X(13, event, "ssss")              /* FILE START END REST: a line there with action START, and one with END when it has ended */ \
	X(14, hold, "ssn")                /* PROTOCOL ADDRESS PORT: keep a port of the host bound; ADDRESS "": all of them */ \
	X(15, netlink_host, "snbn*")      /* WORDS FAMILY MESSAGES [OFFSET...]: sent by the supervisor, the new process's pid at each offset */ \
	X(16, netlink_end, "snb")         /* WORDS FAMILY MESSAGES: sent when it has ended */ \
	X(17, session, "nn")              /* PID START_TIME: all that follows is done in the user namespace of this process */ \
	X(18, oom_file, "s")              /* FILE: has a line `oom_kill N`; N above 0 is told with the end */ \
	X(19, idmap_by, "sn+")            /* PROGRAM RANGE...: by newuidmap or newgidmap, for the clone's user namespace; INSIDE OUTSIDE COUNT of each range */ \
	X(20, clone, "ns")                /* FLAGS CGROUP_DIRECTORY */ \
	X(21, wait, "")                   /* : until the supervisor has done its part: id maps, netlink_host */ \
	X(22, join, "nnn")                /* PID START_TIME FLAGS: setns by pidfd */ \
	X(23, join_path, "ns")            /* FLAG PATH: setns by file; of a pid namespace before the clone, as setns(2) is for children */ \
	X(24, expect, "sn")               /* KIND INODE: /proc/self/ns/KIND must be this one */ \
	X(25, join_group, "s")            /* FILE: write 0 into a tasks or cgroup.procs file */ \
	X(26, unshare, "n")               /* FLAGS */ \
	X(27, keyring, "s")               /* NAME: a session keyring of its own */ \
	X(28, loopback, "")               /* : set lo up */ \
	X(29, hostname, "s")              /* NAME */ \
	X(30, domainname, "s")            /* NAME */ \
	X(31, netlink, "snbn*")           /* WORDS FAMILY MESSAGES [OFFSET...]: sent in here, the index of the interface WORDS begins with at each */ \
	X(40, propagation, "n")           /* PROPAGATION: of every mount of the new mount namespace */ \
	X(41, capture, "nnns")            /* SLOT PID START_TIME PATH: clone a mount out of another mount namespace */ \
	X(42, open_tree, "nsn")           /* SLOT PATH RECURSIVE: clone a mount of this one */ \
	X(43, root, "sssns")              /* TYPE SOURCE TARGET MOUNT_FLAGS DATA: mount what becomes / */ \
	X(44, mount, "sssns*")            /* TYPE SOURCE TARGET ATTRIBUTES [OPTION...] */ \
	X(45, bind, "nsnnn")              /* SLOT TARGET ATTRIBUTES PROPAGATION RECURSIVE */ \
	X(46, directory, "s")             /* TARGET */ \
	X(47, symlink, "ss")              /* TEXT TARGET */ \
	X(48, device, "snnn")             /* TARGET MAJOR MINOR MODE: with the bits of the type */ \
	X(49, console, "n")               /* BIND: open the terminal; with 1 its terminal's slave on /dev/console */ \
	X(50, sysctl, "ss")               /* KEY VALUE */ \
	X(51, mask, "s")                  /* TARGET: hide, if it is there */ \
	X(52, read_only, "s")             /* TARGET: if it is there */ \
	X(53, pivot, "")                  /* : the root becomes /, the old one is let go */ \
	X(54, read_only_root, "") \
	X(55, mount_with_content, "sssns*") /* TYPE SOURCE TARGET ATTRIBUTES [OPTION...]: and what the directory had is in it */ \
	X(56, bind_with_content, "nsnnn") /* SLOT TARGET ATTRIBUTES PROPAGATION RECURSIVE: of a directory that is empty, and what TARGET had is in it */ \
	X(57, base, "s")                  /* DIRECTORY: what relative paths of the host begin at */ \
	X(58, account, "sss+")            /* USER DIRECTORY PIECE...: entries for ids that the passwd and group files do not know */ \
	X(59, keep_groups, "")            /* : the supplementary groups stay */ \
	X(60, resource_limit, "nnn")      /* RESOURCE SOFT HARD */ \
	X(61, user, "ss*")                /* USER [GROUP_ADD...]: looked up in the container's own passwd and group */ \
	X(62, no_new_privileges, "") \
	X(63, seccomp, "bn")              /* FILTER FILTER_FLAGS */ \
	X(64, capabilities, "xxxxx")      /* BOUNDING EFFECTIVE PERMITTED INHERITABLE AMBIENT */ \
	X(65, working_directory, "sn")    /* PATH CREATE */ \
	X(66, environment, "s*")          /* [VARIABLE...] */ \
	X(67, umask, "o")                 /* MASK */ \
	X(68, oom_score, "i")             /* ADJUSTMENT: of the out-of-memory killer, for the process that the supervisor makes */ \
	X(69, execute, "s+")              /* ARGV... */ \
	X(70, execute_file, "ss+")        /* PATH ARGV...: a file of the host, opened before the root changes */ \
	X(71, companion, "sssss*")        /* DIRECTORY BOOT_ID REQUESTS PROGRAM [ARGUMENT...]: runs beside the process, its standard input being that one's network */ \
	X(72, hand_network, "")           /* : to the supervisor, for the companion, which is ready before the exec */ \
	X(73, host_network, "nn")         /* PID START_TIME: netlink_host is sent in the network namespace of this process */ \
	X(78, root_fuse, "s")             /* TARGET: mount what becomes /, a FUSE file system that nobody serves yet */ \
	X(79, serve_root, "")             /* : hand it to the supervisor, for the mount program, which is ready before anything looks at it */ \
	X(80, own_ids, "nnn")             /* UID GID ALONE: become these of the user namespace, with all capabilities in it; 1: no other groups */ \
	X(81, hold_root, "")              /* : take the root file system out of this mount namespace, to have it in the next */ \
	X(82, place_root, "")             /* : mount what was held */ \
	X(83, map_tree, "sss")            /* PATH UID_MAP GID_MAP: owners below PATH are ids inside a user namespace with these maps */ \
	X(84, verify_mounts, "")          /* : each mount, mask and read-only path is where the plan put it */

enum operation {
#define X(number, name, arguments) OP_##name = number,
	OPERATIONS(X)
#undef X
};

#endif
