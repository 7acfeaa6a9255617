#include <stdlib.h>

#include "record.h"

/* Any bytes as an XMR licence: an error, or whole records. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	record_read(data, size, "xmr");
	return 0;
}
