/* Performs a plan: maps each operation of ops.h to the function that does it. */
#define _GNU_SOURCE
#include "process/perform.h"
#include "common/hooks.h"
#include "common/ops.h"
#include "process/execute.h"
#include "process/namespaces.h"
#include "process/network.h"
#include "process/privileges.h"
#include "process/settings.h"
#include "process/terminal.h"
#include "process/user.h"
#include "root/masks.h"
#include "root/mounts.h"
#include "root/nodes.h"
#include "root/owners.h"
#include "root/places.h"
#include "root/root.h"
#include "root/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void run_own_hooks(struct process *process, const struct record *record)
{
	char call[36];
	uint32_t at;

	if (run_hooks(process->plan, text(record, 0), getpid(), &at, call) == 0)
		return;
	process->at = at;
	fail(process, call);
}

#define CHECKED(condition, call) do { if (!(condition)) fail(process, call); } while (0)

static void perform_one(struct process *process, const struct record *record)
{
	switch (record->operation) {
	case OP_clone: clone_again(process, record); break;
	case OP_wait: wait_for_supervisor(process); break;
	case OP_join: join_process(process, record); break;
	case OP_join_path: join_path(process, record); break;
	case OP_expect: expect_namespace(process, record); break;
	case OP_join_group: join_group(process, record); break;
	case OP_unshare: CHECKED(unshare(number(record, 0)) == 0, "unshare"); break;
	case OP_keyring: /* an exhausted key quota must not stop a container: crun and runc also continue */
		syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, text(record, 0));
		break;
	case OP_hostname: CHECKED(sethostname(text(record, 0), length(record, 0)) == 0, "sethostname"); break;
	case OP_domainname: CHECKED(setdomainname(text(record, 0), length(record, 0)) == 0, "setdomainname"); break;
	case OP_sysctl: set_sysctl(process, record); break;

	case OP_loopback: set_loopback_up(process); break;
	case OP_netlink: send_messages(process, record); break;
	case OP_hand_network: hand_over(process, REPORT_NETWORK, open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)); break;

	case OP_propagation: set_propagation(process, record); break;
	case OP_base: set_base(process, record); break;
	case OP_root: mount_root(process, record); break;
	case OP_root_fuse: mount_fuse_root(process, record); break;
	case OP_serve_root: hand_over(process, REPORT_ROOT, process->fuse); break;
	case OP_hold_root: hold_root(process); break;
	case OP_place_root: place_root(process); break;
	case OP_map_tree: map_tree(process, record); break;
	case OP_pivot: pivot(process); break;
	case OP_read_only_root: make_root_read_only(process); break;

	case OP_capture: capture(process, record); break;
	case OP_open_tree: take_tree(process, record); break;
	case OP_open_subtree: take_subtree(process, record); break;
	case OP_open_overlay: take_overlay(process, record); break;
	case OP_give_tree: give_to_user(process, record); break;
	case OP_open_file: take_file(process, record); break;
	case OP_secret: place_secret(process, record); break;
	case OP_bind:
	case OP_bind_with_content: bind_tree(process, record); break;
	case OP_host_mount: mount_on_host(process, record); break;
	case OP_mount: mount_new(process, record); break;
	case OP_mount_with_content: mount_with_content(process, record); break;
	case OP_directory: make_directory(process, record); break;
	case OP_symlink: make_symlink(process, record); break;
	case OP_device: make_device(process, record); break;
	case OP_console: open_terminal(process, number(record, 0)); break;
	case OP_mask: mask_path(process, record); break;
	case OP_read_only: make_read_only(process, record); break;
	case OP_verify_mounts: verify_places(process); break;

	case OP_account: add_account(process, record); break;
	case OP_entries: add_entries(process, record); break;
	case OP_user: find_process_user(process, record); break;
	case OP_keep_groups: process->keep_groups = true; break;
	case OP_own_ids: own_ids(process, record); break;
	case OP_resource_limit: set_resource_limit(process, record); break;
	case OP_umask: umask(octal(record, 0)); break;
	case OP_personality: CHECKED(personality(number(record, 0)) != -1, "personality"); break;
	case OP_no_new_privileges: CHECKED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "prctl"); break;
	case OP_seccomp: filter_calls(process, record); break;
	case OP_capabilities: set_capabilities(process, record); break;
	case OP_working_directory: enter_working_directory(process, record); break;
	case OP_environment: set_environment(process, record); break;
	case OP_secret_variable: add_secret_variable(process, record); break;
	case OP_await_start: await_start(process); break;
	case OP_host_hooks: await_hooks(process); break;
	case OP_run_hooks: run_own_hooks(process, record); break;
	case OP_execute: execute(process, record);
	case OP_execute_file: execute_file(process, record);
	default:
		errno = ENOSYS;
		fail(process, "perform");
	}
}

noreturn void perform(struct process *process)
{
	const struct record *program = plan_find(process->plan, OP_execute_file);
	uint32_t first = process->at + 1;

	/* The process must not outlive a supervisor that was killed before it could record it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	umask(0); /* modes are meant exactly; the plan sets the container's umask */
	/* a record fills at most one slot, and an account two places */
	process->slots = malloc(process->plan->count * sizeof *process->slots);
	process->places = calloc(2 * process->plan->count, sizeof *process->places);
	process->place_count = 0;
	if (!process->slots || !process->places)
		fail(process, "malloc");
	for (uint32_t i = 0; i < process->plan->count; i++)
		process->slots[i] = -1;
	process->root = process->program = process->empty = -1;
	process->home = NULL;
	process->environment = NULL;
	process->uid = process->gid = 0;
	if (program) {
		process->at = program - process->plan->records; /* for a failure report */
		process->program = open_program(process, text(program, 0));
	}
	for (process->at = first; process->at < process->plan->count; process->at++)
		perform_one(process, &process->plan->records[process->at]);
	errno = ENODATA;
	fail(process, "execve");
}
