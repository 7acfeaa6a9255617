#include <jose/jose.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "issue/fields.h"
#include "issue/reading.h"

#define HEADER_MAX 4096
#define SIGNATURE_BYTES 64
#define ISSUER_MAX 255
#define JWE_MAX 16384

void parts_clear(struct parts *parts)
{
	json_decref(parts->header);
	json_decref(parts->claims);
	json_decref(parts->jws);
	*parts = (struct parts){.header = NULL};
}

static int invalid(rh_error *error, const char *what)
{
	return error_set(error, RH_E_LICENSE_INVALID, "%s", what);
}

/* One part that is JSON: decoded, an object, no member twice. */
static int read_object(
    const char *text, size_t length, const char *what, json_t **ret, rh_error *error)
{
	uint8_t *bytes = malloc(length + 1);
	ptrdiff_t size;
	json_t *object = NULL;

	if (bytes == NULL)
		return error_memory(error);
	size = base64_decode(bytes, length + 1, text, length, BASE64_URL | BASE64_NO_PAD);
	if (size > 0)
		object =
		    json_loadb((const char *)bytes, (size_t)size, JSON_REJECT_DUPLICATES, NULL);
	free(bytes);
	if (size < 0)
		return error_set(error, RH_E_LICENSE_INVALID,
		    "its %s is not base64url without padding", what);
	if (!json_is_object(object)) {
		json_decref(object);
		return error_set(error, RH_E_LICENSE_INVALID,
		    "its %s is not a JSON object without a member twice", what);
	}
	*ret = object;
	return RH_OK;
}

int parts_read(const char *text, size_t size, struct parts *ret, rh_error *error)
{
	struct parts parts = {.header = NULL};
	uint8_t signature[SIGNATURE_BYTES];
	const char *dot[2];
	size_t length[3];
	int code;

	if (size > 0 && text[size - 1] == '\n')
		size--;
	dot[0] = memchr(text, '.', size);
	dot[1] =
	    dot[0] == NULL ? NULL : memchr(dot[0] + 1, '.', size - (size_t)(dot[0] + 1 - text));
	if (dot[1] == NULL)
		return invalid(error, "it is not a compact JWS of three parts");
	length[0] = (size_t)(dot[0] - text);
	length[1] = (size_t)(dot[1] - dot[0]) - 1;
	length[2] = size - (size_t)(dot[1] + 1 - text);
	if (length[0] > HEADER_MAX)
		return invalid(error, "its header is over 4 KiB");
	if (base64_decode(signature, sizeof signature, dot[1] + 1, length[2],
		BASE64_URL | BASE64_NO_PAD) != SIGNATURE_BYTES)
		return invalid(error, "its signature is not 64 bytes in base64url");
	code = read_object(text, length[0], "header", &parts.header, error);
	if (code == RH_OK)
		code = read_object(dot[0] + 1, length[1], "claims", &parts.claims, error);
	if (code == RH_OK) {
		parts.jws = json_pack("{s:s%,s:s%,s:s%}", "protected", text, length[0],
		    "payload", dot[0] + 1, length[1], "signature", dot[1] + 1, length[2]);
		*ret = parts;
	} else {
		parts_clear(&parts);
	}
	return code;
}

static bool is_text(const json_t *object, const char *member, const char *wanted)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text != NULL && strcmp(text, wanted) == 0;
}

static int check_header(const json_t *header, rh_error *error)
{
	if (!is_text(header, "alg", "ES256"))
		return invalid(error, "its \"alg\" is not ES256");
	if (!is_text(header, "typ", LICENSE_TYPE))
		return invalid(error, "its \"typ\" is not " LICENSE_TYPE);
	if (!json_is_string(json_object_get(header, "kid")))
		return invalid(error, "its header has no \"kid\"");
	if (json_object_get(header, "crit") != NULL)
		return error_set(error, RH_E_LICENSE_CRITICAL,
		    "its header names an extension that is not known");
	return RH_OK;
}

/* RFC 7638: 32 bytes in base64url. */
static bool is_thumbprint(const json_t *text)
{
	uint8_t digest[32];

	return json_is_string(text) &&
	       base64_decode(digest, sizeof digest, json_string_value(text),
		   json_string_length(text), BASE64_URL | BASE64_NO_PAD) == sizeof digest;
}

/* Whether it could be a compact JWE: what is in it only the computer can tell. */
static bool is_jwe(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t dots = 0, size = json_string_length(value);

	for (size_t i = 0; i < size; i++)
		dots += text[i] == '.';
	return dots == 4 && size <= JWE_MAX &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789-_.") == size;
}

/* "cnf" and the sealed key, which are of other forms in a row. */
static int check_binding(const json_t *claims, rh_error *error)
{
	const json_t *cnf = json_object_get(claims, "cnf");
	const json_t *key = json_object_get(claims, "content_key");

	if (cnf != NULL && !is_thumbprint(json_object_get(cnf, "jkt")))
		return invalid(error, "cnf: has no thumbprint \"jkt\"");
	if (key != NULL && !is_jwe(key))
		return invalid(error, "content_key: is not a compact JWE");
	return RH_OK;
}

/* First of all, since what is critical may change what the rest is. */
static int check_critical(const json_t *claims, rh_error *error)
{
	const json_t *names = json_object_get(claims, "crit");

	return names == NULL ? RH_OK : field_check(field_find("crit"), names, false, error);
}

static int check_identity(const json_t *claims, rh_error *error)
{
	const json_t *issuer = json_object_get(claims, "iss");

	if (json_string_length(issuer) == 0 || json_string_length(issuer) > ISSUER_MAX ||
	    !field_is_plain(json_string_value(issuer)))
		return invalid(error, "iss: is missing, or no text of 1 to 255 bytes");
	if (json_object_get(claims, "jti") == NULL)
		return invalid(error, "jti: is missing");
	if (json_object_get(claims, "iat") == NULL)
		return invalid(error, "iat: is missing");
	return RH_OK;
}

int parts_check(const struct parts *parts, rh_error *error)
{
	const json_t *claims = parts->claims;
	json_t *row;
	int code = check_header(parts->header, error);

	if (code == RH_OK)
		code = check_critical(claims, error);
	if (code == RH_OK)
		code = check_identity(claims, error);
	if (code == RH_OK)
		code = check_binding(claims, error);
	if (code != RH_OK)
		return code;
	row = json_copy((json_t *)claims);
	json_object_del(row, "cnf");
	if (json_object_get(row, "content_key") != NULL)
		json_object_set_new(row, "content_key", json_string("random"));
	code = fields_check_claims(row, error);
	if (code == RH_OK)
		code = fields_check_whole(
		    row, json_object_get(claims, "cnf") != NULL, false, error);
	json_decref(row);
	return code;
}

bool parts_verify(const struct parts *parts, const json_t *key)
{
	json_t *public = json_deep_copy(key);
	bool good;

	json_object_del(public, "key_ops");
	json_object_del(public, "use");
	good = jose_jws_ver(NULL, parts->jws, NULL, public, true);
	json_decref(public);
	return good;
}
