#ifndef TESTS_ENGINE_SEEN_H
#define TESTS_ENGINE_SEEN_H

#include <stdbool.h>
#include <stddef.h>

/* Every byte that somebody gets to see, and whether a secret is among them. */

void seen_tree(const char *path); /* every file below it */
void seen_text(const char *text);
void seen_clear(void);

bool seen_bytes(const void *bytes, size_t size);
/* As it is, in hex, or in base64 of whatever holds it; at most 64 bytes. */
bool seen_secret(const char *secret, size_t size);

#endif
