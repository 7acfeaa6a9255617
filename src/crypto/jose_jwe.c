#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/internal.h"
#include "crypto/jose_key.h"
#include "crypto/jsontext.h"

#define ALGORITHM "ECDH-ES+A256KW"
#define ENCRYPTION "A256GCM"
#define HEADER_START                                                                           \
	"{\"alg\":\"" ALGORITHM "\",\"enc\":\"" ENCRYPTION "\",\"epk\":" /* JWK                \
									  */
#define HEADER_MAX 4096 /* bytes of a protected header */
#define WRAPPED_SIZE (KEY_SIZE + 8 /* integrity check (RFC 3394, section 2.2.1) */)
#define KEY_ID_ESCAPED (6 * JOSE_KEY_ID_SIZE + 2) /* as JSON text */

static int content_key(rh_error *error, const char *what)
{
	return error_set(error, RH_E_LICENSE_CONTENT_KEY, "the content key %s", what);
}

int jose_concat_kdf(uint8_t out[KEY_SIZE], const uint8_t z[32], const char *algorithm,
    struct jose_party u, struct jose_party v, unsigned bits, rh_error *error)
{
	struct digest *digest = NULL;
	struct jose_party fields[3] = {{(const uint8_t *)algorithm, strlen(algorithm)}, u, v};
	uint8_t number[4];
	int code = digest_new(&digest, error);

	put_u32be(number, 1);
	if (code == RH_OK)
		code = digest_update(digest, number, 4, error);
	if (code == RH_OK)
		code = digest_update(digest, z, 32, error);
	for (size_t i = 0; i < 3 && code == RH_OK; i++) {
		put_u32be(number, (uint32_t)fields[i].size);
		code = digest_update(digest, number, 4, error);
		if (code == RH_OK && fields[i].size > 0)
			code = digest_update(digest, fields[i].bytes, fields[i].size, error);
	}
	put_u32be(number, bits);
	if (code == RH_OK)
		code = digest_update(digest, number, 4, error);
	if (code == RH_OK)
		code = digest_finish(digest, out, error);
	digest_free(digest);
	return code;
}

/* ECDH (SP 800-56A): x of ${peer} times ${scalar}. */
static bool agree(uint8_t z[32], const EC_GROUP *group, const EC_POINT *peer,
    const BIGNUM *scalar, BN_CTX *numbers)
{
	EC_POINT *shared = EC_POINT_new(group);
	BIGNUM *x = BN_secure_new();
	bool good = shared != NULL && x != NULL &&
		    EC_POINT_mul(group, shared, NULL, peer, scalar, numbers) == 1 &&
		    EC_POINT_get_affine_coordinates(group, shared, x, NULL, numbers) == 1 &&
		    BN_bn2binpad(x, z, 32) == 32;

	BN_clear_free(x);
	EC_POINT_clear_free(shared);
	return good;
}

/* AES key wrap (RFC 3394) of KEY_SIZE bytes; false also if what is wrapped was changed. */
static bool key_wrap(
    const uint8_t key[KEY_SIZE], bool wrap, const uint8_t *in, size_t size, uint8_t *out)
{
	EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, "AES-256-WRAP", NULL);
	EVP_CIPHER_CTX *context = algorithm != NULL ? EVP_CIPHER_CTX_new() : NULL;
	size_t expected = wrap ? WRAPPED_SIZE : KEY_SIZE;
	int done = 0;
	bool good = false;

	if (context != NULL) {
		EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
		good = EVP_CipherInit_ex2(context, algorithm, key, NULL, wrap, NULL) == 1 &&
		       EVP_CipherUpdate(context, out, &done, in, (int)size) == 1 &&
		       done == (int)expected;
	}
	EVP_CIPHER_CTX_free(context);
	EVP_CIPHER_free(algorithm);
	return good;
}

/* ---- Opening ---- */

struct part {
	const char *text;
	size_t size;
};
enum { HEADER, WRAPPED, NONCE, BODY, TAG, PARTS };

static bool split(struct part parts[PARTS], const char *jwe, size_t size)
{
	for (size_t i = 0; i < PARTS; i++) {
		const char *dot = memchr(jwe, '.', size);
		size_t length = dot != NULL ? (size_t)(dot - jwe) : size;

		if ((dot != NULL) != (i < PARTS - 1))
			return false;
		parts[i] = (struct part){jwe, length};
		jwe += length + 1;
		size -= length + (dot != NULL);
	}
	return true;
}

