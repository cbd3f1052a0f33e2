/* Creates the tree that a layer of an image describes: tar on descriptor 0, directory on 3, report on 4.
 *
 *     pypod-unpack BYTES [user|one|root [plain]]    at most BYTES bytes of files, holes included
 *
 * With `user` the layer is for a user namespace, where device nodes cannot be created: they are left out, as podman
 * does. With `one` the namespace has a single id, which owns everything. With `plain` the archive is not a layer, and is
 * added to what the directory contains.
 *
 * The input is hostile. The directory becomes the root first (confine.c), so no name leads out of it; the rest are
 * rules for the meaning of a layer (layer.c). */
#define _GNU_SOURCE
#include "common/session.h"
#include "unpack/confine.h"
#include "unpack/layer.h"
#include "unpack/outcome.h"
#include "unpack/stream.h"
#include "unpack/tar.h"
#include "unpack/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TREE_FD = 3, LAST_FD = 4 };

int main(int argc, char **argv)
{
	static struct unpacking it;
	uint64_t entries = 0;

	it.bytes_limit = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	it.in_user_namespace = argc > 2 && strcmp(argv[2], "root") != 0;
	it.plain = argc > 3;
	it.one_id = it.in_user_namespace && strcmp(argv[2], "one") == 0;
	prctl(PR_SET_NAME, "pypod-unpack");
	syscall(SYS_close_range, LAST_FD + 1, ~0U, 0);
	if (session_enter_environment() < 0)
		broken("setns");
	confine(TREE_FD);
	tree_open(it.in_user_namespace, it.plain);
	stream_open(STDIN_FILENO);
	for (; tar_next(&it.entry); entries++) {
		outcome_is_of(it.entry.path); /* a failure between two entries names the previous one: the place to look */
		unpack_entry(&it);
	}
	outcome_is_of(NULL);
	stream_drain();
	report_made(entries, it.bytes, tree_root_is_opaque());
	if (it.sockets_stand_in)
		report_path('s', "");
	tree_finish(report_path);
	return 0;
}
