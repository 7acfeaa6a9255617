#ifndef ISSUE_MEMORY_H
#define ISSUE_MEMORY_H

/*
 * Every string and object of jansson is wiped when it is freed, since some hold private
 * keys, and libjose makes many of them.  Without memory the program ends: jansson
 * would go on with characters missing.  Once, before anything else.
 */
void memory_start(void);

#endif