static bool is_text(const json_t *object, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL && strcmp(text, value) == 0;
}

static bool read_coordinate(uint8_t bytes[32], const json_t *object, const char *name)
{
	const json_t *text = json_object_get(object, name);

	return json_is_string(text) &&
	       base64_jose_read(bytes, 32, json_string_value(text), json_string_length(text));
}

/* What may be there as base64url, at most HEADER_MAX bytes. */
static bool read_party(struct jose_party *ret, uint8_t *bytes, const json_t *text)
{
	ptrdiff_t size = 0;

	if (text != NULL && !json_is_string(text))
		return false;
	if (text != NULL)
		size = base64_decode(bytes, HEADER_MAX, json_string_value(text),
		    json_string_length(text), BASE64_JOSE);
	*ret = (struct jose_party){bytes, (size_t)size};
	return size >= 0;
}

struct jwe_header {
	uint8_t epk[P256_POINT_SIZE];
	struct jose_party u, v;
	uint8_t u_bytes[HEADER_MAX], v_bytes[HEADER_MAX];
};

static bool header_fill(struct jwe_header *header, const json_t *json)
{
	const json_t *epk = json_object_get(json, "epk");

	header->epk[0] = POINT_CONVERSION_UNCOMPRESSED;
	return is_text(json, "alg", ALGORITHM) && is_text(json, "enc", ENCRYPTION) &&
	       json_object_get(json, "zip") == NULL && json_object_get(json, "crit") == NULL &&
	       is_text(epk, "kty", "EC") && is_text(epk, "crv", "P-256") &&
	       read_coordinate(header->epk + 1, epk, "x") &&
	       read_coordinate(header->epk + 33, epk, "y") &&
	       read_party(&header->u, header->u_bytes, json_object_get(json, "apu")) &&
	       read_party(&header->v, header->v_bytes, json_object_get(json, "apv"));
}

static int header_read(struct jwe_header *header, const struct part *part, rh_error *error)
{
	uint8_t bytes[HEADER_MAX];
	json_t *json = NULL;
	ptrdiff_t size =
	    base64_decode(bytes, sizeof bytes, part->text, part->size, BASE64_JOSE);
	int code;

	if (size < 0)
		return content_key(error, "has a malformed header");
	code = jsontext_read(bytes, (size_t)size, &json, NULL);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK || !header_fill(header, json))
		code = content_key(
		    error, "has no header for " ALGORITHM " and " ENCRYPTION " with P-256");
	json_decref(json);
	return code;
}

/* The key that the content's key is wrapped with. */
static int header_agree(const struct jose_key *key, const struct jwe_header *header,
    uint8_t kek[KEY_SIZE], rh_error *error)
{
	BN_CTX *numbers;
	EC_POINT *peer;
	uint8_t z[32];
	int code = RH_OK;

	crypto_begin();
	numbers = BN_CTX_secure_new();
	peer = EC_POINT_new(key->group);
	/* Says no unless the point is on the curve: all there is to check with a cofactor of 1.
	 */
	if (numbers == NULL || peer == NULL ||
	    EC_POINT_oct2point(key->group, peer, header->epk, P256_POINT_SIZE, numbers) != 1)
		code = crypto_failed(error, RH_E_LICENSE_CONTENT_KEY,
		    "the content key has an ephemeral key that is no point of P-256");
	else if (!agree(z, key->group, peer, key->scalar, numbers))
		code = p256_failed(error);
	if (code == RH_OK)
		code = jose_concat_kdf(kek, z, ALGORITHM, header->u, header->v, 256, error);
	bytes_wipe(z, sizeof z);
	EC_POINT_free(peer);
	BN_CTX_free(numbers);
	return code;
}

/* The content, with its key at hand. */
static int body_open(const struct part parts[PARTS], const uint8_t key[KEY_SIZE],
    struct buffer *ret, rh_error *error)
{
	uint8_t nonce[AEAD_NONCE_SIZE], sealed[JOSE_SECRET_MAX + AEAD_TAG_SIZE];
	ptrdiff_t size = base64_decode(
	    sealed, JOSE_SECRET_MAX, parts[BODY].text, parts[BODY].size, BASE64_JOSE);
	struct buffer out = {0};
	struct aead *aead = NULL;
	bool authentic = false;
	int code;

