#include "statement.h"

static int check(const char *text)
{
	struct head head = {.seq = -1};
	int code = head_check(text, &keys, SERVICE, &head, NULL);

	if ((code == RH_OK) != (head.seq >= 0))
		abort();
	return code;
}

FUZZ_STATEMENT(TYPE_HEAD, true, check)
