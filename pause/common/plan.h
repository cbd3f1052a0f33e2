#ifndef PYPOD_COMMON_PLAN_H
#define PYPOD_COMMON_PLAN_H

#include <stddef.h>
#include <stdint.h>

struct argument {
	const char *text; /* NUL-terminated */
	uint32_t length;
};

struct record {
	uint32_t operation;
	uint32_t count;
	struct argument *arguments;
};

struct plan {
	struct record *records;
	uint32_t count;
	void *memory; /* the mapped file: arguments point into it */
	size_t size;
	void *index;
	size_t index_size;
};

/* Map the plan behind `fd`, and check that each record is an operation with arguments as in ops.h. Returns 0, or -1
 * with errno; EBADMSG: it is not a plan, and `count` is the index of the wrong record. */
int plan_read(int fd, struct plan *plan);
void plan_free(struct plan *plan);

/* Argument `i` of kind `n`; the next two read kinds `o` and `x`. */
uint64_t number(const struct record *record, uint32_t i);
uint64_t octal(const struct record *record, uint32_t i);
uint64_t hexadecimal(const struct record *record, uint32_t i);
const char *text(const struct record *record, uint32_t i);
uint32_t length(const struct record *record, uint32_t i);
/* The first record of `operation`, or NULL. */
const struct record *plan_find(const struct plan *plan, uint32_t operation);
/* Take the records of `operation` out of the plan. */
void plan_leave_out(struct plan *plan, uint32_t operation);
/* NULL-terminated vector of the arguments from `first` on (points into the plan; never freed). */
char **vector(const struct record *record, uint32_t first);

#endif
