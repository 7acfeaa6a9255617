#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "backup/internal.h"

#define HEADER_MEMBER "rehost.json"
#define SIGNATURE_MEMBER "rehost.json.jws"
#define FORMAT_NAME "rehost-backup"
#define HEADER_MAX 65536
#define SIGNATURE_MAX 4096
#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

void backup_header_free(struct backup_header *header)
{
	free(header->computer_key);
	header->computer_key = NULL;
}

/*
 * Reads one JSON text; ${*ret} stays NULL if it is none.  jansson (2.14, lex_save) drops
 * characters of a token when its buffer cannot grow, and goes on: what two readings
 * agree on is what the text says.
 */
static int load(const void *bytes, size_t size, json_t **ret, rh_error *error)
{
	json_error_t why[2];
	json_t *json[2];
	int code = RH_OK;

	for (int i = 0; i < 2; i++)
		json[i] = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &why[i]);
	if (json[0] != NULL && json[1] != NULL && json_equal(json[0], json[1]))
		*ret = json_incref(json[0]);
	else if (json[0] != NULL || json[1] != NULL ||
		 json_error_code(&why[0]) == json_error_out_of_memory ||
		 json_error_code(&why[1]) == json_error_out_of_memory)
		code = error_memory(error);
	json_decref(json[0]);
	json_decref(json[1]);
	return code;
}

/* ---- Writing ---- */

/* Takes ${key} over. */
static json_t *header_json(const struct backup_header *header, json_t *key)
{
	char created[TIME_TEXT_SIZE];

	time_format(created, header->created);
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:{s:s, s:o}, s:{s:I, s:I, s:I}, s:I}",
	    "format", FORMAT_NAME, "version", BACKUP_FORMAT_VERSION, "id", header->id,
	    "created", created, "generator", header->generator, "computer", "id",
	    header->computer_id, "key", key, "licenses", "owned", (json_int_t)header->owned,
	    "managed", (json_int_t)header->managed, "restricted",
	    (json_int_t)header->restricted, "bytes", (json_int_t)header->bytes);
}

static int header_text(
    const struct backup_header *header, const uint8_t *signing_key, char **ret, rh_error *error)
{
	char *jwk = NULL, *text = NULL;
	json_t *key = NULL, *json = NULL;
	int code = es256_public_jwk(signing_key, &jwk, error);

	if (code == RH_OK)
		code = load(jwk, strlen(jwk), &key, error);
	if (code == RH_OK && key == NULL)
		code = error_set(error, RH_E_INTERNAL, "the key of the computer is no JSON");
	if (code == RH_OK) {
		json = header_json(header, key);
		text = json != NULL ? json_dumps(json, JSON_INDENT(2)) : NULL;
		if (text == NULL)
			code = error_memory(error);
	}
	json_decref(json);
	free(jwk);
	if (code == RH_OK)
		*ret = text;
	return code;
}

int backup_header_write(const struct backup_header *header, const uint8_t *signing_key,
    struct buffer *tar, rh_error *error)
{
	char *text = NULL, *signature = NULL;
	int code = header_text(header, signing_key, &text, error);

	if (code == RH_OK)
		code = es256_sign_detached(signing_key, text, strlen(text), &signature, error);
	if (code == RH_OK)
		code =
		    tar_append(tar, HEADER_MEMBER, text, strlen(text), header->created, error);
	if (code == RH_OK)
		code = tar_append(tar, SIGNATURE_MEMBER, signature, strlen(signature),
		    header->created, error);
	free(text);
	free(signature);
	return code;
}

/* ---- Reading ---- */

static int corrupt(const char *what, rh_error *error)
{
	return error_set(error, RH_E_BACKUP_CORRUPT, HEADER_MEMBER ": %s", what);
}

static bool get_text(const json_t *object, const char *name, char *text, size_t capacity)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_string(value) || json_string_length(value) == 0 ||
	    json_string_length(value) >= capacity)
		return false;
	text_copy(text, capacity, json_string_value(value), json_string_length(value));
	return true;
}

static bool get_count(const json_t *object, const char *name, uint64_t *ret)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

static bool get_time(const json_t *object, const char *name, int64_t *ret)
{
	const json_t *value = json_object_get(object, name);

	return json_is_string(value) &&
	       time_parse(json_string_value(value), json_string_length(value), ret);
}

