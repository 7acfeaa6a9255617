#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "crypto/jsontext.h"
#include "backup/internal.h"

#define HEADER_MEMBER "rehost.json"
#define SIGNATURE_MEMBER "rehost.json.jws"
#define PROOF_MEMBER "rehost.json.mac"
#define ISSUERS_MEMBER "issuers.json"
#define FORMAT_NAME "rehost-backup"
#define HEADER_MAX (1024 * 1024)
#define SIGNATURE_MAX 4096
#define SERVICE_MAX 511 /* bytes of an address */
#define SERVICE_KEY_MAX 1024 /* characters of a sealed batch key */
#define SERVICE_OWNER_MAX 4096 /* characters of an owner's statement */
#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

void backup_header_free(struct backup_header *header)
{
	free(header->computer_key);
	header->computer_key = NULL;
	for (size_t i = 0; i < header->service_count; i++) {
		free(header->services[i].service);
		free(header->services[i].key);
		free(header->services[i].owner);
	}
	free(header->services);
	header->services = NULL;
	header->service_count = 0;
	free(header->issuers);
	header->issuers = NULL;
}

/* Reads one JSON text; ${*ret} stays NULL if it is none. */
static int load(const void *bytes, size_t size, json_t **ret, rh_error *error)
{
	return jsontext_read(bytes, size, ret, NULL) == RH_E_MEMORY ? error_memory(error)
								    : RH_OK;
}

/* ---- Writing ---- */

/* Adds the services, if there are any; false without memory. */
static bool set_services(json_t *json, const struct backup_header *header)
{
	json_t *services;

	if (header->service_count == 0)
		return true;
	services = json_array();
	for (size_t i = 0; services != NULL && i < header->service_count; i++) {
		const struct backup_service *service = &header->services[i];

		if (json_array_append_new(
			services, json_pack("{s:s, s:s, s:s*}", "service", service->service,
				      "key", service->key, "owner", service->owner)) != 0) {
			json_decref(services);
			return false;
		}
	}
	return json_object_set_new(json, "services", services) == 0;
}

