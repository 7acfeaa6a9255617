#include "statement.h"

static int check(const char *text)
{
	char who[JOSE_THUMBPRINT_SIZE];

	return claim_check(text, SERVICE, COMPUTER, who, NULL);
}

FUZZ_STATEMENT(TYPE_CLAIM, false, check)
