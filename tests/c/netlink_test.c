/* netlink.c with offsets and lengths outside of the messages. */
#define _GNU_SOURCE
#include "common/netlink.c"
#include "tap.h"

static int copy_with(const char *bytes, uint32_t size, const char *offset, struct netlink *it)
{
	/* of exactly this size, so that a sanitizer notices a byte too many */
	char *messages = malloc(size + 1);
	memcpy(messages, bytes, size);
	messages[size] = '\0';
	struct argument arguments[] = { { "", 0 }, { "0", 1 }, { messages, size }, { offset, strlen(offset) } };
	struct record record = { .count = 4, .arguments = arguments };
	int result = netlink_copy(it, &record, 0x01020304);
	int error = errno;
	free(messages);
	errno = error;
	return result;
}

static void test_offsets(void)
{
	static const char *const outside[] = {
		"5", "8", "9", "4294967295", "4294967292", "18446744073709551615", "18446744073709551612", "-4",
	};
	struct netlink it;

	ok(copy_with("01234567", 8, "4", &it) == 0 && !memcmp(it.messages, "0123\4\3\2\1", 8), "at the end there is room");
	netlink_free(&it);
	for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
		ok(copy_with("01234567", 8, outside[i], &it) == -1 && errno == EBADMSG && !it.messages,
		   "offset %s is outside", outside[i]);
	ok(copy_with("012", 3, "0", &it) == -1 && errno == EBADMSG, "three bytes have no room for four");
	ok(copy_with("", 0, "0", &it) == -1 && errno == EBADMSG, "nothing has no room");
}

/* A message of 17 bytes in a buffer of 17 has no padding to skip. */
static void test_a_last_message_without_padding(void)
{
	struct nlmsghdr header = { .nlmsg_len = sizeof header + 1, .nlmsg_type = NLMSG_DONE, .nlmsg_flags = NLM_F_ACK };
	char *messages = malloc(sizeof header + 1);

	memcpy(messages, &header, sizeof header);
	messages[sizeof header] = 0;
	ok(answers(messages, sizeof header + 1) == 1, "its answer is counted");
	ok(read_answers(messages, sizeof header + 1) == 0, "it holds no answer");
	free(messages);
}

static void test_mutated(void)
{
	size_t failed = 0;

	for (int run = 0; run < 20000; run++) {
		uint32_t size = random_number() % 80;
		char *received = malloc(size ? size : 1);
		for (uint32_t i = 0; i < size; i++)
			received[i] = random_number() % 3 ? 0 : random_number() % 24;
		failed += read_answers(received, size) < 0;
		answers(received, size);
		free(received);
	}
	ok(failed < 20000, "20000 answers at random, %zu of them errors", failed);
}

int main(void)
{
	test_offsets();
	test_a_last_message_without_padding();
	test_mutated();
	return done();
}
