#ifndef PYPOD_COMMON_LINES_H
#define PYPOD_COMMON_LINES_H

/* The number after `key` in a text of lines that begin with one; `absent` when there is none. Changes the text. Without
 * strstr(), which is a kilobyte of the monitor. */
long number_after(char *text, const char *key, long absent);

#endif
