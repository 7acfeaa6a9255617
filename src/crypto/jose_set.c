#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/internal.h"
#include "crypto/jose_key.h"
#include "crypto/jsontext.h"

/* One key of a set while it is read. */
struct entry {
	const json_t *json;
	char name[JOSE_KEY_ID_SIZE + 32]; /* in messages: its place in the set, and its id */
	bool signs;
	bool encrypts;
};

static bool member_is(const json_t *object, const char *name, const char *value)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL && strcmp(text, value) == 0;
}

static int wrong_member(const struct entry *entry, const char *member, rh_error *error)
{
	return error_set(
	    error, RH_E_PIN_KEYS, "%s has a malformed member \"%s\"", entry->name, member);
}

static void entry_name(struct entry *entry, size_t place)
{
	const char *id = json_string_value(json_object_get(entry->json, "kid"));
	char shown[JOSE_KEY_ID_SIZE];

	if (id == NULL) {
		snprintf(entry->name, sizeof entry->name, "key %zu", place);
		return;
	}
	text_copy(shown, sizeof shown, id, strlen(id));
	snprintf(entry->name, sizeof entry->name, "key %zu (%s)", place, shown);
}

/* "use" (RFC 7517, section 4.2) and "alg" (4.4). */
static int read_use(struct entry *entry, rh_error *error)
{
	const json_t *use = json_object_get(entry->json, "use");
	const json_t *algorithm = json_object_get(entry->json, "alg");

	if (use != NULL && !json_is_string(use))
		return wrong_member(entry, "use", error);
	if (algorithm != NULL && !json_is_string(algorithm))
		return wrong_member(entry, "alg", error);
	if (use != NULL) {
		entry->signs &= member_is(entry->json, "use", "sig");
		entry->encrypts &= member_is(entry->json, "use", "enc");
	}
	if (algorithm != NULL) {
		entry->signs &= member_is(entry->json, "alg", "ES256");
		entry->encrypts &= member_is(entry->json, "alg", "ECDH-ES+A256KW");
	}
	return RH_OK;
}

/* "key_ops" (RFC 7517, section 4.3): of these, what a public key may do. */
static int read_operations(struct entry *entry, rh_error *error)
{
	static const char *const encrypting[] = {"deriveKey", "deriveBits", "wrapKey"};
	const json_t *operations = json_object_get(entry->json, "key_ops"), *operation;
	bool signs = false, encrypts = false;
	size_t i;

	if (operations == NULL)
		return RH_OK;
	if (!json_is_array(operations))
		return wrong_member(entry, "key_ops", error);
	json_array_foreach(operations, i, operation)
	{
		const char *text = json_string_value(operation);

		if (text == NULL)
			return wrong_member(entry, "key_ops", error);
		signs |= strcmp(text, "verify") == 0;
		for (size_t j = 0; j < sizeof encrypting / sizeof *encrypting; j++)
			encrypts |= strcmp(text, encrypting[j]) == 0;
	}
	entry->signs &= signs;
	entry->encrypts &= encrypts;
	return RH_OK;
}

static int read_coordinate(
    uint8_t bytes[32], const struct entry *entry, const char *name, rh_error *error)
{
	const json_t *text = json_object_get(entry->json, name);

	if (!json_is_string(text) ||
	    !base64_jose_read(bytes, 32, json_string_value(text), json_string_length(text)))
		return wrong_member(entry, name, error);
	return RH_OK;
}

static int read_point(const struct entry *entry, struct jose_key **ret, rh_error *error)
{
	uint8_t x[32], y[32];
	int code = read_coordinate(x, entry, "x", error);

	if (code == RH_OK)
		code = read_coordinate(y, entry, "y", error);
	if (code == RH_OK)
		code = jose_key_public(x, y, ret, error);
	if (code == RH_E_ARGUMENT)
		code = error_set(error, RH_E_PIN_KEYS,
		    "%s has members \"x\" and \"y\" that are no point of P-256", entry->name);
	return code;
}

/* Its id: "kid", or the thumbprint. */
static int read_id(char id[JOSE_KEY_ID_SIZE], const struct entry *entry,
    const struct jose_key *key, rh_error *error)
{
	const json_t *kid = json_object_get(entry->json, "kid");
	size_t length = json_string_length(kid);

	if (kid == NULL) {
		memcpy(id, jose_key_thumbprint(key), JOSE_THUMBPRINT_SIZE);
		return RH_OK;
	}
	if (!json_is_string(kid) || length < 1 || length >= JOSE_KEY_ID_SIZE)
		return wrong_member(entry, "kid", error);
	memcpy(id, json_string_value(kid), length + 1);
	return RH_OK;
}

