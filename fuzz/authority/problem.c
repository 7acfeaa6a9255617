#include "message.h"

#define START                                                                                  \
	{                                                                                      \
		.code = NULL                                                                   \
	}
FUZZ_MESSAGE(problem_reply, START)
