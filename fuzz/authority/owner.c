#include "statement.h"

static int check(const char *text)
{
	char who[JOSE_THUMBPRINT_SIZE], release[JOSE_THUMBPRINT_SIZE] = "";
	int code = owner_check(text, SERVICE, who, release, NULL);

	if (strlen(release) != (code == RH_OK ? JOSE_THUMBPRINT_SIZE - 1 : 0))
		abort();
	return code;
}

FUZZ_STATEMENT(TYPE_OWNER, false, check)
