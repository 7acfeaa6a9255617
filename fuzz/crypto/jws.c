/*
 * Any bytes as a signed statement, and, if a line feed is in them, as the header and the claims
 * of one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t size)
{
	struct jws jws = {0};
	int code = jws_read(&jws, text, size, "t", NULL);

	if (code != RH_OK && code != RH_E_LICENSE_INVALID)
		abort();
	if (code == RH_OK) {
		if (!json_is_object(jws.claims) ||
		    (jws.key_id[0] != '\0') == (jws.key != NULL) ||
		    jws.signed_size >= jws.size || jws.text[jws.signed_size] != '.')
			abort();
		code = jws_verify(&jws, NULL, NULL);
		if (code != RH_OK && code != RH_E_LICENSE_SIGNATURE)
			abort();
	}
	jws_free(&jws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = memchr(data, '\n', size);
	char *text, *p;
	size_t header;

	check((const char *)data, size);
	if (line == NULL)
		return 0;
	header = (size_t)(line - data);
	text = malloc(BASE64_SIZE(size) + 8);
	if (text == NULL)
		abort();
	p = text + base64_encode(text, data, header, BASE64_URL | BASE64_NO_PAD);
	*p++ = '.';
	p += base64_encode(p, line + 1, size - header - 1, BASE64_URL | BASE64_NO_PAD);
	*p++ = '.';
	check(text, (size_t)(p - text));
	free(text);
	return 0;
}
