/* plan.c on plans that are complete, truncated, changed at random, or malicious. */
#define _GNU_SOURCE
#include "common/ops.h"
#include "common/plan.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned char golden[512];
static size_t golden_size, boundaries[16], boundary_count;

static void put_u32(uint32_t value)
{
	memcpy(golden + golden_size, &value, 4);
	golden_size += 4;
}

static void begin(uint32_t operation, uint32_t count)
{
	boundaries[boundary_count++] = golden_size;
	put_u32(operation);
	put_u32(count);
}

static void argument(const char *bytes, uint32_t length)
{
	put_u32(length);
	memcpy(golden + golden_size, bytes, length);
	golden_size += length;
	golden[golden_size++] = '\0';
}

static void make_golden(void)
{
	begin(OP_status, 2);
	argument("/path", 5);
	argument("boot", 4);
	begin(OP_leave, 0);
	begin(OP_clone, 2);
	argument("131072", 6);
	argument("", 0);
	begin(OP_seccomp, 2);
	argument("\x06\0\0\0\0\0\xff\x7f", 8);
	argument("4", 1);
	begin(OP_execute, 3);
	argument("sh", 2);
	argument("-c", 2);
	argument("true", 4);
	boundaries[boundary_count++] = golden_size;
}

static int read_bytes(const void *bytes, size_t size, struct plan *plan)
{
	int fd = memfd_create("plan", MFD_CLOEXEC), result;

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	errno = 0;
	result = plan_read(fd, plan);
	close(fd);
	return result;
}

/* Read all of it, as the interpreter would. */
static size_t touch(const struct plan *plan)
{
	size_t sum = 0;

	for (uint32_t i = 0; i < plan->count; i++) {
		const struct record *record = &plan->records[i];
		char **words = vector(record, 0);
		for (char **word = words; word && *word; word++)
			sum += strlen(*word);
		free(words);
		for (uint32_t j = 0; j < record->count && j < 8; j++) {
			sum += number(record, j) + strlen(text(record, j));
			for (uint32_t k = 0; k < length(record, j); k++)
				sum += (unsigned char)text(record, j)[k];
		}
		sum += strlen(text(record, record->count)) + length(record, record->count) + number(record, UINT32_MAX);
	}
	return sum;
}

static void test_golden(void)
{
	struct plan plan;

	ok(read_bytes(golden, golden_size, &plan) == 0, "a whole plan is read");
	ok(plan.count == 5, "all records are there");
	const struct record *execute = plan_find(&plan, OP_execute);
	ok(execute && execute->count == 3 && !strcmp(text(execute, 2), "true"), "arguments are in their places");
	ok(number(plan_find(&plan, OP_clone), 0) == 131072, "numbers are decimal");
	ok(length(plan_find(&plan, OP_seccomp), 0) == 8, "bytes may be NUL");
	ok(!plan_find(&plan, OP_hostname), "what is not there is not found");
	ok(!strcmp(text(execute, 3), "") && length(execute, 3) == 0, "an argument that is missing is empty");
	char **words = vector(execute, 1);
	ok(!strcmp(words[0], "-c") && !words[2], "a vector ends with NULL");
	free(words);
	words = vector(execute, 9);
	ok(words && !words[0], "also one that starts behind the end");
	free(words);
	plan_free(&plan);
	ok(read_bytes("", 0, &plan) == 0 && plan.count == 0 && !plan_find(&plan, OP_clone), "an empty plan has no record");
	plan_free(&plan);
}

static void test_truncated(void)
{
	struct plan plan;
	size_t wrong = 0;

	for (size_t size = 1; size < golden_size; size++) {
		bool at_boundary = false;
		for (size_t i = 0; i < boundary_count; i++)
			at_boundary |= boundaries[i] == size;
		/* a copy of exactly this size, so that a sanitizer notices a byte too many */
		unsigned char *copy = malloc(size);
		memcpy(copy, golden, size);
		int result = read_bytes(copy, size, &plan);
		free(copy);
		if (at_boundary ? result != 0 : result != -1 || errno != EBADMSG)
			wrong++;
		if (result == 0) {
			touch(&plan);
			plan_free(&plan);
		}
	}
	ok(wrong == 0, "every truncation is refused with EBADMSG, but between two records");
}

/* Read a plan with a record of these arguments, which end with NULL. */
static int read_record(uint32_t operation, const char *const arguments[], struct plan *plan)
{
	uint32_t count = 0;

	while (arguments[count])
		count++;
	golden_size = boundary_count = 0;
	begin(OP_leave, 0);
	begin(operation, count);
	for (uint32_t i = 0; i < count; i++)
		argument(arguments[i], strlen(arguments[i]));
	begin(OP_leave, 0);
	return read_bytes(golden, golden_size, plan);
}

