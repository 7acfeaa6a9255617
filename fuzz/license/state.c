#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "license/license.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* A state that reads can be written, reads as the same again, and merges with itself to itself.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct license_state state, again;
	struct buffer buffer = {0}, second = {0};
	rh_error error;

	if (license_state_parse(&state, data, size, &error) != RH_OK) {
		require(error.code == RH_E_LICENSE_INVALID && error.text[0] != '\0');
		return 0;
	}
	require(license_state_format(&state, &buffer, &error) == RH_OK);
	require(license_state_parse(&again, buffer.data, buffer.size, &error) == RH_OK);
	require(license_state_format(&again, &second, &error) == RH_OK);
	require(
	    buffer.size == second.size && memcmp(buffer.data, second.data, buffer.size) == 0);
	require(!license_state_merge(&again, &state));
	buffer_free(&buffer);
	buffer_free(&second);
	return 0;
}
