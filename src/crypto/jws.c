#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jose_key.h"
#include "crypto/jsontext.h"
#include "crypto/jws.h"

#define HEADER_MAX 2048 /* bytes of a protected header */
#define HEADER_TEXT_MAX (BASE64_SIZE(HEADER_MAX) - 1)

/* ---- Signing ---- */

/* The header, members in the order "alg", "typ", "kid" or "jwk". */
static int header_write(const struct jose_key *key, const char *type, const char *key_id,
    struct buffer *ret, rh_error *error)
{
	json_t *id = NULL;
	int code;

	code = buffer_append_text(ret, "{\"alg\":\"ES256\",\"typ\":\"", error);
	if (code == RH_OK)
		code = buffer_append_text(ret, type, error);
	if (code == RH_OK)
		code = buffer_append_text(
		    ret, key_id != NULL ? "\",\"kid\":" : "\",\"jwk\":", error);
	if (code != RH_OK)
		return code;
	if (key_id == NULL) {
		code = buffer_append_text(ret, jose_key_jwk(key), error);
	} else {
		id = json_string(key_id);
		code = jsontext_write(id, ret, error);
		json_decref(id);
	}
	return code == RH_OK ? buffer_append_text(ret, "}", error) : code;
}

static int append_base64(struct buffer *text, const void *bytes, size_t size, rh_error *error)
{
	int code = buffer_reserve(text, BASE64_SIZE(size), error);

	if (code == RH_OK)
		text->size +=
		    base64_encode((char *)text->data + text->size, bytes, size, BASE64_JOSE);
	return code;
}

/* Header and claims, in base64url with the dot between. */
static int signed_text(const struct buffer *header, const struct buffer *claims,
    struct buffer *ret, rh_error *error)
{
	int code = append_base64(ret, header->data, header->size, error);

	if (code == RH_OK)
		code = buffer_append(ret, ".", 1, error);
	if (code == RH_OK)
		code = append_base64(ret, claims->data, claims->size, error);
	return code;
}

static int append_signature(const struct jose_key *key, struct buffer *text, rh_error *error)
{
	uint8_t signature[ES256_SIZE];
	int code = jose_sign(key, text->data, text->size, signature, error);

	if (code == RH_OK)
		code = buffer_append(text, ".", 1, error);
	if (code == RH_OK)
		code = append_base64(text, signature, sizeof signature, error);
	if (code == RH_OK && text->size > JWS_MAX)
		code = error_set(
		    error, RH_E_ARGUMENT, "the statement has more than %d characters", JWS_MAX);
	return code == RH_OK ? buffer_append(text, "", 1, error) : code;
}

int jws_sign(const struct jose_key *key, const char *type, const char *key_id,
    const json_t *claims, char **ret, rh_error *error)
{
	struct buffer header = {0}, body = {0}, text = {0};
	size_t id_size = key_id != NULL ? strlen(key_id) : 1;
	int code;

	if (id_size < 1 || id_size >= JOSE_KEY_ID_SIZE ||
	    (key_id != NULL && (!utf8_valid(key_id, id_size) || !utf8_clean(key_id, id_size))))
		return error_set(error, RH_E_ARGUMENT, "a key id is too long, or no text");
	code = header_write(key, type, key_id, &header, error);
	if (code == RH_OK)
		code = jsontext_write(claims, &body, error);
	if (code == RH_OK)
		code = signed_text(&header, &body, &text, error);
	if (code == RH_OK)
		code = append_signature(key, &text, error);
	buffer_free(&header);
	buffer_free(&body);
	if (code == RH_OK)
		*ret = (char *)text.data;
	else
		buffer_free(&text);
	return code;
}

/* ---- Reading ---- */

static int invalid(rh_error *error, const char *what)
{
	return error_set(error, RH_E_LICENSE_INVALID, "signed statement: %s", what);
}

/* The JSON object in a part of the statement. */
static int part_read(
    const char *part, const char *text, size_t size, json_t **ret, rh_error *error)
{
	size_t capacity = size / 4 * 3 + 3;
	uint8_t *bytes = malloc(capacity);
	json_t *json = NULL;
	ptrdiff_t length;
	rh_error why;
	int code;

	if (bytes == NULL)
		return error_memory(error);
	length = base64_decode(bytes, capacity, text, size, BASE64_JOSE);
	if (length < 0) {
		code = error_set(error, RH_E_LICENSE_INVALID,
		    "signed statement: %s: no canonical base64url", part);
	} else {
		code = jsontext_read(bytes, (size_t)length, &json, &why);
		if (code == RH_E_LICENSE_INVALID)
			error_set(error, code, "signed statement: %s: %s", part, why.text);
		else if (code != RH_OK)
			error_memory(error);
	}
	free(bytes);
	if (code == RH_OK && !json_is_object(json)) {
		json_decref(json);
		return error_set(
		    error, RH_E_LICENSE_INVALID, "signed statement: %s: no JSON object", part);
	}
	if (code == RH_OK)
		*ret = json;
	return code;
}