	if (size < 1 ||
	    !base64_jose_read(sealed + size, AEAD_TAG_SIZE, parts[TAG].text, parts[TAG].size) ||
	    !base64_jose_read(nonce, sizeof nonce, parts[NONCE].text, parts[NONCE].size))
		return content_key(error, "is no compact JWE of the right size");
	code = buffer_reserve(&out, (size_t)size, error);
	if (code == RH_OK)
		code = aead_new(AEAD_AES_256_GCM, key, false, &aead, error);
	if (code == RH_OK)
		code = aead_open(aead, nonce, parts[HEADER].text, parts[HEADER].size, sealed,
		    (size_t)size + AEAD_TAG_SIZE, out.data, &authentic, error);
	if (code == RH_OK && !authentic)
		code = content_key(error, "was changed");
	aead_free(aead);
	if (code == RH_OK) {
		out.size = (size_t)size;
		*ret = out;
	} else {
		buffer_free(&out);
	}
	return code;
}

int jose_open(const struct jose_key *key, const char *jwe, size_t size, struct buffer *ret,
    rh_error *error)
{
	struct part parts[PARTS];
	struct jwe_header header;
	uint8_t kek[KEY_SIZE], wrapped[WRAPPED_SIZE], cek[KEY_SIZE];
	int code;

	if (key->scalar == NULL)
		return error_set(error, RH_E_ARGUMENT, "the key has no private half");
	if (size > JOSE_JWE_MAX || !split(parts, jwe, size) ||
	    !base64_jose_read(
		wrapped, sizeof wrapped, parts[WRAPPED].text, parts[WRAPPED].size))
		return content_key(error, "is no compact JWE");
	code = header_read(&header, &parts[HEADER], error);
	if (code != RH_OK)
		return code;
	code = header_agree(key, &header, kek, error);
	if (code == RH_OK) {
		crypto_begin();
		if (!key_wrap(kek, false, wrapped, sizeof wrapped, cek))
			code = crypto_failed(error, RH_E_LICENSE_CONTENT_KEY,
			    "the content key is for another key, or was changed");
	}
	if (code == RH_OK)
		code = body_open(parts, cek, ret, error);
	bytes_wipe(kek, sizeof kek);
	bytes_wipe(cek, sizeof cek);
	return code;
}

/* ---- Sealing ---- */

/* A fresh key pair and what it agrees on with the public half of ${key}. */
static int ephemeral(
    const struct jose_key *key, uint8_t point[P256_POINT_SIZE], uint8_t z[32], rh_error *error)
{
	BN_CTX *numbers;
	BIGNUM *scalar;
	EC_POINT *public;
	int code = RH_OK;

	crypto_begin();
	numbers = BN_CTX_secure_new();
	scalar = BN_secure_new();
	public = EC_POINT_new(key->group);
	if (numbers == NULL || scalar == NULL || public == NULL)
		code = p256_failed(error);
	do {
		if (code == RH_OK &&
		    BN_priv_rand_range(scalar, EC_GROUP_get0_order(key->group)) != 1)
			code = p256_failed(error);
	} while (code == RH_OK && BN_is_zero(scalar));
	if (code == RH_OK) {
		BN_set_flags(scalar, BN_FLG_CONSTTIME);
		if (EC_POINT_mul(key->group, public, scalar, NULL, NULL, numbers) != 1 ||
		    EC_POINT_point2oct(key->group, public, POINT_CONVERSION_UNCOMPRESSED, point,
			P256_POINT_SIZE, numbers) != P256_POINT_SIZE ||
		    !agree(z, key->group, key->point, scalar, numbers))
			code = p256_failed(error);
	}
	EC_POINT_free(public);
	BN_clear_free(scalar);
	BN_CTX_free(numbers);
	return code;
}

/* ${text} as JSON. */
static int escape(char json[KEY_ID_ESCAPED], const char *text, rh_error *error)
{
	size_t length = strlen(text);
	json_t *value;

	if (length >= JOSE_KEY_ID_SIZE || !utf8_valid(text, length))
		return error_set(error, RH_E_ARGUMENT, "a key id is too long, or no text");
	value = json_stringn(text, length);
	if (value == NULL)
		return error_memory(error);
	length = json_dumpb(value, json, KEY_ID_ESCAPED - 1, JSON_ENCODE_ANY);
	json_decref(value);
	if (length == 0)
		return error_memory(error);
	json[length] = '\0';
	return RH_OK;
}