/* Adds the key to ${set} if it can be used here. */
static int read_key(struct jose_set *set, const json_t *json, size_t place, rh_error *error)
{
	struct jose_set_key *slot = &set->keys[set->count];
	struct entry entry = {.json = json, .signs = true, .encrypts = true};
	int code;

	entry_name(&entry, place);
	if (!json_is_object(json))
		return error_set(error, RH_E_PIN_KEYS, "%s is no JSON object", entry.name);
	if (json_object_get(json, "d") != NULL)
		return error_set(error, RH_E_PIN_KEYS,
		    "%s has the private member \"d\", which must stay with its owner",
		    entry.name);
	if (!member_is(json, "kty", "EC") || !member_is(json, "crv", "P-256"))
		return RH_OK;
	code = read_use(&entry, error);
	if (code == RH_OK)
		code = read_operations(&entry, error);
	if (code != RH_OK || (!entry.signs && !entry.encrypts))
		return code;

	code = read_point(&entry, &slot->key, error);
	if (code != RH_OK)
		return code;
	set->count++;
	slot->signs = entry.signs;
	slot->encrypts = entry.encrypts;
	code = read_id(slot->id, &entry, slot->key, error);
	for (size_t i = 0; i + 1 < set->count && code == RH_OK; i++)
		if (strcmp(set->keys[i].id, slot->id) == 0)
			code = error_set(error, RH_E_PIN_KEYS,
			    "%s has the same \"kid\" as an earlier key", entry.name);
	return code;
}

static int read_keys(struct jose_set *set, const json_t *json, rh_error *error)
{
	const json_t *keys = json_object_get(json, "keys"), *key;
	int code = RH_OK;
	size_t i;

	if (keys == NULL && json_object_get(json, "kty") != NULL)
		return read_key(set, json, 1, error);
	if (!json_is_array(keys))
		return error_set(
		    error, RH_E_PIN_KEYS, "the JWK set has no array in member \"keys\"");
	if (json_array_size(keys) > JOSE_KEYS_MAX)
		return error_set(error, RH_E_PIN_KEYS,
		    "the JWK set has %zu keys, and may have %d", json_array_size(keys),
		    JOSE_KEYS_MAX);
	json_array_foreach(keys, i, key)
	{
		code = read_key(set, key, i + 1, error);
		if (code != RH_OK)
			break;
	}
	return code;
}

static int read_name(
    struct jose_set *set, const json_t *json, const char *member, rh_error *error)
{
	const json_t *name = json_object_get(json, member);
	size_t length = json_string_length(name);

	if (length >= sizeof set->name)
		return error_set(error, RH_E_PIN_KEYS,
		    "the JWK set has more than %zu bytes in member \"%s\"",
		    sizeof set->name - 1, member);
	if (length > 0)
		memcpy(set->name, json_string_value(name), length + 1);
	return RH_OK;
}

int jose_set_read(struct jose_set *set, const void *json, size_t size, const char *name_member,
    rh_error *error)
{
	struct jose_set read = {0};
	rh_error why = {0};
	json_t *root = NULL;
	int code;

	if (size > JOSE_SET_MAX)
		return error_set(
		    error, RH_E_PIN_KEYS, "the JWK set has more than %d bytes", JOSE_SET_MAX);
	code = jsontext_read(json, size, &root, &why);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK)
		return error_set(error, RH_E_PIN_KEYS, "the JWK set is no JSON: %s", why.text);
	code = read_keys(&read, root, error);
	if (code == RH_OK && read.count == 0)
		code = error_set(error, RH_E_PIN_KEYS,
		    "the JWK set has no key that can be used: EC with P-256, for ES256 or "
		    "ECDH-ES+A256KW");
	if (code == RH_OK && name_member != NULL)
		code = read_name(&read, root, name_member, error);
	json_decref(root);
	if (code == RH_OK)
		*set = read;
	else
		jose_set_free(&read);
	return code;
}

void jose_set_free(struct jose_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		jose_key_free(set->keys[i].key);
	set->count = 0;
}
