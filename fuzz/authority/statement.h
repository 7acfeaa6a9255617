#ifndef FUZZ_AUTHORITY_STATEMENT_H
#define FUZZ_AUTHORITY_STATEMENT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "authority/message.h"
#include "crypto/jsontext.h"

/*
 * Any bytes as a statement, and as the claims of one that is signed well: checked, or refused
 * with one of three codes.
 */

#define SERVICE "https://licences.example/lms"
#define COMPUTER "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define NONCE "nonce-1"

static struct jose_key *key;
static struct jose_set keys;

static inline void statement_begin(void)
{
	static const uint8_t secret[KEY_SIZE] = {1};

	if (key == NULL && (jose_key_private(secret, &key, NULL) != RH_OK ||
			       jose_set_read(&keys, jose_key_jwk(key),
				   strlen(jose_key_jwk(key)), NULL, NULL) != RH_OK))
		abort();
}

static inline void statement_code(int code)
{
	if (code != RH_OK && code != RH_E_LICENSE_INVALID && code != RH_E_LICENSE_SIGNATURE &&
	    code != RH_E_LICENSE_ISSUER)
		abort();
}

/* The statement with ${data} as its claims; NULL if they are none. */
static inline char *statement_of(
    const char *type, bool service, const uint8_t *data, size_t size)
{
	const char *id = service ? jose_key_thumbprint(key) : NULL;
	json_t *claims = NULL;
	char *text = NULL;
	int code = RH_E_LICENSE_INVALID;

	if (jsontext_read(data, size, &claims, NULL) == RH_OK && json_is_object(claims))
		code = jws_sign(key, type, id, claims, &text, NULL);
	json_decref(claims);
	if (code != RH_OK && code != RH_E_LICENSE_INVALID && code != RH_E_ARGUMENT)
		abort();
	return text;
}

#define FUZZ_STATEMENT(type, service, check)                                                   \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);                          \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                           \
	{                                                                                      \
		char *text = calloc(1, size + 1), *made;                                       \
                                                                                               \
		statement_begin();                                                             \
		if (text == NULL)                                                              \
			abort();                                                               \
		memcpy(text, data, size);                                                      \
		statement_code(check(text));                                                   \
		free(text);                                                                    \
		made = statement_of(type, service, data, size);                                \
		if (made != NULL)                                                              \
			statement_code(check(made));                                           \
		free(made);                                                                    \
		return 0;                                                                      \
	}

#endif
