#include "statement.h"

static int check(const char *text)
{
	static const uint8_t leaves[3][DIGEST_SIZE] = {{1}, {2}, {3}};

	return grants_check(text, &keys, SERVICE, COMPUTER, leaves, 3, NULL);
}

FUZZ_STATEMENT(TYPE_GRANTS, true, check)
