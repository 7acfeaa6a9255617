#include <string.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "crypto/bech32.h"
#include "crypto/internal.h"
#include "crypto/age.h"

/* C2SP age.md, "The X25519 recipient type". */
#define IDENTITY_PREFIX "age-secret-key-"
#define RECIPIENT_PREFIX "age"

_Static_assert(sizeof IDENTITY_PREFIX + BECH32_TAIL_LENGTH <= AGE_TEXT_SIZE, "room for text");

int age_identity_from_secret(
    struct age_identity *identity, const uint8_t secret[AGE_KEY_SIZE], rh_error *error)
{
	struct age_recipient recipient;
	size_t size = sizeof recipient.key;
	EVP_PKEY *key;
	int code = RH_OK;

	crypto_begin();
	key = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, secret, AGE_KEY_SIZE);
	if (key == NULL || EVP_PKEY_get_raw_public_key(key, recipient.key, &size) != 1)
		code = crypto_failed(
		    error, RH_E_INTERNAL, "libcrypto cannot compute an X25519 public key");
	EVP_PKEY_free(key);
	if (code != RH_OK)
		return code;
	memmove(identity->secret, secret, AGE_KEY_SIZE);
	identity->recipient = recipient;
	return RH_OK;
}

int age_identity_generate(struct age_identity *identity, rh_error *error)
{
	uint8_t secret[AGE_KEY_SIZE];
	int code = random_bytes(secret, sizeof secret, error);

	if (code == RH_OK)
		code = age_identity_from_secret(identity, secret, error);
	bytes_wipe(secret, sizeof secret);
	return code;
}

int age_identity_parse(struct age_identity *identity, const char *text, rh_error *error)
{
	uint8_t secret[AGE_KEY_SIZE];
	int code;

	if (!bech32_decode(text, IDENTITY_PREFIX, secret))
		return error_set(
		    error, RH_E_SECRET_TYPED, "the age identity has a typing error");
	code = age_identity_from_secret(identity, secret, error);
	bytes_wipe(secret, sizeof secret);
	return code;
}

void age_identity_format(char text[AGE_TEXT_SIZE], const struct age_identity *identity)
{
	bech32_encode(text, IDENTITY_PREFIX, identity->secret, true);
}

int age_recipient_parse(struct age_recipient *recipient, const char *text, rh_error *error)
{
	if (!bech32_decode(text, RECIPIENT_PREFIX, recipient->key))
		return error_set(
		    error, RH_E_RECIPIENT, "not an age recipient of the form age1...");
	return RH_OK;
}

void age_recipient_format(char text[AGE_TEXT_SIZE], const struct age_recipient *recipient)
{
	bech32_encode(text, RECIPIENT_PREFIX, recipient->key, false);
}
