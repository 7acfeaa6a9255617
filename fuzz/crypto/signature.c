/* A public key, a signature and what it signs: the first two end with a line feed. */
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes a line off the input as text, for free(). */
static char *take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data, '\n', *size);
	size_t length = end != NULL ? (size_t)(end - *data) : *size;
	char *text = malloc(length + 1);

	if (text == NULL)
		abort();
	memcpy(text, *data, length);
	text[length] = '\0';
	length += end != NULL;
	*data += length;
	*size -= length;
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *jwk, *jws;
	int code;

	if (size == 0)
		return 0;
	jwk = take_line(&data, &size);
	jws = take_line(&data, &size);
	code = es256_verify_detached(jwk, jws, data, size, NULL);
	if (code != RH_OK && code != RH_E_BACKUP_CORRUPT)
		abort();
	free(jwk);
	free(jws);
	return 0;
}
