#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/jsontext.h"
#include "license/found.h"

/*
 * W3C Encrypted Media Extensions, Clear Key: a JWK set of symmetric keys.  They are in the
 * clear, so they never leave the document: what is given to the JSON library has every
 * text written over but those that are read here.
 */

#define KID_MAX 63 /* bytes; in hex they fit in a key id */
#define MASK '!' /* no character of base64url */

struct kid {
	uint8_t bytes[KID_MAX];
	size_t size;
};

struct clearkey {
	const struct license_document *document;
	rh_error *error;
	struct kid *kids;
	size_t count;
	enum license_right backup;
	const char *reason;
};

/* ---- text ---- */

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind the text that begins with the quote at ${at}. */
static size_t text_end(const uint8_t *data, size_t size, size_t at)
{
	for (at++; at < size && data[at] != '"'; at++)
		if (data[at] == '\\')
			at++;
	return at < size ? at + 1 : size;
}

static size_t space_end(const uint8_t *data, size_t size, size_t at)
{
	while (at < size && is_space(data[at]))
		at++;
	return at;
}

static bool text_is(const uint8_t *text, size_t size, const char *name)
{
	return size == strlen(name) + 2 && memcmp(text + 1, name, size - 2) == 0;
}

/*
 * Copies the JSON without its secrets: text stays if it is a name, or the value of a name
 * that is read here.  What is no base64url in a masked text stays apart from what is.
 */
static void copy_masked(uint8_t *target, const uint8_t *data, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789-_";
	bool readable = false; /* the value to come */

	for (size_t at = 0; at < size;) {
		size_t end, colon;

		if (data[at] != '"') {
			/* A colon and white space stand between a name and its value. */
			readable = readable && (data[at] == ':' || is_space(data[at]));
			target[at] = data[at];
			at++;
			continue;
		}
		end = text_end(data, size, at);
		colon = space_end(data, size, end);
		if (colon < size && data[colon] == ':') {
			memcpy(target + at, data + at, end - at);
			readable = text_is(data + at, end - at, "kid") ||
				   text_is(data + at, end - at, "kty") ||
				   text_is(data + at, end - at, "type");
		} else if (readable) {
			memcpy(target + at, data + at, end - at);
			readable = false;
		} else {
			for (size_t i = at; i < end; i++)
				target[i] = i == at || (i == end - 1 && data[i] == '"') ? '"'
					    : data[i] != '\0' && strchr(digits, data[i]) != NULL
						? MASK
						: '?';
		}
		at = end;
	}
}

/* ---- members ---- */

static int fail(const struct clearkey *clearkey, int code, const char *what)
{
	return reader_fail(
	    clearkey->document, clearkey->error, code, "ClearKey licence: %s", what);
}

static int fail_key(
    const struct clearkey *clearkey, int code, size_t index, const char *name, const char *what)
{
	return reader_fail(clearkey->document, clearkey->error, code,
	    "ClearKey licence: member keys[%zu]%s%s %s", index, name[0] != '\0' ? "." : "",
	    name, what);
}

static int read_type(struct clearkey *clearkey, const json_t *root)
{
	const json_t *type = json_object_get(root, "type");

	if (type != NULL && !json_is_string(type))
		return fail(clearkey, RH_E_LICENSE_INVALID, "member type is no text");
	if (type == NULL || strcmp(json_string_value(type), "temporary") == 0) {
		clearkey->backup = LICENSE_NO;
		clearkey->reason = "the licence is temporary: it ends with its session";
	} else if (strcmp(json_string_value(type), "persistent-license") == 0) {
		clearkey->backup = LICENSE_YES;
		clearkey->reason = "";
	} else {
		clearkey->backup = LICENSE_UNKNOWN;
		clearkey->reason = "the licence is of a type that is not known";
	}
	return RH_OK;
}

/* The key itself is only looked at in its masked form. */
static bool is_masked_key(const json_t *k)
{
	const char *text = json_string_value(k);

	if (text == NULL || text[0] == '\0')
		return false;
	while (*text == MASK)
		text++;
	return *text == '\0';
}

static int read_key(struct clearkey *clearkey, const json_t *key, size_t index)
{
	const json_t *kty = json_object_get(key, "kty"), *kid = json_object_get(key, "kid");
	struct kid *ret = &clearkey->kids[clearkey->count];
	ptrdiff_t size;

	if (!json_is_object(key))
		return fail_key(clearkey, RH_E_LICENSE_INVALID, index, "", "is no object");
	if (!json_is_string(kty) || strcmp(json_string_value(kty), "oct") != 0)
		return fail_key(clearkey, RH_E_LICENSE_FORMAT, index, "kty",
		    "is not \"oct\": these are keys, but not a licence's");
	if (!json_is_string(kid))
		return fail_key(clearkey, RH_E_LICENSE_KEY_ID, index, "kid", "is no text");
	size = base64_decode(ret->bytes, sizeof ret->bytes, json_string_value(kid),
	    json_string_length(kid), BASE64_URL | BASE64_NO_PAD);
	if (size <= 0)
		return fail_key(clearkey, RH_E_LICENSE_KEY_ID, index, "kid",
		    "is not 1 to 63 bytes in base64url");
	if (!is_masked_key(json_object_get(key, "k")))
		return fail_key(clearkey, RH_E_LICENSE_INVALID, index, "k", "is no base64url");
	ret->size = (size_t)size;
	clearkey->count++;
	return RH_OK;
}

