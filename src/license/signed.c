#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jsontext.h"
#include "license/signed.h"

/*
 * Rehost's own licence, a compact JWS: FORMATS.md, "signed".  The claims are in
 * signed_claims.c, titles in title.c.
 */

#define HEADER_MAX 4096 /* bytes of the header's JSON */
#define DEPTH_MAX 16
#define SIGNATURE_BYTES 64
#define TYPE "rehost-license+jwt"

/* Base64url of the most bytes of a header. */
#define HEADER_TEXT_MAX ((HEADER_MAX * 4 + 2) / 3)

/* The document, and where its three parts stand. */
struct parts {
	const char *header, *claims, *signature;
	size_t header_size, claims_size, signature_size;
};

static int invalid(const struct signed_license *token, const char *what)
{
	return reader_fail(
	    token->document, token->error, RH_E_LICENSE_INVALID, "signed licence: %s", what);
}

/* ---- JSON within ---- */

/* Whether brackets, those in text aside, stand deeper than DEPTH_MAX. */
static bool too_deep(const char *text, size_t size)
{
	bool within = false;
	size_t depth = 0;

	for (size_t i = 0; i < size; i++) {
		if (within) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				within = false;
		} else if (text[i] == '"') {
			within = true;
		} else if (text[i] == '{' || text[i] == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

int signed_object(const struct signed_license *token, const char *part, const void *text,
    size_t size, json_t **ret)
{
	rh_error why;
	json_t *value;
	int code;

	if (too_deep(text, size))
		return reader_fail(token->document, token->error, RH_E_LICENSE_INVALID,
		    "signed licence: %s: values are nested too deep", part);
	code = jsontext_read(text, size, &value, &why);
	if (code == RH_E_MEMORY)
		return error_memory(token->error);
	if (code != RH_OK)
		return reader_fail(token->document, token->error, code,
		    "signed licence: %s: %s", part, why.text);
	if (!json_is_object(value)) {
		json_decref(value);
		return reader_fail(token->document, token->error, RH_E_LICENSE_INVALID,
		    "signed licence: %s: no JSON object", part);
	}
	*ret = value;
	return RH_OK;
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

int signed_critical(const struct signed_license *token, const char *part, const json_t *crit,
    const char *const *known)
{
	size_t count = json_array_size(crit);

	if (crit == NULL)
		return RH_OK;
	for (size_t i = 0; i < count; i++)
		if (!json_is_string(json_array_get(crit, i)))
			count = 0;
	if (count == 0)
		return reader_fail(token->document, token->error, RH_E_LICENSE_INVALID,
		    "signed licence: %s: crit is no list of names", part);
	for (size_t i = 0; i < count; i++)
		if (!is_one_of(json_string_value(json_array_get(crit, i)), known))
			return reader_fail(token->document, token->error, RH_E_LICENSE_CRITICAL,
			    "signed licence: %s: crit names something that is not known here",
			    part);
	return RH_OK;
}

/* ---- The form ---- */

static bool split(const struct license_document *document, struct parts *ret)
{
	const char *text = (const char *)document->data, *first, *second;
	size_t size = document->size;

	if (text[size - 1] == '\n')
		size--;
	first = memchr(text, '.', size);
	if (first == NULL)
		return false;
	second = memchr(first + 1, '.', (size_t)(text + size - (first + 1)));
	if (second == NULL)
		return false;
	ret->header = text;
	ret->header_size = (size_t)(first - text);
	ret->claims = first + 1;
	ret->claims_size = (size_t)(second - ret->claims);
	ret->signature = second + 1;
	ret->signature_size = (size_t)(text + size - ret->signature);
	return true;
}

static int header_text(const struct signed_license *token, const json_t *header,
    const char *name, const char **ret)
{
	const json_t *value = json_object_get(header, name);

	if (!json_is_string(value))
		return reader_fail(token->document, token->error, RH_E_LICENSE_INVALID,
		    "signed licence: header: member %s is missing or no text", name);
	*ret = json_string_value(value);
	return RH_OK;
}

static int check_header(struct signed_license *token, const json_t *header)
{
	static const char *const known[] = {NULL};
	const char *type = "", *algorithm = "", *key_id = "";
	int code = header_text(token, header, "typ", &type);

	if (code != RH_OK)
		return code;
	if (strcmp(type, TYPE) != 0)
		return reader_fail(token->document, token->error, RH_E_LICENSE_FORMAT,
		    "a JWS, but no signed licence: member typ of its header is another");
	code = signed_critical(token, "header", json_object_get(header, "crit"), known);
	if (code == RH_OK)
		code = header_text(token, header, "alg", &algorithm);
	if (code == RH_OK && strcmp(algorithm, "ES256") != 0)
		code = invalid(token, "header: member alg is not ES256");
	if (code == RH_OK)
		code = header_text(token, header, "kid", &key_id);
	if (code == RH_OK &&
	    !reader_exact_text(token->key_id, sizeof token->key_id, key_id, strlen(key_id)))
		code = invalid(token,
		    "header: member kid is empty, too long, or holds control characters");
	return code;
}

static int read_header(struct signed_license *token, const struct parts *parts)
{
	uint8_t bytes[HEADER_MAX];
	ptrdiff_t size;
	json_t *header;
	int code;

	if (parts->header_size > HEADER_TEXT_MAX)
		return invalid(token, "header: too long");
	size = base64_decode(
	    bytes, sizeof bytes, parts->header, parts->header_size, BASE64_URL | BASE64_NO_PAD);
	if (size < 0)
		return invalid(token, "header: no canonical base64url");
	code = signed_object(token, "header", bytes, (size_t)size, &header);
	if (code != RH_OK)
		return code;
	code = check_header(token, header);
	json_decref(header);
	return code;
}

static int read_claims(struct signed_license *token, const struct parts *parts)
{
	size_t capacity = parts->claims_size / 4 * 3 + 3;
	uint8_t *bytes = malloc(capacity);
	ptrdiff_t size;
	int code;

	if (bytes == NULL)
		return error_memory(token->error);
	size = base64_decode(
	    bytes, capacity, parts->claims, parts->claims_size, BASE64_URL | BASE64_NO_PAD);
	if (size < 0)
		code = invalid(token, "claims: no canonical base64url");
	else
		code = signed_object(token, "claims", bytes, (size_t)size, &token->claims);
	free(bytes);
	return code;
}

static int read_form(struct signed_license *token, struct parts *parts)
{
	uint8_t signature[SIGNATURE_BYTES];
	int code;

	if (!split(token->document, parts))
		return invalid(token, "not three parts with dots between them");
	code = read_header(token, parts);
	if (code != RH_OK)
		return code;
	if (base64_decode(signature, sizeof signature, parts->signature, parts->signature_size,
		BASE64_URL | BASE64_NO_PAD) != SIGNATURE_BYTES)
		return invalid(token, "signature: no canonical base64url of 64 bytes");
	code = read_claims(token, parts);
	return code == RH_OK ? signed_claims_read(token) : code;
}

/* ---- Trust ---- */

/* What was checked without naming the document; only memory and libraries keep their words. */
static int fail_as(
    const struct signed_license *token, const rh_error *why, int code, const char *what)
{
	if (why->code != code) {
		if (token->error != NULL)
			*token->error = *why;
		return why->code;
	}
	return reader_fail(token->document, token->error, code, "signed licence: %s", what);
}

static int find_key(const struct signed_license *token, const struct license_trust *trust,
    const struct jose_key **ret)
{
	const struct jose_set *set = NULL;
	char issuer[101];

	text_copy(issuer, sizeof issuer, token->license.issuer, strlen(token->license.issuer));
	for (size_t i = 0; i < trust->issuer_count; i++)
		if (strcmp(trust->issuers[i].name, token->license.issuer) == 0)
			set = trust->issuers[i].keys;
	if (set == NULL)
		return reader_fail(token->document, token->error, RH_E_LICENSE_ISSUER,
		    "signed licence: claim iss: issuer \"%s\" is not trusted here", issuer);
	for (size_t i = 0; i < set->count; i++) {
		if (set->keys[i].signs && strcmp(set->keys[i].id, token->key_id) == 0) {
			*ret = set->keys[i].key;
			return RH_OK;
		}
	}
	return reader_fail(token->document, token->error, RH_E_LICENSE_ISSUER,
	    "signed licence: header: member kid names no key that is known here of issuer "
	    "\"%s\"",
	    issuer);
}

static int check_signature(const struct signed_license *token, const struct parts *parts,
    const struct license_trust *trust)
{
	const struct jose_key *key = NULL;
	rh_error why;
	int code = find_key(token, trust, &key);

	if (code != RH_OK)
		return code;
	code = jose_verify(key, parts->header, parts->header_size + 1 + parts->claims_size,
	    parts->signature, parts->signature_size, &why);
	if (code != RH_OK)
		code = fail_as(token, &why, RH_E_LICENSE_SIGNATURE,
		    "signature: not that of the key which the header names");
	return code;
}

static int check_here(const struct signed_license *token, const struct license_trust *trust)
{
	const struct license *license = &token->license;
	const char *computer = token->rights.computer;

	if (computer[0] != '\0' &&
	    (trust->computer == NULL ||
		strcmp(jose_key_thumbprint(trust->computer), computer) != 0))
		return reader_fail(token->document, token->error, RH_E_LICENSE_COMPUTER,
		    "signed licence: claim cnf.jkt: issued to another computer");
	if (license->not_after != LICENSE_TIME_NONE && trust->now >= license->not_after)
		return reader_fail(token->document, token->error, RH_E_LICENSE_EXPIRED,
		    "signed licence: claim exp: the licence has expired");
	if (license->not_before != LICENSE_TIME_NONE && trust->now < license->not_before)
		return reader_fail(token->document, token->error, RH_E_LICENSE_NOT_YET,
		    "signed licence: claim nbf: the licence is not valid yet");
	return RH_OK;
}

static int open_content_key(
    const struct signed_license *token, const struct license_trust *trust)
{
	struct buffer *target = token->document->secret, secret = {0};
	rh_error why;
	int code;

	if (token->content_key == NULL) {
		if (target != NULL)
			buffer_free_secret(target);
		return RH_OK;
	}
	code = jose_open(
	    trust->computer, token->content_key, token->content_key_size, &secret, &why);
	if (code != RH_OK) {
		code = fail_as(token, &why, RH_E_LICENSE_CONTENT_KEY,
		    "claim content_key: does not open with this computer's key");
	} else if (target != NULL) {
		buffer_free_secret(target);
		*target = secret;
		secret = (struct buffer){0};
	}
	buffer_free_secret(&secret);
	return code;
}

static int check_trust(const struct signed_license *token, const struct parts *parts,
    const struct license_trust *trust)
{
	int code = check_signature(token, parts, trust);

	if (code == RH_OK && !trust->moved)
		code = check_here(token, trust);
	if (code == RH_OK && !trust->moved)
		code = open_content_key(token, trust);
	return code;
}

/* ---- The reader ---- */

static int signed_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	struct signed_license token = {.document = document, .error = error};
	struct parts parts = {0};
	int code;

	reader_record(&token.license, &signed_reader);
	code = read_form(&token, &parts);
	if (code == RH_OK && document->trust != NULL)
		code = check_trust(&token, &parts, document->trust);
	json_decref(token.claims);
	return code == RH_OK ? sink(context, &token.license, &token.rights, error) : code;
}

/* A header that begins with {" and holds the type as it is usually written. */
static bool signed_detect(const struct license_document *document)
{
	const char *text = (const char *)document->data, *dot;
	size_t most =
	    document->size < HEADER_TEXT_MAX + 1 ? document->size : HEADER_TEXT_MAX + 1;
	uint8_t header[HEADER_MAX];
	ptrdiff_t size;

	if (document->size < 3 || memcmp(text, "eyJ", 3) != 0)
		return false;
	dot = memchr(text, '.', most);
	if (dot == NULL)
		return false;
	size = base64_decode(
	    header, sizeof header, text, (size_t)(dot - text), BASE64_URL | BASE64_NO_PAD);
	return size > 0 &&
	       memmem(header, (size_t)size, "\"" TYPE "\"", sizeof TYPE + 1) != NULL;
}

const struct license_reader signed_reader = {
    .name = "signed",
    .title = "Rehost signed licence (JWS)",
    .detect = signed_detect,
    .read = signed_read,
};
