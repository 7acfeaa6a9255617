/* A compact JWE for one key of ours, and a JWK set: each input is read as both. */
#include <stdlib.h>

#include "crypto/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RFC 7515, appendix A.3: "d". */
static const uint8_t secret[KEY_SIZE] = {0x8e, 0x9b, 0x10, 0x9e, 0x71, 0x90, 0x98, 0xbf, 0x98,
    0x04, 0x87, 0xdf, 0x1f, 0x5d, 0x77, 0xe9, 0xcb, 0x29, 0x60, 0x6e, 0xbe, 0xd2, 0x26, 0x3b,
    0x5f, 0x57, 0xc2, 0x13, 0xdf, 0x84, 0xf4, 0xb2};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jose_key *key;
	struct jose_set set;
	struct buffer out = {0};
	int code;

	if (key == NULL && jose_key_private(secret, &key, NULL) != RH_OK)
		abort();
	code = jose_open(key, (const char *)data, size, &out, NULL);
	if (code != RH_OK && code != RH_E_LICENSE_CONTENT_KEY)
		abort();
	if (code == RH_OK && (out.size == 0 || out.size > JOSE_SECRET_MAX))
		abort();
	buffer_free_secret(&out);

	code = jose_set_read(&set, data, size, "issuer", NULL);
	if (code != RH_OK && code != RH_E_PIN_KEYS)
		abort();
	if (code == RH_OK) {
		if (set.count == 0 || set.count > JOSE_KEYS_MAX)
			abort();
		jose_set_free(&set);
	}
	return 0;
}
