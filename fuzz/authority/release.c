#include "statement.h"

static int check(const char *text)
{
	char who[JOSE_THUMBPRINT_SIZE];

	return release_check(text, SERVICE, COMPUTER, NONCE, who, NULL);
}

FUZZ_STATEMENT(TYPE_RELEASE, false, check)
