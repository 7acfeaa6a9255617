#ifndef FUZZ_AUTHORITY_MESSAGE_H
#define FUZZ_AUTHORITY_MESSAGE_H

#include <stdlib.h>
#include <string.h>

#include "authority/message.h"

/*
 * Any bytes as a message: refused as malformed, or read; what was read is written, and that
 * is read and written again as the same text.
 */
#define FUZZ_MESSAGE(type, start)                                                              \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);                          \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                           \
	{                                                                                      \
		struct type message = start, again = start;                                    \
		struct buffer first = {0}, second = {0};                                       \
		int code = type##_read(&message, data, size, NULL);                            \
                                                                                               \
		if (code != RH_OK && code != RH_E_LICENSE_INVALID)                             \
			abort();                                                               \
		if (code == RH_OK) {                                                           \
			if (type##_write(&message, &first, NULL) != RH_OK ||                   \
			    type##_read(&again, first.data, first.size, NULL) != RH_OK ||      \
			    type##_write(&again, &second, NULL) != RH_OK ||                    \
			    first.size != second.size ||                                       \
			    memcmp(first.data, second.data, first.size) != 0)                  \
				abort();                                                       \
			type##_free(&again);                                                   \
		}                                                                              \
		type##_free(&message);                                                         \
		buffer_free(&first);                                                           \
		buffer_free(&second);                                                          \
		return 0;                                                                      \
	}

#endif
