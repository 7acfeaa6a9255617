#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		.head = NULL                                                                   \
	}
FUZZ_MESSAGE(restore_reply, START)