/* Takes ${key} over. */
static json_t *header_json(const struct backup_header *header, json_t *key)
{
	char created[TIME_TEXT_SIZE];
	json_t *json;

	time_format(created, header->created);
	json = json_pack("{s:s, s:i, s:s, s:s, s:s, s:{s:s, s:o}, s:{s:I, s:I, s:I}, s:I}",
	    "format", FORMAT_NAME, "version", header->format_version, "id", header->id,
	    "created", created, "generator", header->generator, "computer", "id",
	    header->computer_id, "key", key, "licenses", "owned", (json_int_t)header->owned,
	    "managed", (json_int_t)header->managed, "restricted",
	    (json_int_t)header->restricted, "bytes", (json_int_t)header->bytes);
	if (json != NULL && !set_services(json, header)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* Text on its way out of jansson, which goes on where a piece of it found no memory. */
struct text {
	struct buffer bytes;
	bool failed;
};

static int put_text(const char *piece, size_t size, void *context)
{
	struct text *text = context;

	if (buffer_append(&text->bytes, piece, size, NULL) != RH_OK)
		text->failed = true;
	return text->failed ? -1 : 0;
}

/* ${ret} is the caller's to free, whatever happens. */
static int header_text(const struct backup_header *header, const uint8_t *signing_key,
    struct text *ret, rh_error *error)
{
	char *jwk = NULL;
	json_t *key = NULL, *json = NULL;
	int code = es256_public_jwk(signing_key, &jwk, error);

	if (code == RH_OK)
		code = load(jwk, strlen(jwk), &key, error);
	if (code == RH_OK && key == NULL)
		code = error_set(error, RH_E_INTERNAL, "the key of the computer is no JSON");
	if (code == RH_OK) {
		json = header_json(header, key);
		if (json == NULL ||
		    json_dump_callback(json, put_text, ret, JSON_INDENT(2)) != 0 || ret->failed)
			code = error_memory(error);
	}
	json_decref(json);
	free(jwk);
	return code;
}

/* The issuers, and the proof of them and the header. */
static int write_proof(const struct backup_header *header, const struct buffer *text,
    const uint8_t *proof_key, struct buffer *tar, rh_error *error)
{
	size_t size = header->issuers != NULL ? strlen(header->issuers) : 0;
	uint8_t over[DIGEST_SIZE], proof[DIGEST_SIZE];
	char hex[2 * DIGEST_SIZE + 1];
	int code = RH_OK;

	if (size > BACKUP_ISSUERS_MAX)
		return error_set(
		    error, RH_E_ARGUMENT, "issuers of over %u bytes", BACKUP_ISSUERS_MAX);
	if (size > 0)
		code = tar_append(
		    tar, ISSUERS_MEMBER, header->issuers, size, header->created, error);
	if (code != RH_OK || proof_key == NULL)
		return code;
	code = proof_of_header(over, text->data, text->size, header->issuers, size, error);
	if (code == RH_OK)
		code = hmac_sha256(proof, proof_key, KEY_SIZE, over, sizeof over, error);
	if (code != RH_OK)
		return code;
	text_hex(hex, proof, sizeof proof);
	return tar_append(tar, PROOF_MEMBER, hex, strlen(hex), header->created, error);
}

int backup_header_write(const struct backup_header *header, const uint8_t *signing_key,
    const uint8_t *proof_key, struct buffer *tar, rh_error *error)
{
	struct text text = {.failed = false};
	char *signature = NULL;
	int code = header_text(header, signing_key, &text, error);

	if (code == RH_OK)
		code = es256_sign_detached(
		    signing_key, text.bytes.data, text.bytes.size, &signature, error);
	if (code == RH_OK)
		code = tar_append(tar, HEADER_MEMBER, text.bytes.data, text.bytes.size,
		    header->created, error);
	if (code == RH_OK)
		code = tar_append(tar, SIGNATURE_MEMBER, signature, strlen(signature),
		    header->created, error);
	if (code == RH_OK)
		code = write_proof(header, &text.bytes, proof_key, tar, error);
	buffer_free(&text.bytes);
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

/* One service that managed secrets are for; its name and key are copied. */
static int read_service(const json_t *json, struct backup_header *header, rh_error *error)
{
	struct backup_service *service = &header->services[header->service_count];
	char address[SERVICE_MAX + 1], key[SERVICE_KEY_MAX + 1], owner[SERVICE_OWNER_MAX + 1];
	bool owned = json_object_get(json, "owner") != NULL;

	if (!get_text(json, "service", address, sizeof address) ||
	    !get_text(json, "key", key, sizeof key) ||
	    strspn(key, BASE64URL ".") != strlen(key))
		return corrupt("a service that is none", error);
	if (owned && (!get_text(json, "owner", owner, sizeof owner) ||
			 strspn(owner, BASE64URL ".") != strlen(owner)))
		return corrupt("a service whose owner is none", error);
	for (size_t i = 0; i < header->service_count; i++)
		if (strcmp(header->services[i].service, address) == 0)
			return corrupt("a service that is there twice", error);
	header->service_count++;
	service->service = strdup(address);
	service->key = strdup(key);
	if (owned)
		service->owner = strdup(owner);
	if (service->service == NULL || service->key == NULL ||
	    (owned && service->owner == NULL))
		return error_memory(error);
	return RH_OK;
}

static int read_services(const json_t *json, struct backup_header *header, rh_error *error)
{
	const json_t *services = json_object_get(json, "services");
	int code = RH_OK;

	if (services == NULL)
		return RH_OK;
	if (!json_is_array(services) || json_array_size(services) > BACKUP_SERVICES_MAX)
		return corrupt("services that are none", error);
	header->services = calloc(json_array_size(services) + 1, sizeof *header->services);
	if (header->services == NULL)
		return error_memory(error);
	for (size_t i = 0; i < json_array_size(services) && code == RH_OK; i++)
		code = read_service(json_array_get(services, i), header, error);
	return code;
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

/* The members of the first frame that are of interest; bytes NULL: not there. */
struct members {
	struct tar_member header;
	struct tar_member signature;
	struct tar_member proof;
	struct tar_member issuers;
};

/* Takes the key out of the header and checks the signature with it. */
static int read_signature(const json_t *json, const struct members *members,
    struct backup_header *header, rh_error *error)
{
	const struct tar_member *member = &members->signature;
	char signature[SIGNATURE_MAX + 1], *key = NULL;
	int code = read_key(json, &key, error);

	if (code != RH_OK)
		return code;
	header->computer_key = key;
	if (member->bytes == NULL || member->size > SIGNATURE_MAX ||
	    memchr(member->bytes, '\0', member->size) != NULL)
		return corrupt("no signature", error);
	memcpy(signature, member->bytes, member->size);
	signature[member->size] = '\0';
	return es256_verify_detached(
	    key, signature, members->header.bytes, members->header.size, error);
}

/* The issuers and the proof, as far as they are there.  Whose proof it is is not asked. */
static int read_proof(
    const struct members *members, struct backup_header *header, rh_error *error)
{
	const struct tar_member *issuers = &members->issuers, *proof = &members->proof;
	char hex[2 * DIGEST_SIZE + 1];

	if (issuers->bytes != NULL) {
		if (issuers->size == 0 || issuers->size > BACKUP_ISSUERS_MAX ||
		    memchr(issuers->bytes, '\0', issuers->size) != NULL)
			return corrupt("no valid issuers beside it", error);
		header->issuers = strndup((const char *)issuers->bytes, issuers->size);
		if (header->issuers == NULL)
			return error_memory(error);
	}
	if (proof->bytes == NULL)
		return RH_OK;
	if (proof->size != sizeof hex - 1)
		return corrupt("no valid proof beside it", error);
	memcpy(hex, proof->bytes, proof->size);
	hex[sizeof hex - 1] = '\0';
	if (!text_unhex(hex, header->proof, DIGEST_SIZE))
		return corrupt("no valid proof beside it", error);
	header->has_proof = true;
	return proof_of_header(header->proven, members->header.bytes, members->header.size,
	    issuers->bytes, issuers->size, error);
}

/* Finds the members; none may be there twice. */
static int find_members(const void *tar, size_t size, struct members *members, rh_error *error)
{
	const struct {
		const char *path;
		struct tar_member *member;
	} known[] = {{HEADER_MEMBER, &members->header}, {SIGNATURE_MEMBER, &members->signature},
	    {PROOF_MEMBER, &members->proof}, {ISSUERS_MEMBER, &members->issuers}};
	struct tar_cursor cursor = {tar, size, 0};
	struct tar_member member;
	bool end = false;

	for (;;) {
		int code = tar_next(&cursor, &member, &end, error);

		if (code != RH_OK || end)
			return code;
		for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
			if (strcmp(member.path, known[i].path) != 0)
				continue;
			if (known[i].member->bytes != NULL)
				return corrupt("there twice", error);
			*known[i].member = member;
		}
	}
}

int backup_header_read(const void *tar, size_t size, struct backup_header *ret, rh_error *error)
{
	struct members members = {0};
	struct backup_header header = {0};
	json_t *json = NULL;
	int code;

	code = find_members(tar, size, &members, error);
	if (code != RH_OK)
		return code;
	if (members.header.bytes == NULL || members.header.size > HEADER_MAX)
		return corrupt("not there, or too large", error);
	code = load(members.header.bytes, members.header.size, &json, error);
	if (code != RH_OK)
		return code;
	if (json == NULL)
		return corrupt("not JSON", error);
	code = read_members(json, &header, error);
	if (code == RH_OK)
		code = read_services(json, &header, error);
	if (code == RH_OK)
		code = read_signature(json, &members, &header, error);
	if (code == RH_OK)
		code = read_proof(&members, &header, error);
	json_decref(json);
	if (code != RH_OK) {
		backup_header_free(&header);
		return code;
	}
	*ret = header;
	return RH_OK;
}