static bool member_is(const json_t *object, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL && strcmp(text, value) == 0;
}

static bool read_coordinate(uint8_t bytes[32], const json_t *jwk, const char *name)
{
	const json_t *text = json_object_get(jwk, name);

	return json_is_string(text) &&
	       base64_jose_read(bytes, 32, json_string_value(text), json_string_length(text));
}

/* A public key with the members of RFC 7638 and no others. */
static int jwk_read(const json_t *jwk, struct jose_key **ret, rh_error *error)
{
	uint8_t x[32], y[32];
	int code;

	if (json_object_size(jwk) != 4 || !member_is(jwk, "kty", "EC") ||
	    !member_is(jwk, "crv", "P-256") || !read_coordinate(x, jwk, "x") ||
	    !read_coordinate(y, jwk, "y"))
		return invalid(
		    error, "header: member jwk is no P-256 key of crv, kty, x and y alone");
	code = jose_key_public(x, y, ret, error);
	if (code == RH_E_ARGUMENT)
		code = invalid(error, "header: member jwk is no point of P-256");
	return code;
}

static int header_check(
    struct jws *jws, const json_t *header, const char *type, rh_error *error)
{
	json_t *key_id = json_object_get(header, "kid"), *jwk = json_object_get(header, "jwk");

	if (!member_is(header, "typ", type))
		return error_set(error, RH_E_LICENSE_INVALID,
		    "signed statement: header: member typ is not %s", type);
	if (!member_is(header, "alg", "ES256"))
		return invalid(error, "header: member alg is not ES256");
	if ((key_id != NULL) == (jwk != NULL))
		return invalid(error, "header: not exactly one of the members kid and jwk");
	if (json_object_size(header) != 3)
		return invalid(error, "header: a member other than alg, typ, and kid or jwk");
	if (jwk != NULL)
		return jwk_read(jwk, &jws->key, error);
	if (!jws_text(header, "kid", jws->key_id, sizeof jws->key_id))
		return invalid(error,
		    "header: member kid is empty, too long, or holds control characters");
	return RH_OK;
}

static int header_read(struct jws *jws, size_t size, const char *type, rh_error *error)
{
	json_t *header = NULL;
	int code;

	if (size > HEADER_TEXT_MAX)
		return invalid(error, "header: too long");
	code = part_read("header", jws->text, size, &header, error);
	if (code == RH_OK)
		code = header_check(jws, header, type, error);
	json_decref(header);
	return code;
}

int jws_read(struct jws *jws, const char *text, size_t size, const char *type, rh_error *error)
{
	struct jws read = {.text = text, .size = size};
	const char *first, *second = NULL;
	int code;

	if (size > JWS_MAX)
		return error_set(error, RH_E_LICENSE_INVALID,
		    "signed statement: more than %d characters", JWS_MAX);
	first = memchr(text, '.', size);
	if (first != NULL)
		second = memchr(first + 1, '.', (size_t)(text + size - (first + 1)));
	if (second == NULL)
		return invalid(error, "not three parts with dots between them");
	read.signed_size = (size_t)(second - text);
	code = header_read(&read, (size_t)(first - text), type, error);
	if (code == RH_OK)
		code = part_read(
		    "claims", first + 1, (size_t)(second - (first + 1)), &read.claims, error);
	if (code == RH_OK)
		*jws = read;
	else
		jws_free(&read);
	return code;
}

int jws_verify(const struct jws *jws, const struct jose_key *key, rh_error *error)
{
	const char *signature = jws->text + jws->signed_size + 1;

	if (key == NULL)
		key = jws->key;
	if (key == NULL)
		return error_set(
		    error, RH_E_LICENSE_SIGNATURE, "signed statement: it brings no key");
	return jose_verify(key, jws->text, jws->signed_size, signature,
	    (size_t)(jws->text + jws->size - signature), error);
}

void jws_free(struct jws *jws)
{
	json_decref(jws->claims);
	jose_key_free(jws->key);
	*jws = (struct jws){0};
}

/* ---- Claims ---- */

bool jws_text(const json_t *claims, const char *name, char *ret, size_t size)
{
	const json_t *value = json_object_get(claims, name);
	size_t length = json_string_length(value);

	if (!json_is_string(value) || length < 1 || length >= size ||
	    !utf8_clean(json_string_value(value), length))
		return false;
	memcpy(ret, json_string_value(value), length + 1);
	return true;
}

bool jws_number(const json_t *claims, const char *name, int64_t *ret)
{
	const json_t *value = json_object_get(claims, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = json_integer_value(value);
	return true;
}
