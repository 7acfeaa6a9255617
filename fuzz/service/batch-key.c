#include <stdlib.h>

#include "service/keys.h"
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The batch key of a backup, as a commit brings it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer opened = {0};
	int code = service_keys_open_jwe(
	    world_service()->keys, (const char *)data, size, &opened, NULL);

	if (code != RH_OK && code != RH_E_LICENSE_CONTENT_KEY)
		abort();
	if (code == RH_OK && (opened.size == 0 || opened.size > JOSE_SECRET_MAX))
		abort();
	buffer_free_secret(&opened);
	return 0;
}
