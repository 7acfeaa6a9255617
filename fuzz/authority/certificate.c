#include "statement.h"

static int check(const char *text)
{
	return certificate_check(text, &keys, SERVICE, COMPUTER, NULL);
}

FUZZ_STATEMENT(TYPE_COMPUTER, true, check)
