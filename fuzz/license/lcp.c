#include <stdlib.h>

#include "record.h"

/* Any bytes as a Readium LCP licence: an error, or a whole record. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	record_read(data, size, "lcp");
	return 0;
}
