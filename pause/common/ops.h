/* The operations of a plan: number, name, kinds of arguments. pypod/runtime/operations.py has the same table; a test
 * compares them.
 *
 * A plan is a file of records: u32 operation, u32 argument count, then per argument u32 length, the bytes, a NUL.
 * Integers are little-endian on the wire. An argument is `s` a string, `b` bytes, `n` a decimal number, `i` a decimal
 * number that may have a sign, `o` an octal or `x` a hexadecimal number; `*` after the last kind: any number of them,
 * `+`: one or more. A plan with other arguments is rejected as a whole.
 * Records before the first `clone` are for the supervisor (monitor or launcher), the rest for the process it creates.
 */
#ifndef PYPOD_COMMON_OPS_H
#define PYPOD_COMMON_OPS_H

#define OPERATIONS(X) \
	X(1, status, "ss")                /* PATH BOOT_ID: file where start and exit are recorded */ \
	X(2, log, "s")                    /* PATH: k8s-file log */ \
	X(3, attach, "s")                 /* DIRECTORY: directory of the socket `attach` */ \
	X(4, standard_input, "")          /* : keep the container's stdin open for clients */ \
	X(5, terminal, "nn")              /* COLUMNS ROWS: a pseudo-terminal instead of pipes */ \
	X(6, owner, "nn")                 /* PID START_TIME: end the container when this process ends */ \
	X(7, finally, "s+")               /* ARGV...: the monitor executes this at its end */ \
	X(8, mount_program, "sssss*")     /* DIRECTORY BOOT_ID REQUESTS PROGRAM [ARGUMENT...]: like sidecar, with the root's /dev/fuse as descriptor 4 */ \
	X(10, leave, "")                  /* : do not supervise; exit once the process runs */ \
	X(11, idmap, "sss")               /* UID_MAP GID_MAP SETGROUPS: written by the supervisor for the clone's user namespace */ \
	X(12, group_kill, "s")            /* DIRECTORY: cgroup to kill when the container's first process has ended */ \
	X(13, event, "ssss")              /* FILE START END REST: append a line with action START, and one with END when the process has ended */ \
	X(14, hold, "ssn")                /* PROTOCOL ADDRESS PORT: keep a port of the host bound; ADDRESS "": all addresses */ \
	X(15, netlink_host, "snbn*")      /* WORDS FAMILY MESSAGES [OFFSET...]: sent by the supervisor, the new process's pid at each offset */ \
	X(16, netlink_end, "snb")         /* WORDS FAMILY MESSAGES: sent when the process has ended */ \
	X(17, session, "nn")              /* PID START_TIME: everything that follows is done in the user namespace of this process */ \
	X(18, oom_file, "s")              /* FILE: has a line `oom_kill N`; N above 0 is recorded with the exit */ \
	X(19, idmap_by, "sn+")            /* PROGRAM RANGE...: by newuidmap or newgidmap, for the clone's user namespace; INSIDE OUTSIDE COUNT of each range */ \
	X(20, clone, "ns")                /* FLAGS CGROUP_DIRECTORY */ \
	X(21, wait, "")                   /* : wait until the supervisor has done its part: id maps, netlink_host */ \
	X(22, join, "nnn")                /* PID START_TIME FLAGS: setns by pidfd */ \
	X(23, join_path, "ns")            /* FLAG PATH: setns by file; for a pid namespace before the clone, because setns(2) affects only children */ \
	X(24, expect, "sn")               /* KIND INODE: /proc/self/ns/KIND must be this one */ \
	X(25, join_group, "s")            /* FILE: write 0 into a tasks or cgroup.procs file */ \
	X(26, unshare, "n")               /* FLAGS */ \
	X(27, keyring, "s")               /* NAME: a new session keyring */ \
	X(28, loopback, "")               /* : bring lo up */ \
	X(29, hostname, "s")              /* NAME */ \
	X(30, domainname, "s")            /* NAME */ \
	X(31, netlink, "snbn*")           /* WORDS FAMILY MESSAGES [OFFSET...]: sent by the process, the index of the interface that WORDS begins with at each offset */ \
	X(40, propagation, "n")           /* PROPAGATION: set on every mount of the new mount namespace */ \
	X(41, capture, "nnnsn")           /* SLOT PID START_TIME PATH RECURSIVE: clone a mount of another mount namespace */ \
	X(42, open_tree, "nsn")           /* SLOT PATH RECURSIVE: clone a mount of this mount namespace */ \
	X(43, root, "sssns")              /* TYPE SOURCE TARGET MOUNT_FLAGS DATA: mount the future / */ \
	X(44, mount, "sssns*")            /* TYPE SOURCE TARGET ATTRIBUTES [OPTION...] */ \
	X(45, bind, "nsnnn")              /* SLOT TARGET ATTRIBUTES PROPAGATION RECURSIVE */ \
	X(46, directory, "s")             /* TARGET */ \
	X(47, symlink, "ss")              /* TEXT TARGET */ \
	X(48, device, "snnnn*")           /* TARGET MAJOR MINOR MODE [OWNER...]: MODE includes the file type, OWNER is user and group */ \
	X(49, console, "n")               /* BIND: open the terminal; 1: bind its slave to /dev/console */ \
	X(50, sysctl, "ss")               /* KEY VALUE */ \
	X(51, mask, "s")                  /* TARGET: hide, if it exists */ \
	X(52, read_only, "s")             /* TARGET: make read-only, if it exists */ \
	X(53, pivot, "")                  /* : the root becomes /, the old one is unmounted */ \
	X(54, read_only_root, "") \
	X(55, mount_with_content, "sssns*") /* TYPE SOURCE TARGET ATTRIBUTES [OPTION...]: mount with a copy of the directory's content */ \
	X(56, bind_with_content, "nsnnnnn") /* SLOT TARGET ATTRIBUTES PROPAGATION RECURSIVE CONTENT OWNER: bind a directory that first gets a copy of TARGET's content (1), its owner and mode (1) */ \
	X(57, base, "s")                  /* DIRECTORY: relative paths of the host start here */ \
	X(58, account, "sss+")            /* USER DIRECTORY PIECE...: add entries for ids that the passwd and group files lack */ \
	X(59, keep_groups, "")            /* : keep the supplementary groups */ \
	X(60, resource_limit, "nnn")      /* RESOURCE SOFT HARD */ \
	X(61, user, "ss*")                /* USER [GROUP_ADD...]: looked up in the container's own passwd and group */ \
	X(62, no_new_privileges, "") \
	X(63, seccomp, "bn")              /* FILTER FILTER_FLAGS */ \
	X(64, capabilities, "xxxxx")      /* BOUNDING EFFECTIVE PERMITTED INHERITABLE AMBIENT */ \
	X(65, working_directory, "sn")    /* PATH CREATE */ \
	X(66, environment, "s*")          /* [VARIABLE...] */ \
	X(67, umask, "o")                 /* MASK */ \
	X(68, oom_score, "i")             /* ADJUSTMENT: oom_score_adj of the process that the supervisor creates */ \
	X(69, execute, "s+")              /* ARGV... */ \
	X(70, execute_file, "ss+")        /* PATH ARGV...: a file of the host, opened before the root changes */ \
	X(71, sidecar, "sssss*")        /* DIRECTORY BOOT_ID REQUESTS PROGRAM [ARGUMENT...]: runs beside the process, whose network namespace is its standard input */ \
	X(72, hand_network, "")           /* : pass the network namespace to the supervisor, for the sidecar, which is ready before the exec */ \
	X(73, host_network, "nn")         /* PID START_TIME: netlink_host is sent in the network namespace of this process */ \
	X(74, open_file, "ns")            /* SLOT PATH: a file of the host, for the following two */ \
	X(75, secret, "nsnnn")            /* SLOT TARGET UID GID FILE_MODE: a copy in the tmpfs on /run/secrets; a TARGET outside it is bound from there */ \
	X(76, secret_variable, "ns")      /* SLOT NAME: the environment variable NAME has the file's content */ \
	X(78, root_fuse, "s")             /* TARGET: mount the future /, a FUSE file system that nothing serves yet */ \
	X(79, serve_root, "")             /* : pass its descriptor to the supervisor, for the mount program, which is ready before the root is used */ \
	X(80, own_ids, "nnn")             /* UID GID ALONE: become these ids of the user namespace, with all capabilities in it; ALONE 1: drop the supplementary groups */ \
	X(81, hold_root, "")              /* : keep a detached clone of the root mount, for the next mount namespace */ \
	X(82, place_root, "")             /* : mount the root file system that was held */ \
	X(83, map_tree, "sss")            /* PATH UID_MAP GID_MAP: owners below PATH are ids in a user namespace with these maps */ \
	X(84, verify_mounts, "")          /* : check that each mount, mask and read-only path is where the plan put it */ \
	X(85, personality, "n")           /* DOMAIN */ \
	X(86, entries, "sss+")            /* PATH DIRECTORY LINE...: lines of a passwd or group file, for names that it lacks */ \
	X(87, descriptors, "n+")          /* NUMBER...: the process gets descriptors of the caller, with these numbers */ \
	X(88, pid_file, "s")              /* PATH: the pid of the process */ \
	X(89, supervisor_pid_file, "s")   /* PATH: the pid of the supervisor */ \
	X(90, timeout, "n")               /* SECONDS: the monitor kills the process after that */ \
	X(91, device_filter, "snb")       /* DIRECTORY REQUIRED PROGRAM: BPF, attached to a v2 cgroup; REQUIRED 0: unless the kernel cannot */ \
	X(92, host_mount, "ns")           /* SLOT PATH: mount the tree, writable, on a path of the current mount namespace */ \
	X(93, await_start, "")            /* : everything but the exec is done; the supervisor says when that is to follow */ \
	X(94, hook, "snssns+")            /* STAGE TIMEOUT_S STATE_START STATE_END VARIABLES WORD...: an OCI hook; words are so many variables, its path and its arguments from 0 on; its input is the state, a pid between start and end */ \
	X(95, host_hooks, "")             /* : the supervisor runs the hooks of prestart and createRuntime */ \
	X(96, run_hooks, "s")             /* STAGE: the process runs the hooks of a stage itself */ \
	X(97, open_subtree, "nssn")       /* SLOT PATH SUBPATH RECURSIVE: as open_tree, for a path inside of PATH, out of which no link leads */ \
	X(98, open_overlay, "nsss")       /* SLOT DIRECTORY SUBPATH OPTIONS: an overlay that is not mounted anywhere; DIRECTORY is used to make it */ \
	X(99, give_tree, "nsnss")         /* SLOT USER RECURSIVE UID_MAP GID_MAP: give a tree to a user of the container; the maps are empty in its own user namespace */ \
	X(100, restart, "nn")             /* POLICY MOST: the monitor starts the process again when it has ended: 1 with a failure, 2 in any case; MOST times, 0: any number of times */

enum operation {
#define X(number, name, arguments) OP_##name = number,
	OPERATIONS(X)
#undef X
};

#endif
