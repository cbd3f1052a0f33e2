/* passwd.c on passwd and group files of images: lookups, and malformed files. */
#define _GNU_SOURCE
#include "process/passwd.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

/* A copy of exactly this size, which the parsers may write into: a sanitizer notices a byte too many. */
static char *copy_of(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(malloc(size), text, size);
}

static bool finds_user(const char *passwd, const char *wanted, uint32_t uid, uint32_t gid, const char *home)
{
	char *copy = copy_of(passwd);
	struct account account;
	bool found = find_user(copy, wanted, &account) == 0 && account.uid == uid && account.gid == gid &&
		     !strcmp(account.home, home);

	free(copy);
	return found;
}

static bool finds_no_user(const char *passwd, const char *wanted)
{
	char *copy = copy_of(passwd);
	struct account account;
	bool found = find_user(copy, wanted, &account) == 0;

	free(copy);
	return !found;
}

static void test_ids(void)
{
	static const char *const wrong[] = { "", " 1", "1 ", "+1", "-1", "0x1", "4294967295", "4294967296",
					     "18446744073709551616", "99999999999999999999999999999999", "1a", "\n" };
	uint32_t id = 7;

	ok(parse_id("0", &id) == 0 && id == 0, "0");
	ok(parse_id("4294967294", &id) == 0 && id == 4294967294U, "2^32 - 2");
	ok(parse_id("0001001", &id) == 0 && id == 1001, "leading zeros are decimal");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ok(parse_id(wrong[i], &id) < 0 && id == 1001, "no id: wrong[%zu]", i);
}

static void test_users(void)
{
	const char *passwd = "root:x:0:0:root:/root:/bin/sh\n# comment\n\nalice:x:1001:1002::/home/alice\nbob:x:7:\n"
			     "1001:x:0:0::/evil:\nbad:x:-1:0::/:\nlast:x:9:9::/last";

	ok(finds_user(passwd, "root", 0, 0, "/root"), "root");
	ok(finds_user(passwd, "alice", 1001, 1002, "/home/alice"), "by name, with fields missing at the end");
	ok(finds_user(passwd, "1001", 1001, 1002, "/home/alice"), "by number, though another has it for a name");
	ok(finds_user(passwd, "bob", 7, 0, "/"), "without group and home");
	ok(finds_user(passwd, "last", 9, 9, "/last"), "on a last line without a newline");
	ok(finds_user(passwd, "4000", 4000, 0, "/"), "a number that is not there");
	ok(finds_no_user(passwd, "bad"), "an id that is none");
	ok(finds_no_user(passwd, "# comment"), "a comment");
	ok(finds_no_user(passwd, ""), "nobody");
	ok(finds_no_user(passwd, "root:x"), "a name with a colon");
	ok(finds_user("", "0", 0, 0, "/"), "0 in an empty file");
	ok(finds_no_user("", "root"), "a name in an empty file");
	ok(finds_no_user(":::::::::::\n::::\n:x:0:0:::\n", "x"), "colons only");
}

static void test_groups(void)
{
	const char *group = "root:x:0:\nextra:x:2000:alice,bob\n2000:x:0:\nbad:x:x:\nhuge:x:4294967295:";
	uint32_t gid = 7;

	ok(find_group(group, "extra", &gid) == 0 && gid == 2000, "by name");
	ok(find_group(group, "2000", &gid) == 0 && gid == 2000, "by number, though another has it for a name");
	ok(find_group(group, "4001", &gid) == 0 && gid == 4001, "a number that is not there");
	ok(find_group(group, "bad", &gid) < 0, "an id that is none");
	ok(find_group(group, "huge", &gid) < 0, "an id that means no change");
	ok(find_group(group, "", &gid) < 0, "none");
	ok(has_group(group, 2000) && has_group(group, 0) && !has_group(group, 7), "a number that is there, or is not");
	char *members = copy_of("alice,,bob");
	ok(is_member(members, "bob"), "a member behind an empty one");
	free(members);
	members = copy_of(",,");
	ok(!is_member(members, ""), "nobody is a member");
	free(members);
	members = copy_of("alicex,xalice");
	ok(!is_member(members, "alice"), "a part of a name is not the name");
	free(members);
	gid_t groups[GROUP_LIMIT];
	int count = 0;
	for (gid_t i = 0; i < 2 * GROUP_LIMIT; i++)
		add_group(groups, &count, i / 2);
	ok(count == GROUP_LIMIT, "each once");
	for (gid_t i = 0; i < 2 * GROUP_LIMIT; i++)
		add_group(groups, &count, 1000 + i);
	ok(count == GROUP_LIMIT, "no more than there is room for");
}

static void test_random(void)
{
	static const char alphabet[] = ":::\n\n\n,,0019root alice\xff\t#-+";
	size_t found = 0;

	for (int run = 0; run < 20000; run++) {
		size_t size = random_number() % 120;
		char *file = malloc(size + 1);
		for (size_t i = 0; i < size; i++)
			file[i] = random_number() % 8 ? alphabet[random_number() % (sizeof alphabet - 1)] : (char)random_number();
		file[size] = '\0';
		struct account account;
		uint32_t gid;
		char *again = copy_of(file), *field[PASSWD_FIELDS];
		found += find_group(again, "root", &gid) == 0;
		found += find_user(again, "root", &account) == 0;
		free(again);
		for (char *rest = file; next_line(&rest, field);)
			is_member(field[3], "alice");
		free(file);
	}
	ok(true, "random files: something found %zu times", found);
	char *line = malloc(1 << 20);
	memset(line, ':', (1 << 20) - 1);
	line[(1 << 20) - 1] = '\0';
	ok(finds_no_user(line, "x"), "a megabyte of colons");
	memset(line, '\n', (1 << 20) - 1);
	ok(finds_no_user(line, "x"), "a megabyte of newlines");
	free(line);
}

int main(void)
{
	test_ids();
	test_users();
	test_groups();
	test_random();
	return done();
}