/* The compact form of everything; ${sealed} ends with the tag. */
static char *join(const char *header, const uint8_t wrapped[WRAPPED_SIZE],
    const uint8_t nonce[AEAD_NONCE_SIZE], const uint8_t *sealed, size_t size)
{
	char *jwe = malloc(strlen(header) + 1 + BASE64_SIZE(WRAPPED_SIZE) +
			   BASE64_SIZE(AEAD_NONCE_SIZE) + BASE64_SIZE(JOSE_SECRET_MAX) +
			   BASE64_SIZE(AEAD_TAG_SIZE));
	char *p = jwe;

	if (jwe == NULL)
		return NULL;
	p = stpcpy(p, header);
	*p++ = '.';
	p += base64_encode(p, wrapped, WRAPPED_SIZE, BASE64_JOSE);
	*p++ = '.';
	p += base64_encode(p, nonce, AEAD_NONCE_SIZE, BASE64_JOSE);
	*p++ = '.';
	p += base64_encode(p, sealed, size, BASE64_JOSE);
	*p++ = '.';
	base64_encode(p, sealed + size, AEAD_TAG_SIZE, BASE64_JOSE);
	return jwe;
}

/* Seals under a fresh key, which ${kek} wraps. */
static int body_seal(const char *header, const uint8_t kek[KEY_SIZE], const void *bytes,
    size_t size, char **ret, rh_error *error)
{
	uint8_t cek[KEY_SIZE], wrapped[WRAPPED_SIZE], nonce[AEAD_NONCE_SIZE];
	uint8_t sealed[JOSE_SECRET_MAX + AEAD_TAG_SIZE];
	struct aead *aead = NULL;
	char *jwe;
	int code = random_bytes(cek, sizeof cek, error);

	if (code == RH_OK)
		code = random_bytes(nonce, sizeof nonce, error);
	if (code == RH_OK && !key_wrap(kek, true, cek, sizeof cek, wrapped))
		code = crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot wrap a key");
	if (code == RH_OK)
		code = aead_new(AEAD_AES_256_GCM, cek, true, &aead, error);
	if (code == RH_OK)
		code =
		    aead_seal(aead, nonce, header, strlen(header), bytes, size, sealed, error);
	aead_free(aead);
	bytes_wipe(cek, sizeof cek);
	if (code != RH_OK)
		return code;
	jwe = join(header, wrapped, nonce, sealed, size);
	if (jwe == NULL)
		return error_memory(error);
	*ret = jwe;
	return RH_OK;
}

int jose_seal(const struct jose_key *key, const char *key_id, const void *bytes, size_t size,
    char **ret, rh_error *error)
{
	const struct jose_party none = {0};
	uint8_t point[P256_POINT_SIZE], z[32], kek[KEY_SIZE];
	char jwk[P256_JWK_SIZE], id[KEY_ID_ESCAPED];
	char json[sizeof HEADER_START + sizeof jwk + sizeof ",\"kid\":}" + sizeof id];
	char header[BASE64_SIZE(sizeof json)];
	int code = RH_OK, length;

	if (size < 1 || size > JOSE_SECRET_MAX)
		return error_set(error, RH_E_ARGUMENT,
		    "a content key has 1 to %d bytes, not %zu", JOSE_SECRET_MAX, size);
	if (key_id != NULL)
		code = escape(id, key_id, error);
	if (code == RH_OK)
		code = ephemeral(key, point, z, error);
	if (code != RH_OK)
		return code;
	p256_jwk(jwk, point);
	length = snprintf(json, sizeof json, HEADER_START "%s%s%s}", jwk,
	    key_id != NULL ? ",\"kid\":" : "", key_id != NULL ? id : "");
	base64_encode(header, json, (size_t)length, BASE64_JOSE);
	code = jose_concat_kdf(kek, z, ALGORITHM, none, none, 256, error);
	if (code == RH_OK)
		code = body_seal(header, kek, bytes, size, ret, error);
	bytes_wipe(z, sizeof z);
	bytes_wipe(kek, sizeof kek);
	return code;
}
