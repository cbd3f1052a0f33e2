#include "unpack/numbers.h"
#include "unpack/outcome.h"

#include <stdbool.h>
#include <string.h>

int64_t number(const char *field, size_t size)
{
	const unsigned char *byte = (const unsigned char *)field;
	uint64_t value = 0;
	size_t i = 0;

	if (byte[0] & 0x80) {
		bool negative = byte[0] & 0x40;
		for (; i < size; i++) {
			if (value >> 55)
				refuse("a number is too large");
			unsigned digit = (i == 0 ? byte[0] & 0x7f : byte[i]) ^ (negative ? (i == 0 ? 0x7f : 0xff) : 0);
			value = value << 8 | digit;
		}
		return negative ? -(int64_t)value - 1 : (int64_t)value;
	}
	while (i < size && (field[i] == ' ' || field[i] == '\0'))
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (field[i] - '0');
	for (; i < size; i++)
		if (field[i] != ' ' && field[i] != '\0')
			refuse("a number is not one");
	return value;
}

uint64_t natural(int64_t value, int64_t limit)
{
	if (value < 0 || value > limit)
		refuse("a number is out of range");
	return value;
}

uint64_t decimal(const char *digits, size_t size)
{
	uint64_t value = 0;

	if (size == 0 || size > 18)
		refuse("a number is not one");
	for (; size > 0; digits++, size--) {
		if (*digits < '0' || *digits > '9')
			refuse("a number is not one");
		value = value * 10 + (*digits - '0');
	}
	return value;
}

struct timespec timestamp(const char *value, size_t size)
{
	bool negative = size > 0 && *value == '-';
	struct timespec time = { 0 };

	value += negative;
	size -= negative;
	const char *dot = memchr(value, '.', size);
	size_t whole = dot ? (size_t)(dot - value) : size;
	time.tv_sec = whole ? decimal(value, whole) : 0;
	long unit = 100000000;
	for (size_t i = whole + 1; i < size; i++, unit /= 10) {
		if (value[i] < '0' || value[i] > '9')
			refuse("a time is not one");
		time.tv_nsec += (value[i] - '0') * unit;
	}
	if (negative) {
		time.tv_sec = -time.tv_sec - (time.tv_nsec > 0);
		time.tv_nsec = time.tv_nsec > 0 ? 1000000000 - time.tv_nsec : 0;
	}
	return time;
}
