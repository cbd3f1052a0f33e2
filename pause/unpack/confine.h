#ifndef PYPOD_UNPACK_CONFINE_H
#define PYPOD_UNPACK_CONFINE_H

/* Make `directory` the root of this process and give up all that making files in it does not need: what reads hostile
 * bytes as root could otherwise be talked into more. Ends the process through broken() when it cannot. */
void confine(int directory);

#endif
