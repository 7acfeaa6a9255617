#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		.head = NULL                                                                   \
	}
FUZZ_MESSAGE(status_reply, START)
