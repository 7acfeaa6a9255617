#ifndef TESTS_BACKUP_FROZEN_H
#define TESTS_BACKUP_FROZEN_H

#include <stdio.h>

#include "sample.h"

/* What is in the backups under frozen/: none of it ever changes. */

#define FROZEN_COUNT 24
#define FROZEN_FRAME 2 /* licences of a frame */
#define FROZEN_DOCUMENT 200
#define FROZEN_COMPUTER "00112233445566778899aabbccddeeff"
#define FROZEN_SERVICE "https://service.example/"
#define FROZEN_KEY "a.b.c.d.e"
#define FROZEN_OWNER "k.l.m"
#define FROZEN_ISSUERS "{\"issuers\":[]}"
#define FROZEN_FACTS_SIZE 32

static inline size_t frozen_facts(char text[FROZEN_FACTS_SIZE], unsigned i)
{
	return (size_t)snprintf(text, FROZEN_FACTS_SIZE, "facts of %u", i);
}

/* Of those that have a secret. */
static inline bool frozen_sealed(unsigned i)
{
	return i % 6 == 0;
}

#endif
