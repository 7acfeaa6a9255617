#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		.path = MESSAGE_COMMIT                                                         \
	}
FUZZ_MESSAGE(restore_request, START)
