#define _GNU_SOURCE
#include "unpack/records.h"
#include "unpack/outcome.h"

#include <string.h>

bool tar_record(const struct tar_entry *entry, size_t *at, struct tar_record *record)
{
	const char *line = entry->records + *at, *digits = line, *limit = entry->records + entry->records_size;
	size_t size = 0;

	if (line == limit)
		return false;
	for (; digits < limit && digits - line < 8 && *digits >= '0' && *digits <= '9'; digits++)
		size = size * 10 + (*digits - '0');
	if (digits == line || digits == limit || *digits != ' ' || size > (size_t)(limit - line) ||
	    line + size < digits + 3 || line[size - 1] != '\n')
		refuse("its pax header is malformed");
	record->key = digits + 1;
	record->value = memchr(record->key, '=', line + size - 1 - record->key);
	if (!record->value || record->value == record->key)
		refuse("its pax header is malformed");
	record->key_size = record->value++ - record->key;
	record->value_size = line + size - 1 - record->value;
	*at += size;
	return true;
}

bool record_is(const struct tar_record *record, const char *key)
{
	return record->key_size == strlen(key) && memcmp(record->key, key, record->key_size) == 0;
}
