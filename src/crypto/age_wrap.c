#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/bytes.h"
#include "crypto/internal.h"
#include "crypto/age_header.h"

/* C2SP age.md, "X25519 recipient stanza" and "The scrypt recipient type". */

#define X25519_INFO "age-encryption.org/v1/X25519"
#define SCRYPT_LABEL "age-encryption.org/v1/scrypt"
#define SCRYPT_R 8
#define SCRYPT_P 1

/* A wrap key is used once, so its nonce is 0. */
static const uint8_t zero_nonce[AEAD_NONCE_SIZE];

static int wrap(uint8_t wrapped[AGE_WRAPPED_SIZE], const uint8_t key[KEY_SIZE],
    const uint8_t file_key[AGE_FILE_KEY_SIZE], rh_error *error)
{
	struct aead *aead;
	int code = aead_new(AEAD_CHACHA20_POLY1305, key, true, &aead, error);

	if (code != RH_OK)
		return code;
	code =
	    aead_seal(aead, zero_nonce, NULL, 0, file_key, AGE_FILE_KEY_SIZE, wrapped, error);
	aead_free(aead);
	return code;
}

static int unwrap(uint8_t file_key[AGE_FILE_KEY_SIZE], const uint8_t key[KEY_SIZE],
    const uint8_t wrapped[AGE_WRAPPED_SIZE], bool *ret_fits, rh_error *error)
{
	struct aead *aead;
	int code = aead_new(AEAD_CHACHA20_POLY1305, key, false, &aead, error);

	if (code != RH_OK)
		return code;
	code = aead_open(
	    aead, zero_nonce, NULL, 0, wrapped, AGE_WRAPPED_SIZE, file_key, ret_fits, error);
	aead_free(aead);
	return code;
}

/* X25519 (RFC 7748, section 6.1); ${bad} if the result is all 0, a point of low order. */
static int x25519(uint8_t shared[AGE_KEY_SIZE], const uint8_t secret[AGE_KEY_SIZE],
    const uint8_t point[AGE_KEY_SIZE], int bad, const char *what, rh_error *error)
{
	static const uint8_t zero[AGE_KEY_SIZE];
	EVP_PKEY *mine, *theirs;
	EVP_PKEY_CTX *context = NULL;
	size_t size = AGE_KEY_SIZE;
	int code = RH_OK;

	crypto_begin();
	mine = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, secret, AGE_KEY_SIZE);
	theirs = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, point, AGE_KEY_SIZE);
	if (mine != NULL && theirs != NULL)
		context = EVP_PKEY_CTX_new_from_pkey(NULL, mine, NULL);
	if (context == NULL || EVP_PKEY_derive_init(context) != 1 ||
	    EVP_PKEY_derive_set_peer(context, theirs) != 1)
		code = crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot compute X25519");
	/* libcrypto fails where the result is 0. */
	else if (EVP_PKEY_derive(context, shared, &size) != 1)
		code = crypto_failed(error, bad, what);
	else if (bytes_equal(shared, zero, sizeof zero))
		code = error_set(error, bad, "%s", what);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(theirs);
	EVP_PKEY_free(mine);
	return code;
}

static int x25519_wrap_key(uint8_t key[KEY_SIZE], const uint8_t shared[AGE_KEY_SIZE],
    const uint8_t share[AGE_KEY_SIZE], const struct age_recipient *recipient, rh_error *error)
{
	uint8_t salt[2 * AGE_KEY_SIZE];

	memcpy(salt, share, AGE_KEY_SIZE);
	memcpy(salt + AGE_KEY_SIZE, recipient->key, AGE_KEY_SIZE);
	return hkdf_sha256(
	    key, KEY_SIZE, shared, AGE_KEY_SIZE, salt, sizeof salt, X25519_INFO, error);
}

int age_wrap_x25519(struct age_stanza *stanza, const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const struct age_recipient *recipient, rh_error *error)
{
	struct age_identity ephemeral;
	uint8_t shared[AGE_KEY_SIZE], key[KEY_SIZE];
	int code;

	stanza->type = AGE_STANZA_X25519;
	code = age_identity_generate(&ephemeral, error);
	if (code != RH_OK)
		return code;
	memcpy(stanza->share, ephemeral.recipient.key, AGE_KEY_SIZE);
	code = x25519(shared, ephemeral.secret, recipient->key, RH_E_RECIPIENT,
	    "the age recipient is no valid key", error);
	if (code == RH_OK)
		code = x25519_wrap_key(key, shared, stanza->share, recipient, error);
	if (code == RH_OK)
		code = wrap(stanza->wrapped, key, file_key, error);
	bytes_wipe(&ephemeral, sizeof ephemeral);
	bytes_wipe(shared, sizeof shared);
	bytes_wipe(key, sizeof key);
	return code;
}

