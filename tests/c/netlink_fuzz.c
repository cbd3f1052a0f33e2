/* Copies messages out of randomly damaged plans, and reads randomly damaged answers. */
#define _GNU_SOURCE
#include "plan_in_memory.h"

#include "common/netlink.c"
#include "fuzz.h"

static const uint32_t MISSING = 0x6b636162;

/* The offsets of missing numbers are strings, which only targeted damage turns into wrong numbers. */
static size_t damage(unsigned char *bytes, size_t size)
{
	static const char *const offsets[] = { "18446744073709551615", "18446744073709551612", "-1", "-4", "0xffffffffffffffff",
					       "4294967295", "99999999999999999999", "4294967292" };
	const char *offset = offsets[below(sizeof offsets / sizeof *offsets)];
	uint32_t length = strlen(offset);

	if (below(3) == 0 && size + 4 + length + 1 <= FUZZ_LARGEST && size >= 8) {
		uint32_t count;
		memcpy(&count, bytes + 4, 4); /* one more argument for a plan of one operation */
		count++;
		memcpy(bytes + 4, &count, 4);
		memcpy(bytes + size, &length, 4);
		memcpy(bytes + size + 4, offset, length + 1);
		size += 4 + length + 1;
		if (below(2) == 0)
			return size;
	}
	return damage_bytes(bytes, size);
}

/* The number of messages that want an answer, read without the kernel's macros. */
static int count_answers(const unsigned char *bytes, size_t size)
{
	int wanted = 0;

	for (size_t at = 0; size - at >= sizeof(struct nlmsghdr);) {
		struct nlmsghdr header;
		memcpy(&header, bytes + at, sizeof header);
		if (header.nlmsg_len < sizeof header || header.nlmsg_len > size - at)
			break;
		wanted += !!(header.nlmsg_flags & NLM_F_ACK);
		at += NLMSG_ALIGN((size_t)header.nlmsg_len);
		if (at > size)
			break;
	}
	return wanted;
}

static void check_copy(const struct record *record)
{
	struct netlink it;
	uint32_t size = length(record, MESSAGES), changed;

	errno = 0;
	if (netlink_copy(&it, record, MISSING) < 0) {
		check(errno == EBADMSG);
		check(!it.messages);
		return;
	}
	check(it.size == size);
	unsigned char *expected = malloc(size + 1);
	check(expected);
	memcpy(expected, text(record, MESSAGES), size);
	for (uint32_t i = FIRST_OFFSET; i < record->count; i++) {
		check(number(record, i) <= size - 4 && size >= 4);
		memcpy(expected + number(record, i), &MISSING, 4);
		memcpy(&changed, it.messages + number(record, i), 4);
	}
	check(memcmp(expected, it.messages, size) == 0);
	check(answers(it.messages, size) == count_answers(expected, size));
	free(expected);
	netlink_free(&it);
}

static void check_answers(const unsigned char *bytes, size_t size)
{
	char *received = malloc(size + !size); /* of exactly this size */

	check(received);
	memcpy(received, bytes, size);
	int found = read_answers(received, size);
	check(found >= -1 && found <= (int)(size / sizeof(struct nlmsghdr)));
	free(received);
}

static bool try_input(const unsigned char *bytes, size_t size)
{
	struct plan plan;
	bool is_plan = read_plan(bytes, size, &plan) == 0;

	check_answers(bytes, size);
	for (uint32_t i = 0; is_plan && i < plan.count; i++)
		check_copy(&plan.records[i]);
	plan_free(&plan);
	return is_plan;
}
