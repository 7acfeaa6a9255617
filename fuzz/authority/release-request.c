#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		.proof = NULL                                                                  \
	}
FUZZ_MESSAGE(release_request, START)
