#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		.head = NULL                                                                   \
	}
FUZZ_MESSAGE(release_reply, START)
