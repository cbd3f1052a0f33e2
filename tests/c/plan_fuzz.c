/* Reads randomly damaged plans. An accepted one is a valid plan: written again it is the same bytes. */
#define _GNU_SOURCE
#include "plan_in_memory.h"

#include "common/ops.h"
#include "fuzz.h"

static size_t damage(unsigned char *bytes, size_t size)
{
	return damage_bytes(bytes, size);
}

/* Compare `count` bytes with those at *at of the input, and advance. */
static void same(const unsigned char *bytes, size_t size, size_t *at, const void *expected, size_t count)
{
	check(count <= size - *at);
	check(memcmp(bytes + *at, expected, count) == 0);
	*at += count;
}

static void check_record(const struct record *record)
{
	uint32_t first = below(4);
	char **words = vector(record, first);

	check(words);
	uint32_t count = 0;
	while (words[count])
		count++;
	free(words);
	check(count == (record->count > first ? record->count - first : 0));
	for (uint32_t i = 0; i < record->count; i++)
		number(record, i);
	check(length(record, record->count) == 0 && *text(record, record->count) == '\0');
	check(number(record, record->count) == 0 && number(record, UINT32_MAX) == 0);
}

static bool try_input(const unsigned char *bytes, size_t size)
{
	struct plan plan;
	size_t at = 0;

	errno = 0;
	if (read_plan(bytes, size, &plan) < 0) {
		check(errno == EBADMSG);
		plan_free(&plan);
		return false;
	}
	for (uint32_t i = 0; i < plan.count; i++) {
		const struct record *record = &plan.records[i];
		same(bytes, size, &at, &record->operation, 4);
		same(bytes, size, &at, &record->count, 4);
		for (uint32_t j = 0; j < record->count; j++) {
			uint32_t count = length(record, j);
			same(bytes, size, &at, &count, 4);
			same(bytes, size, &at, text(record, j), count);
			same(bytes, size, &at, "", 1);
		}
		check_record(record);
		check(plan_find(&plan, record->operation)->operation == record->operation);
	}
	check(at == size);
	for (uint32_t operation = 0; operation < 256; operation++)
		plan_find(&plan, operation);
	plan_free(&plan);
	return true;
}
