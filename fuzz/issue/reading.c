#include <stdlib.h>

#include "issue/reading.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes as a signed licence: an error, or parts that can be asked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parts parts = {.header = NULL};
	rh_error error = {0};

	if (parts_read((const char *)data, size, &parts, &error) != RH_OK) {
		if (parts.header != NULL || error.text[0] == '\0')
			abort();
		return 0;
	}
	if (parts_check(&parts, &error) == RH_OK &&
	    json_object_get(parts.claims, "jti") == NULL)
		abort();
	parts_clear(&parts);
	return 0;
}
