#include <stdlib.h>

#include "record.h"

/* Any bytes as a version 1 licence: an error, or whole records. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	record_read(data, size, "drmv1");
	return 0;
}
