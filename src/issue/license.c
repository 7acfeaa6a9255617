#include <errno.h>
#include <jose/jose.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/text.h"
#include "rehost/rehost.h"
#include "issue/fields.h"
#include "issue/issuer.h"
#include "issue/license.h"

#define RANDOM_KEY_BYTES 16

static int take_random(void *bytes, size_t size, rh_error *error)
{
	/* Up to 256 bytes come whole (getrandom(2)). */
	if (getrandom(bytes, size, 0) != (ssize_t)size)
		return error_errno(
		    error, RH_E_INTERNAL, errno, "the kernel gives no random bytes");
	return RH_OK;
}

int license_random_id(char id[LICENSE_ID_SIZE], rh_error *error)
{
	uint8_t bytes[16];
	char hex[33];
	int code = take_random(bytes, sizeof bytes, error);

	if (code != RH_OK)
		return code;
	/* RFC 9562, section 5.4 */
	bytes[6] = (uint8_t)(0x40 | (bytes[6] & 0x0F));
	bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3F));
	text_hex(hex, bytes, sizeof bytes);
	snprintf(id, LICENSE_ID_SIZE, "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
	    hex + 12, hex + 16, hex + 20);
	return RH_OK;
}

int license_random_key(char key[RANDOM_KEY_SIZE], rh_error *error)
{
	uint8_t bytes[RANDOM_KEY_BYTES];
	int code = take_random(bytes, sizeof bytes, error);

	if (code == RH_OK)
		base64_encode(key, bytes, sizeof bytes, BASE64_URL | BASE64_NO_PAD);
	bytes_wipe(bytes, sizeof bytes);
	return code;
}

static const char *member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* ---- the content key ---- */

/* A compact JWE (RFC 7516, section 7.1): what libjose puts beside the header goes into it. */
static char *seal(const json_t *computer, const void *bytes, size_t size)
{
	json_t *jwe =
	    json_pack("{s:{s:s,s:s}}", "protected", "alg", "ECDH-ES+A256KW", "enc", "A256GCM");
	json_t *key = json_deep_copy(computer), *secret = json_object();
	char *text = NULL;

	if (!jose_jwe_enc_jwk(NULL, jwe, NULL, key, secret) ||
	    json_object_set_new(jwe, "protected", jose_jwe_hdr(jwe, jwe)) != 0)
		goto done;
	json_object_del(jwe, "header");
	if (!jose_jwe_enc_cek(NULL, jwe, secret, bytes, size))
		goto done;
	if (asprintf(&text, "%s.%s.%s.%s.%s", member(jwe, "protected"),
		member(jwe, "encrypted_key"), member(jwe, "iv"), member(jwe, "ciphertext"),
		member(jwe, "tag")) < 0)
		text = NULL;
done:
	json_decref(jwe);
	json_decref(key);
	json_decref(secret);
	return text;
}

static int seal_content_key(
    const char *key, const struct computer *computer, json_t **ret, rh_error *error)
{
	uint8_t bytes[CONTENT_KEY_MAX];
	ptrdiff_t size =
	    base64_decode(bytes, sizeof bytes, key, strlen(key), BASE64_URL | BASE64_NO_PAD);
	char *sealed = size < 1 ? NULL : seal(computer->jwk, bytes, (size_t)size);

	bytes_wipe(bytes, sizeof bytes);
	if (sealed == NULL)
		return error_set(error, RH_E_LICENSE_INVALID,
		    "content_key: cannot be sealed for the computer %s: its key is no point "
		    "of P-256",
		    computer->thumbprint);
	*ret = json_string(sealed);
	free(sealed);
	return RH_OK;
}

/* ---- the licence ---- */

static int make_claims(const json_t *row, const char *issuer, const struct computer *computer,
    json_t **ret, rh_error *error)
{
	json_t *claims = json_object(), *value;
	const char *name;
	int code = RH_OK;

	for (size_t i = 0; code == RH_OK && i < field_count; i++) {
		value = json_object_get(row, fields[i].name);
		if (fields[i].kind == FIELD_COMPUTER && computer != NULL)
			json_object_set_new(
			    claims, "cnf", json_pack("{s:s}", "jkt", computer->thumbprint));
		else if (fields[i].kind == FIELD_KEY && value != NULL) {
			code =
			    seal_content_key(json_string_value(value), computer, &value, error);
			if (code == RH_OK)
				json_object_set_new(claims, fields[i].name, value);
		} else if (value != NULL && fields[i].kind != FIELD_COMPUTER)
			json_object_set(claims, fields[i].name, value);
		if (i == 0)
			json_object_set_new(claims, "iss", json_string(issuer));
	}
	json_object_foreach((json_t *)row, name, value)
	{
		if (field_find(name) == NULL && strcmp(name, "iss") != 0)
			json_object_set(claims, name, value);
	}
	if (code == RH_OK)
		*ret = claims;
	else
		json_decref(claims);
	return code;
}

static int sign(const json_t *claims, const json_t *key, char **ret, rh_error *error)
{
	char *payload = json_dumps(claims, JSON_COMPACT), *text = NULL;
	json_t *jws = NULL, *header = NULL;
	int code = RH_OK;

	if (payload == NULL)
		return error_memory(error);
	jws = json_pack("{s:o}", "payload", jose_b64_enc(payload, strlen(payload)));
	header = json_pack("{s:{s:s,s:s,s:s}}", "protected", "alg", "ES256", "typ",
	    LICENSE_TYPE, "kid", issuer_kid(key));
	if (!jose_jws_sig(NULL, jws, header, key))
		code = error_set(error, RH_E_INTERNAL, "libjose does not sign");
	else if (asprintf(&text, "%s.%s.%s", member(jws, "protected"), member(jws, "payload"),
		     member(jws, "signature")) < 0)
		code = error_memory(error);
	if (code == RH_OK && strlen(text) > RH_LICENSE_MAX) {
		code =
		    error_set(error, RH_E_LICENSE_TOO_BIG, "the licence would be over 1 MiB");
		free(text);
	}
	if (code == RH_OK)
		*ret = text;
	json_decref(jws);
	json_decref(header);
	free(payload);
	return code;
}

int license_sign(const json_t *row, const char *issuer, const json_t *key,
    const struct computer *computer, char **ret, rh_error *error)
{
	json_t *claims = NULL;
	int code = make_claims(row, issuer, computer, &claims, error);

	if (code == RH_OK)
		code = sign(claims, key, ret, error);
	json_decref(claims);
	return code;
}