static int unwrap_x25519(uint8_t file_key[AGE_FILE_KEY_SIZE], const struct age_stanza *stanza,
    const struct age_identity *identity, bool *ret_fits, rh_error *error)
{
	uint8_t shared[AGE_KEY_SIZE], key[KEY_SIZE];
	int code;

	code = x25519(shared, identity->secret, stanza->share, RH_E_BACKUP_CORRUPT,
	    "the header of the encrypted file is damaged: an X25519 share is no valid key",
	    error);
	if (code == RH_OK)
		code = x25519_wrap_key(key, shared, stanza->share, &identity->recipient, error);
	if (code == RH_OK)
		code = unwrap(file_key, key, stanza->wrapped, ret_fits, error);
	bytes_wipe(shared, sizeof shared);
	bytes_wipe(key, sizeof key);
	return code;
}

static int scrypt_wrap_key(uint8_t key[KEY_SIZE], const struct age_stanza *stanza,
    const char *passphrase, rh_error *error)
{
	uint8_t salt[sizeof SCRYPT_LABEL - 1 + AGE_SALT_SIZE];
	uint64_t n = (uint64_t)1 << stanza->work;
	uint32_t r = SCRYPT_R, p = SCRYPT_P;
	/* RFC 7914, section 6: B, V and X, rounded up. */
	uint64_t memory = 128 * SCRYPT_R * (n + SCRYPT_P + 3);
	EVP_KDF *algorithm;
	EVP_KDF_CTX *context = NULL;
	OSSL_PARAM params[7];
	int code = RH_OK;

	memcpy(salt, SCRYPT_LABEL, sizeof SCRYPT_LABEL - 1);
	memcpy(salt + sizeof SCRYPT_LABEL - 1, stanza->salt, AGE_SALT_SIZE);
	params[0] = OSSL_PARAM_construct_octet_string(
	    OSSL_KDF_PARAM_PASSWORD, (void *)passphrase, strlen(passphrase));
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof salt);
	params[2] = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n);
	params[3] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r);
	params[4] = OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p);
	params[5] = OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory);
	params[6] = OSSL_PARAM_construct_end();

	crypto_begin();
	algorithm = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	if (algorithm != NULL)
		context = EVP_KDF_CTX_new(algorithm);
	if (context == NULL || EVP_KDF_derive(context, key, KEY_SIZE, params) != 1)
		code = crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot compute scrypt");
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(algorithm);
	return code;
}

int age_wrap_scrypt(struct age_stanza *stanza, const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const char *passphrase, unsigned work, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code;

	stanza->type = AGE_STANZA_SCRYPT;
	stanza->work = work;
	code = random_bytes(stanza->salt, sizeof stanza->salt, error);
	if (code == RH_OK)
		code = scrypt_wrap_key(key, stanza, passphrase, error);
	if (code == RH_OK)
		code = wrap(stanza->wrapped, key, file_key, error);
	bytes_wipe(key, sizeof key);
	return code;
}

static int unwrap_scrypt(uint8_t file_key[AGE_FILE_KEY_SIZE], const struct age_stanza *stanza,
    const char *passphrase, bool *ret_fits, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code = scrypt_wrap_key(key, stanza, passphrase, error);

	if (code == RH_OK)
		code = unwrap(file_key, key, stanza->wrapped, ret_fits, error);
	bytes_wipe(key, sizeof key);
	return code;
}

int age_unwrap(uint8_t file_key[AGE_FILE_KEY_SIZE], const struct age_header *header,
    const struct age_keys *keys, rh_error *error)
{
	bool fits = false;
	int code = RH_OK;

	if (keys->identity_count == 0 && keys->passphrase == NULL)
		return error_set(
		    error, RH_E_SECRET_NEEDED, "a key is needed to open the encrypted file");
	/* A scrypt stanza is alone, so the order of the two kinds does not matter. */
	if (header->stanzas[0].type == AGE_STANZA_SCRYPT && keys->passphrase != NULL)
		code = unwrap_scrypt(
		    file_key, &header->stanzas[0], keys->passphrase, &fits, error);
	for (size_t i = 0; i < keys->identity_count; i++)
		for (size_t k = 0; k < header->count && code == RH_OK && !fits; k++)
			if (header->stanzas[k].type == AGE_STANZA_X25519)
				code = unwrap_x25519(file_key, &header->stanzas[k],
				    &keys->identities[i], &fits, error);
	if (code == RH_OK && !fits)
		code = error_set(
		    error, RH_E_SECRET_WRONG, "no given key opens the encrypted file");
	return code;
}