/* Everything but the computer's key. */
static int read_members(const json_t *json, struct backup_header *header, rh_error *error)
{
	const json_t *format = json_object_get(json, "format");
	const json_t *version = json_object_get(json, "version");
	const json_t *computer = json_object_get(json, "computer");
	const json_t *licenses = json_object_get(json, "licenses");
	char name[BACKUP_NAME_SIZE];

	if (!json_is_string(format) || strcmp(json_string_value(format), FORMAT_NAME) != 0)
		return corrupt("not of a backup", error);
	if (!json_is_integer(version) || json_integer_value(version) < 1)
		return corrupt("no version", error);
	if (json_integer_value(version) > BACKUP_FORMAT_VERSION)
		return error_set(error, RH_E_BACKUP_NEWER,
		    "the backup has format version %lld, this program knows up to %d",
		    (long long)json_integer_value(version), BACKUP_FORMAT_VERSION);
	header->format_version = (int)json_integer_value(version);

	if (!get_text(json, "id", header->id, sizeof header->id) ||
	    !get_time(json, "created", &header->created) ||
	    !generation_name(name, header->created, header->id) ||
	    !generation_parse(name, NULL, NULL))
		return corrupt("no valid id or time", error);
	if (!get_text(json, "generator", header->generator, sizeof header->generator) ||
	    !get_text(computer, "id", header->computer_id, sizeof header->computer_id))
		return corrupt("no valid generator or computer", error);
	if (!get_count(licenses, "owned", &header->owned) ||
	    !get_count(licenses, "managed", &header->managed) ||
	    !get_count(licenses, "restricted", &header->restricted) ||
	    !get_count(json, "bytes", &header->bytes))
		return corrupt("no valid counts", error);
	return RH_OK;
}

/* The key as text, made of its members: json_dumps may lose some for want of memory. */
static int read_key(const json_t *json, char **ret, rh_error *error)
{
	const json_t *key = json_object_get(json_object_get(json, "computer"), "key");
	char kty[4], crv[8], x[64], y[64];

	if (!get_text(key, "kty", kty, sizeof kty) || !get_text(key, "crv", crv, sizeof crv) ||
	    !get_text(key, "x", x, sizeof x) || !get_text(key, "y", y, sizeof y) ||
	    strcmp(kty, "EC") != 0 || strcmp(crv, "P-256") != 0 ||
	    strspn(x, BASE64URL) != strlen(x) || strspn(y, BASE64URL) != strlen(y))
		return corrupt("no key of the computer", error);
	if (asprintf(
		ret, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y) < 0)
		return error_memory(error);
	return RH_OK;
}

/* Takes the key out of the header and checks the signature with it. */
static int read_signature(const json_t *json, const struct tar_member *header_member,
    const struct tar_member *signature_member, struct backup_header *header, rh_error *error)
{
	char signature[SIGNATURE_MAX + 1], *key = NULL;
	int code = read_key(json, &key, error);

	if (code != RH_OK)
		return code;
	header->computer_key = key;
	if (signature_member->bytes == NULL || signature_member->size > SIGNATURE_MAX ||
	    memchr(signature_member->bytes, '\0', signature_member->size) != NULL)
		return corrupt("no signature", error);
	memcpy(signature, signature_member->bytes, signature_member->size);
	signature[signature_member->size] = '\0';
	return es256_verify_detached(
	    key, signature, header_member->bytes, header_member->size, error);
}

/* Finds the two members; neither may be there twice. */
static int find_members(const void *tar, size_t size, struct tar_member *header,
    struct tar_member *signature, rh_error *error)
{
	struct tar_cursor cursor = {tar, size, 0};
	struct tar_member member;
	bool end = false;

	for (;;) {
		struct tar_member *target = NULL;
		int code = tar_next(&cursor, &member, &end, error);

		if (code != RH_OK || end)
			return code;
		if (strcmp(member.path, HEADER_MEMBER) == 0)
			target = header;
		else if (strcmp(member.path, SIGNATURE_MEMBER) == 0)
			target = signature;
		if (target == NULL)
			continue;
		if (target->bytes != NULL)
			return corrupt("there twice", error);
		*target = member;
	}
}

int backup_header_read(const void *tar, size_t size, struct backup_header *ret, rh_error *error)
{
	struct tar_member header_member = {.bytes = NULL}, signature_member = {.bytes = NULL};
	struct backup_header header = {0};
	json_t *json = NULL;
	int code;

	code = find_members(tar, size, &header_member, &signature_member, error);
	if (code != RH_OK)
		return code;
	if (header_member.bytes == NULL || header_member.size > HEADER_MAX)
		return corrupt("not there, or too large", error);
	code = load(header_member.bytes, header_member.size, &json, error);
	if (code != RH_OK)
		return code;
	if (json == NULL)
		return corrupt("not JSON", error);
	code = read_members(json, &header, error);
	if (code == RH_OK)
		code = read_signature(json, &header_member, &signature_member, &header, error);
	json_decref(json);
	if (code != RH_OK) {
		backup_header_free(&header);
		return code;
	}
	*ret = header;
	return RH_OK;
}
