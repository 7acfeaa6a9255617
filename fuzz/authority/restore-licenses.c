#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		.path = MESSAGE_LICENSES                                                       \
	}
FUZZ_MESSAGE(restore_request, START)