static void test_arguments(void)
{
	static const struct {
		uint32_t operation;
		const char *arguments[7];
		bool right;
	} records[] = {
		{ OP_leave, { 0 }, true },
		{ OP_leave, { "" }, false },
		{ OP_status, { "/path", "boot" }, true },
		{ OP_status, { "/path" }, false },
		{ OP_status, { "/path", "boot", "" }, false },
		{ OP_execute, { 0 }, false },
		{ OP_execute, { "a" }, true },
		{ OP_execute, { "a", "b", "", "c" }, true },
		{ OP_environment, { 0 }, true },
		{ OP_environment, { "A=", "B=" }, true },
		{ OP_mount, { "proc", "proc", "/proc" }, false },
		{ OP_mount, { "proc", "proc", "/proc", "15" }, true },
		{ OP_mount, { "proc", "proc", "/proc", "15", "hidepid=2" }, true },
		{ OP_mount, { "proc", "proc", "/proc", "hidepid=2" }, false },
		{ OP_idmap_by, { "newuidmap" }, false },
		{ OP_idmap_by, { "newuidmap", "0", "1000", "1" }, true },
		{ OP_idmap_by, { "newuidmap", "0", "x", "1" }, false },
		{ OP_unshare, { "18446744073709551615" }, true },
		{ OP_unshare, { "18446744073709551616" }, false },
		{ OP_unshare, { "99999999999999999999999" }, false },
		{ OP_unshare, { "" }, false },
		{ OP_unshare, { "-1" }, false },
		{ OP_unshare, { "+1" }, false },
		{ OP_unshare, { " 1" }, false },
		{ OP_unshare, { "1 " }, false },
		{ OP_unshare, { "0x10" }, false },
		{ OP_unshare, { "a" }, false },
		{ OP_oom_score, { "-1000" }, true },
		{ OP_oom_score, { "1000" }, true },
		{ OP_oom_score, { "-" }, false },
		{ OP_oom_score, { "--1" }, false },
		{ OP_oom_score, { "" }, false },
		{ OP_umask, { "0777" }, true },
		{ OP_umask, { "0778" }, false },
		{ OP_capabilities, { "0", "1", "FF", "ffffffffffffffff", "0" }, true },
		{ OP_capabilities, { "0", "1", "FF", "1ffffffffffffffff", "0" }, false },
		{ OP_capabilities, { "0", "1", "FG", "0", "0" }, false },
		{ 0, { 0 }, false },
		{ 9, { 0 }, false },
		{ 85, { 0 }, false },
		{ UINT32_MAX, { 0 }, false },
	};
	struct plan plan;

	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		int result = read_record(records[i].operation, records[i].arguments, &plan);
		ok(records[i].right ? result == 0 && plan.count == 3 : result == -1 && errno == EBADMSG && plan.count == 1,
		   "arguments of operation %u: %s", records[i].operation, records[i].arguments[0] ? records[i].arguments[0] : "none");
		if (result == 0)
			touch(&plan);
		plan_free(&plan);
	}
	ok(read_record(OP_umask, (const char *const[]){ "0777", NULL }, &plan) == 0 && octal(&plan.records[1], 0) == 0777, "octal");
	plan_free(&plan);
	read_record(OP_capabilities, (const char *const[]){ "1f", "0", "0", "0", "0", NULL }, &plan);
	ok(hexadecimal(&plan.records[1], 0) == 0x1f, "hexadecimal");
	plan_free(&plan);
}

static void test_mutated(void)
{
	struct plan plan;
	size_t accepted = 0, refused = 0, other = 0;
	unsigned char changed[sizeof golden];

	for (int run = 0; run < 20000; run++) {
		memcpy(changed, golden, golden_size);
		for (uint64_t i = random_number() % 4 + 1; i > 0; i--)
			changed[random_number() % golden_size] = random_number() % 3 ? random_number() : 0xff;
		size_t size = random_number() % 8 ? golden_size : random_number() % golden_size;
		if (read_bytes(changed, size, &plan) == 0) {
			accepted++;
			touch(&plan);
			plan_free(&plan);
		} else if (errno == EBADMSG) {
			refused++;
		} else {
			other++;
		}
	}
	ok(accepted > 100 && refused > 100 && other == 0, "mutations: %zu accepted, %zu refused", accepted, refused);
}

static void test_made_to_hurt(void)
{
	static const struct {
		const char *name;
		unsigned char bytes[24];
		size_t size;
	} plans[] = {
		{ "2^32 - 1 arguments", { 1, 0, 0, 0, 255, 255, 255, 255 }, 8 },
		{ "2^31 arguments and some bytes", { 1, 0, 0, 0, 0, 0, 0, 128, 0, 0, 0, 0, 0 }, 13 },
		{ "a length of 2^32 - 1", { 1, 0, 0, 0, 1, 0, 0, 0, 255, 255, 255, 255, 'x', 0 }, 14 },
		{ "a length that leaves no room for the NUL", { 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 'x', 'y' }, 14 },
		{ "something else than NUL at the end", { 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'x', 'y' }, 14 },
		{ "half an operation", { 1, 0 }, 2 },
		{ "an operation without a count", { 1, 0, 0, 0, 1 }, 5 },
	};
	struct plan plan;

	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
		ok(read_bytes(plans[i].bytes, plans[i].size, &plan) == -1 && errno == EBADMSG, "%s", plans[i].name);
	ok(plan_read(-1, &plan) == -1 && errno == EBADF, "no file at all");
	int pipes[2];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		abort();
	ok(plan_read(pipes[0], &plan) == -1, "a pipe cannot be mapped");
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	make_golden();
	test_golden();
	test_truncated();
	test_mutated();
	test_made_to_hurt();
	test_arguments();
	return done();
}
