#ifndef PYPOD_UNPACK_CONFINE_H
#define PYPOD_UNPACK_CONFINE_H

/* Make `directory` the root of this process and drop all privileges that creating files in it does not need: hostile
 * bytes read as root could otherwise do more harm. Ends the process through broken() on failure. */
void confine(int directory);

#endif
