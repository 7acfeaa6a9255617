/* Any bytes as JSON: read as jansson alone reads them, and written so that they read the same.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/jsontext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool mark = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0;
	const char *text = (const char *)data + (mark ? 3 : 0);
	struct buffer out = {0};
	json_t *value = NULL, *again = NULL;
	json_t *expected =
	    json_loadb(text, size - (mark ? 3 : 0), JSON_REJECT_DUPLICATES, NULL);
	int code = jsontext_read(data, size, &value, NULL);

	if (code != (expected != NULL ? RH_OK : RH_E_LICENSE_INVALID))
		abort();
	if (code == RH_OK &&
	    (!json_equal(value, expected) || jsontext_write(value, &out, NULL) != RH_OK ||
		jsontext_read(out.data, out.size, &again, NULL) != RH_OK ||
		!json_equal(again, value)))
		abort();
	json_decref(value);
	json_decref(again);
	json_decref(expected);
	buffer_free(&out);
	return 0;
}
