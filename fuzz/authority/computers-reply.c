#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		NULL, NULL, NULL                                                               \
	}
FUZZ_MESSAGE(computers_reply, START)