static int compare_kids(const void *a, const void *b)
{
	const struct kid *x = a, *y = b;
	int order = memcmp(x->bytes, y->bytes, x->size < y->size ? x->size : y->size);

	return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

/* Reads all keys and sorts them by their ids. */
static int read_keys(struct clearkey *clearkey, const json_t *keys)
{
	size_t count = json_array_size(keys);
	int code = RH_OK;

	if (!json_is_array(keys))
		return fail(clearkey, RH_E_LICENSE_FORMAT, "member keys is no array");
	if (count == 0)
		return fail(clearkey, RH_E_LICENSE_INVALID, "it has no keys");
	if (count > LICENSE_PER_DOCUMENT_MAX)
		return fail(clearkey, RH_E_LICENSE_INVALID, "it has more than 256 keys");
	clearkey->kids = calloc(count, sizeof *clearkey->kids);
	if (clearkey->kids == NULL)
		return error_memory(clearkey->error);
	for (size_t i = 0; code == RH_OK && i < count; i++)
		code = read_key(clearkey, json_array_get(keys, i), i);
	if (code != RH_OK)
		return code;
	qsort(clearkey->kids, count, sizeof *clearkey->kids, compare_kids);
	for (size_t i = 1; i < count; i++)
		if (compare_kids(&clearkey->kids[i - 1], &clearkey->kids[i]) == 0)
			return fail(
			    clearkey, RH_E_LICENSE_KEY_ID, "two keys have the same kid");
	return RH_OK;
}

/* ---- records ---- */

/* The id comes from the key ids alone: each with its size in front, sorted. */
static int digest_id(
    const struct clearkey *clearkey, char id[READER_DIGEST_ID_SIZE], rh_error *error)
{
	struct license_document kids = {0};
	struct buffer bytes = {0};
	int code = buffer_reserve(&bytes, clearkey->count * (1 + KID_MAX), error);

	for (size_t i = 0; code == RH_OK && i < clearkey->count; i++) {
		const struct kid *kid = &clearkey->kids[i];
		const uint8_t size = (uint8_t)kid->size;

		code = buffer_append(&bytes, &size, 1, error);
		if (code == RH_OK)
			code = buffer_append(&bytes, kid->bytes, kid->size, error);
	}
	kids.data = bytes.data;
	kids.size = bytes.size;
	if (code == RH_OK)
		code = reader_digest_id(&kids, id, error);
	buffer_free(&bytes);
	return code;
}

/* One record a key. */
static int give(const struct clearkey *clearkey, license_sink sink, void *context)
{
	struct found_list list = {.document = clearkey->document};
	struct found found = {.has_rights = true};
	int code = digest_id(clearkey, list.digest_id, clearkey->error);

	reader_record(&found.license, &clearkey_reader);
	found.license.backup = clearkey->backup;
	found.license.reason = clearkey->reason;
	reader_grant(&found.rights, "play", LICENSE_UNLIMITED, 0);
	for (size_t i = 0; code == RH_OK && i < clearkey->count; i++) {
		const struct kid *kid = &clearkey->kids[i];

		if (kid->size == 16)
			reader_guid(found.license.key_id, kid->bytes, false);
		else
			text_hex(found.license.key_id, kid->bytes, kid->size);
		code = found_add(&list, &found, "", clearkey->error);
	}
	if (code == RH_OK)
		code = found_give(&list, sink, context, clearkey->error);
	found_free(&list);
	return code;
}

/* ---- the reader ---- */

static int read_masked(const struct license_document *document, json_t **ret, rh_error *error)
{
	uint8_t *masked = malloc(document->size);
	rh_error why;
	int code;

	if (masked == NULL)
		return error_memory(error);
	copy_masked(masked, document->data, document->size);
	code = jsontext_read(masked, document->size, ret, &why);
	free(masked);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK)
		return reader_fail(document, error, code, "%s", why.text);
	return RH_OK;
}

static int clearkey_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	struct clearkey clearkey = {.document = document, .error = error};
	json_t *root;
	int code = read_masked(document, &root, error);

	if (code != RH_OK)
		return code;
	if (json_object_get(root, "keys") == NULL)
		code = reader_fail(document, error, RH_E_LICENSE_FORMAT,
		    "JSON, but no ClearKey licence: member keys is missing");
	if (code == RH_OK)
		code = read_keys(&clearkey, json_object_get(root, "keys"));
	if (code == RH_OK)
		code = read_type(&clearkey, root);
	json_decref(root);
	if (code == RH_OK)
		code = give(&clearkey, sink, context);
	free(clearkey.kids);
	return code;
}

/* An object with the member "keys", and none of those that tell Readium LCP. */
static bool clearkey_detect(const struct license_document *document)
{
	const uint8_t *data = document->data;
	size_t size = document->size, at = space_end(data, size, reader_text_start(document));
	size_t depth = 0;
	bool found = false;

	if (at == size || data[at] != '{')
		return false;
	while (at < size) {
		size_t start = at, end = at + 1;

		if (data[at] == '{' || data[at] == '[')
			depth++;
		else if ((data[at] == '}' || data[at] == ']') && --depth == 0)
			break;
		else if (data[at] == '"')
			end = text_end(data, size, at);
		at = end;
		if (depth != 1 || data[start] != '"')
			continue;
		at = space_end(data, size, end);
		if (at == size || data[at] != ':')
			continue;
		if (text_is(data + start, end - start, "keys"))
			found = true;
		else if (text_is(data + start, end - start, "encryption") ||
			 text_is(data + start, end - start, "provider"))
			return false;
	}
	return found;
}

const struct license_reader clearkey_reader = {
    .name = "clearkey",
    .title = "W3C ClearKey licence (JWK set)",
    .detect = clearkey_detect,
    .read = clearkey_read,
};
