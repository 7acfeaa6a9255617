/* What an owner types as a recovery key. */
#include <stdlib.h>
#include <string.h>

#include "crypto/recovery_code.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct age_identity identity, again;
	char *text = malloc(size + 1), code[RECOVERY_CODE_SIZE], key[AGE_TEXT_SIZE];
	int result;

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	result = recovery_key_parse(&identity, text, NULL);
	free(text);
	if (result != RH_OK) {
		if (result != RH_E_SECRET_TYPED)
			abort();
		return 0;
	}
	/* What was read can be written, in both forms, and read again. */
	recovery_code_format(code, &identity);
	if (recovery_key_parse(&again, code, NULL) != RH_OK ||
	    memcmp(&again, &identity, sizeof again) != 0)
		abort();
	age_identity_format(key, &identity);
	if (recovery_key_parse(&again, key, NULL) != RH_OK ||
	    memcmp(&again, &identity, sizeof again) != 0)
		abort();
	return 0;
}
