#define _GNU_SOURCE
#include "common/plan.h"
#include "common/ops.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The kinds of an operation's arguments, by its number; the "=" marks numbers that exist. */
static const char kinds[][10] = {
#define X(number, name, arguments) [number] = "=" arguments,
	OPERATIONS(X)
#undef X
};

static bool is_number(const struct argument *argument, int base)
{
	char *end;

	errno = 0;
	strtoull(argument->text, &end, base);
	return isxdigit((unsigned char)*argument->text) && end == argument->text + argument->length && errno == 0;
}

static bool is_of_kind(char kind, const struct argument *argument)
{
	switch (kind) {
	case 'n': return is_number(argument, 10);
	case 'o': return is_number(argument, 8);
	case 'x': return is_number(argument, 16);
	case 'i': return is_number(&(struct argument){ argument->text + (*argument->text == '-'),
						       argument->length - (*argument->text == '-') }, 10);
	default: return true;
	}
}

static bool is_operation(const struct record *record)
{
	const char *kind = record->operation < sizeof kinds / sizeof *kinds ? kinds[record->operation] : "";
	bool again = false;

	if (*kind++ != '=')
		return false;
	for (uint32_t i = 0; i < record->count; i++) {
		if (!*kind || !is_of_kind(*kind, &record->arguments[i]))
			return false;
		again = kind[1] == '*' || kind[1] == '+';
		kind += !again;
	}
	return !*kind || kind[1] == '*' || again;
}

/* The plan comes from our own Python, but a truncated one must end in an error, not in a stray pointer. */
struct reader {
	const char *at, *end;
};

static int take_u32(struct reader *r, uint32_t *value)
{
	if (r->end - r->at < 4)
		return -1;
	memcpy(value, r->at, 4);
	r->at += 4;
	return 0;
}

static int take_argument(struct reader *r, struct argument *argument)
{
	if (take_u32(r, &argument->length) < 0 || (size_t)(r->end - r->at) <= argument->length)
		return -1;
	argument->text = r->at;
	r->at += argument->length;
	return *r->at++ == '\0' ? 0 : -1;
}

/* With `plan->records` NULL only counts, so that one pass can size the index and a second fill it. */
static int scan(struct plan *plan, struct argument *arguments, size_t *argument_count)
{
	struct reader r = { plan->memory, (char *)plan->memory + plan->size };
	size_t used = 0;

	plan->count = 0;
	while (r.at < r.end) {
		uint32_t operation, count;
		if (take_u32(&r, &operation) < 0 || take_u32(&r, &count) < 0)
			return -1;
		if (plan->records)
			plan->records[plan->count] = (struct record){ operation, count, arguments + used };
		for (uint32_t i = 0; i < count; i++, used++) {
			struct argument argument;
			if (take_argument(&r, &argument) < 0)
				return -1;
			if (plan->records)
				arguments[used] = argument;
		}
		if (plan->records && !is_operation(&plan->records[plan->count]))
			return -1;
		plan->count++;
	}
	*argument_count = used;
	return 0;
}

int plan_read(int fd, struct plan *plan)
{
	struct stat st;
	size_t arguments;

	memset(plan, 0, sizeof *plan);
	if (fstat(fd, &st) < 0)
		return -1;
	plan->size = st.st_size;
	plan->memory = mmap(NULL, plan->size ? plan->size : 1, PROT_READ, MAP_PRIVATE, fd, 0);
	if (plan->memory == MAP_FAILED)
		return -1;
	if (scan(plan, NULL, &arguments) < 0)
		goto wrong;
	/* mmap, not malloc: the monitor returns all of it to the kernel once the container runs */
	plan->index_size = plan->count * sizeof(struct record) + (arguments + 1) * sizeof(struct argument);
	plan->index = mmap(NULL, plan->index_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (plan->index == MAP_FAILED)
		return -1;
	plan->records = plan->index;
	if (scan(plan, (struct argument *)(plan->records + plan->count), &arguments) == 0)
		return 0;
wrong:
	errno = EBADMSG;
	return -1;
}

void plan_free(struct plan *plan)
{
	munmap(plan->index, plan->index_size);
	munmap(plan->memory, plan->size ? plan->size : 1);
	memset(plan, 0, sizeof *plan);
}

const char *text(const struct record *record, uint32_t i)
{
	return i < record->count ? record->arguments[i].text : "";
}

uint32_t length(const struct record *record, uint32_t i)
{
	return i < record->count ? record->arguments[i].length : 0;
}

uint64_t number(const struct record *record, uint32_t i)
{
	return strtoull(text(record, i), NULL, 10);
}

uint64_t octal(const struct record *record, uint32_t i)
{
	return strtoull(text(record, i), NULL, 8);
}

uint64_t hexadecimal(const struct record *record, uint32_t i)
{
	return strtoull(text(record, i), NULL, 16);
}

const struct record *plan_find(const struct plan *plan, uint32_t operation)
{
	for (uint32_t i = 0; i < plan->count; i++)
		if (plan->records[i].operation == operation)
			return &plan->records[i];
	return NULL;
}

void plan_leave_out(struct plan *plan, uint32_t operation)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < plan->count; i++)
		if (plan->records[i].operation != operation)
			plan->records[kept++] = plan->records[i];
	plan->count = kept;
}

char **vector(const struct record *record, uint32_t first)
{
	uint32_t count = record->count > first ? record->count - first : 0;
	char **all = calloc(count + 1, sizeof *all);

	for (uint32_t i = 0; all && i < count; i++)
		all[i] = (char *)record->arguments[first + i].text;
	return all;
}
