#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/bytes.h"
#include "crypto/internal.h"
#include "crypto/managed.h"

/* "rehost managed secret 1", the service's address and the licence's id, a NUL between them. */
static const char purpose[] = "rehost managed secret 1";

_Static_assert(KEY_SIZE == DIGEST_SIZE, "a key is one block of HKDF-SHA-256");

struct managed_box {
	uint8_t extracted[DIGEST_SIZE]; /* of the batch key */
	EVP_MAC_CTX *mac;
	struct aead *seal; /* NULL until it is needed, as the next one */
	struct aead *open;
	struct buffer text; /* all that the key is derived with */
};

/* ---- The key of a licence ---- */

static int derivation_failed(rh_error *error)
{
	return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot derive a key");
}

static int mac_new(EVP_MAC_CTX **ret, rh_error *error)
{
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
	    OSSL_PARAM_construct_end()};
	EVP_MAC *algorithm;

	crypto_begin();
	algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (algorithm != NULL)
		*ret = EVP_MAC_CTX_new(algorithm);
	EVP_MAC_free(algorithm);
	if (*ret == NULL || EVP_MAC_CTX_set_params(*ret, params) != 1)
		return derivation_failed(error);
	return RH_OK;
}

/* HKDF-Expand (RFC 5869, section 2.3) of one block; what the text holds is the info. */
static int derive(struct managed_box *box, uint8_t ret[KEY_SIZE], rh_error *error)
{
	static const uint8_t block = 1;

	crypto_begin();
	if (EVP_MAC_init(box->mac, box->extracted, sizeof box->extracted, NULL) != 1 ||
	    EVP_MAC_update(box->mac, box->text.data, box->text.size) != 1 ||
	    EVP_MAC_update(box->mac, &block, sizeof block) != 1 ||
	    EVP_MAC_final(box->mac, ret, NULL, KEY_SIZE) != 1) {
		bytes_wipe(ret, KEY_SIZE);
		return derivation_failed(error);
	}
	return RH_OK;
}

/* The cipher under the licence's key, and the text with its id. */
static int prepare(struct managed_box *box, const char *service, const char *id, bool seal,
    struct aead **aead, rh_error *error)
{
	uint8_t key[KEY_SIZE] = {0};
	int code;

	buffer_clear(&box->text);
	code = buffer_append(&box->text, purpose, sizeof purpose, error);
	if (code == RH_OK)
		code = buffer_append(&box->text, service, strlen(service) + 1, error);
	if (code == RH_OK)
		code = buffer_append(&box->text, id, strlen(id), error);
	if (code == RH_OK)
		code = derive(box, key, error);
	if (code == RH_OK && *aead != NULL)
		code = aead_rekey(*aead, key, error);
	else if (code == RH_OK)
		code = aead_new(AEAD_AES_256_GCM, key, seal, aead, error);
	bytes_wipe(key, sizeof key);
	return code;
}

/* Behind the purpose: what the secret is bound to. */
static const uint8_t *associated(const struct managed_box *box, size_t *ret_size)
{
	*ret_size = box->text.size - sizeof purpose;
	return box->text.data + sizeof purpose;
}

/* ---- Many ---- */

int managed_box_new(
    const uint8_t batch_key[KEY_SIZE], struct managed_box **ret, rh_error *error)
{
	static const uint8_t salt[DIGEST_SIZE];
	struct managed_box *box = calloc(1, sizeof *box);
	int code;

	if (box == NULL)
		return error_memory(error);
	code = hmac_sha256(box->extracted, salt, sizeof salt, batch_key, KEY_SIZE, error);
	if (code == RH_OK)
		code = mac_new(&box->mac, error);
	if (code != RH_OK) {
		managed_box_free(box);
		return code;
	}
	*ret = box;
	return RH_OK;
}

int managed_box_seal(struct managed_box *box, const char *service, const char *id,
    const void *secret, size_t size, struct buffer *ret, rh_error *error)
{
	const uint8_t *bound;
	size_t bound_size;
	uint8_t *out;
	int code;

	if (size > MANAGED_SECRET_MAX - SEAL_OVERHEAD)
		return error_set(
		    error, RH_E_LICENSE_TOO_BIG, "licence %s has too long a secret", id);
	code = prepare(box, service, id, true, &box->seal, error);
	if (code == RH_OK)
		code = buffer_reserve(ret, size + SEAL_OVERHEAD, error);
	if (code != RH_OK)
		return code;
	out = ret->data + ret->size;
	code = random_bytes(out, AEAD_NONCE_SIZE, error);
	if (code == RH_OK) {
		bound = associated(box, &bound_size);
		code = aead_seal(box->seal, out, bound, bound_size, secret, size,
		    out + AEAD_NONCE_SIZE, error);
	}
	if (code == RH_OK)
		ret->size += size + SEAL_OVERHEAD;
	return code;
}

int managed_box_open(struct managed_box *box, const char *service, const char *id,
    const void *sealed, size_t size, struct buffer *ret, rh_error *error)
{
	const uint8_t *nonce = sealed, *bound;
	bool authentic = false;
	size_t bound_size;
	int code;

	if (size < SEAL_OVERHEAD || size > MANAGED_SECRET_MAX)
		return error_set(
		    error, RH_E_LICENSE_DAMAGED, "the sealed secret of %s has no size", id);
	code = prepare(box, service, id, false, &box->open, error);
	if (code == RH_OK)
		code = buffer_reserve(ret, size - SEAL_OVERHEAD + 1, error);
	if (code == RH_OK) {
		bound = associated(box, &bound_size);
		code = aead_open(box->open, nonce, bound, bound_size, nonce + AEAD_NONCE_SIZE,
		    size - AEAD_NONCE_SIZE, ret->data + ret->size, &authentic, error);
	}
	if (code == RH_OK && !authentic)
		code = error_set(error, RH_E_LICENSE_DAMAGED,
		    "the sealed secret of %s does not open with this key", id);
	if (code == RH_OK)
		ret->size += size - SEAL_OVERHEAD;
	return code;
}

void managed_box_free(struct managed_box *box)
{
	if (box == NULL)
		return;
	aead_free(box->seal);
	aead_free(box->open);
	EVP_MAC_CTX_free(box->mac);
	buffer_free(&box->text);
	bytes_wipe(box, sizeof *box);
	free(box);
}

/* ---- One ---- */

int managed_seal(const uint8_t batch_key[KEY_SIZE], const char *service, const char *id,
    const void *secret, size_t size, struct buffer *ret, rh_error *error)
{
	struct managed_box *box = NULL;
	int code = managed_box_new(batch_key, &box, error);

	if (code == RH_OK)
		code = managed_box_seal(box, service, id, secret, size, ret, error);
	managed_box_free(box);
	return code;
}

int managed_open(const uint8_t batch_key[KEY_SIZE], const char *service, const char *id,
    const void *sealed, size_t size, struct buffer *ret, rh_error *error)
{
	struct managed_box *box = NULL;
	int code = managed_box_new(batch_key, &box, error);

	if (code == RH_OK)
		code = managed_box_open(box, service, id, sealed, size, ret, error);
	managed_box_free(box);
	return code;
}
