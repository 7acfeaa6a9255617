#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		.path = MESSAGE_PLAN                                                           \
	}
FUZZ_MESSAGE(restore_request, START)
