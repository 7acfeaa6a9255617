#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "authority/message.h"
#include "base/text.h"
#include "crypto/jsontext.h"

#include "engine/pins.h"

#include "engine/identity.h"

#define VALUE_PREFIX "service."
#define VALUE_NAME_SIZE (sizeof VALUE_PREFIX + 2 * (size_t)DIGEST_SIZE)

void identity_free(struct identity *identity)
{
	free(identity->certificate);
	free(identity->name);
	free(identity->head);
	bytes_wipe(identity, sizeof *identity);
}

int identity_set(char **member, const char *text, rh_error *error)
{
	char *copy = text != NULL ? strdup(text) : NULL;

	if (text != NULL && copy == NULL)
		return error_memory(error);
	free(*member);
	*member = copy;
	return RH_OK;
}

/* Under which name of the store it is kept. */
static int value_name(char name[VALUE_NAME_SIZE], const char *address, rh_error *error)
{
	uint8_t digest[DIGEST_SIZE];
	int code = sha256(digest, address, strlen(address), error);

	if (code != RH_OK)
		return code;
	memcpy(name, VALUE_PREFIX, sizeof VALUE_PREFIX - 1);
	text_hex(name + sizeof VALUE_PREFIX - 1, digest, sizeof digest);
	return RH_OK;
}

/* ---- As bytes: the secret, so that it goes through no library, and then JSON ---- */

static int damaged(const char *why, rh_error *error)
{
	return error_set(
	    error, RH_E_STORE_DAMAGED, "an identity at a service is not whole: %s", why);
}

/* An optional text of at most ${size} bytes. */
static int read_text(
    const json_t *object, const char *member, size_t size, char **ret, rh_error *error)
{
	const json_t *value = json_object_get(object, member);

	if (value == NULL)
		return RH_OK;
	if (!json_is_string(value) || json_string_length(value) > size)
		return damaged(member, error);
	return identity_set(ret, json_string_value(value), error);
}

static int read_members(const json_t *object, struct identity *ret, rh_error *error)
{
	const char *address = json_string_value(json_object_get(object, "address"));
	const json_t *since = json_object_get(object, "since");
	int code;

	if (address == NULL || strlen(address) >= sizeof ret->address)
		return damaged("address", error);
	if (!json_is_integer(since))
		return damaged("since", error);
	memcpy(ret->address, address, strlen(address) + 1);
	ret->since = json_integer_value(since);
	ret->release = json_is_true(json_object_get(object, "release"));
	code = read_text(object, "certificate", JWS_MAX, &ret->certificate, error);
	if (code == RH_OK)
		code =
		    read_text(object, "name", (size_t)MESSAGE_NAME_MAX * 4, &ret->name, error);
	if (code == RH_OK)
		code = read_text(object, "head", JWS_MAX, &ret->head, error);
	return code;
}

static int identity_read(
    const uint8_t *bytes, size_t size, struct identity *ret, rh_error *error)
{
	struct identity identity = {0};
	json_t *object = NULL;
	rh_error why;
	int code;

	if (size < KEY_SIZE)
		return damaged("it is too short", error);
	memcpy(identity.secret, bytes, KEY_SIZE);
	code = jsontext_read(bytes + KEY_SIZE, size - KEY_SIZE, &object, &why);
	if (code == RH_E_MEMORY)
		code = error_memory(error);
	else if (code != RH_OK)
		code = damaged(why.text, error);
	if (code == RH_OK)
		code = read_members(object, &identity, error);
	json_decref(object);
	if (code == RH_OK)
		*ret = identity;
	else
		identity_free(&identity);
	bytes_wipe(identity.secret, KEY_SIZE);
	return code;
}

static int write_text(json_t *object, const char *member, const char *text)
{
	return text != NULL ? json_object_set_new(object, member, json_string(text)) : 0;
}

static int identity_write(const struct identity *identity, struct buffer *ret, rh_error *error)
{
	json_t *object = json_object();
	char *text = NULL;
	int code = RH_OK;

	if (object == NULL || write_text(object, "address", identity->address) != 0 ||
	    write_text(object, "certificate", identity->certificate) != 0 ||
	    write_text(object, "name", identity->name) != 0 ||
	    write_text(object, "head", identity->head) != 0 ||
	    json_object_set_new(object, "since", json_integer(identity->since)) != 0 ||
	    json_object_set_new(object, "release", json_boolean(identity->release)) != 0)
		code = error_memory(error);
	if (code == RH_OK)
		code = pins_dump(object, &text, error);
	json_decref(object);
	/* In one piece: what grows leaves copies behind. */
	if (code == RH_OK)
		code = buffer_reserve(ret, KEY_SIZE + strlen(text), error);
	if (code == RH_OK)
		code = buffer_append(ret, identity->secret, KEY_SIZE, error);
	if (code == RH_OK)
		code = buffer_append(ret, text, strlen(text), error);
	free(text);
	return code;
}

/* ---- In the store ---- */

int identity_load(struct rh_store *store, const char *address, struct identity *ret,
    bool *ret_there, rh_error *error)
{
	struct identity identity = {0};
	struct buffer value = {0};
	char name[VALUE_NAME_SIZE];
	int code = value_name(name, address, error);

	if (code == RH_OK)
		code = store_value_get(store->store, name, &value, error);
	if (code == RH_OK && value.size > 0)
		code = identity_read(value.data, value.size, &identity, error);
	if (code == RH_OK && value.size > 0 && strcmp(identity.address, address) != 0) {
		identity_free(&identity);
		code = damaged("it is another service's", error);
	}
	if (code == RH_OK) {
		*ret_there = value.size > 0;
		*ret = identity;
	}
	buffer_free_secret(&value);
	bytes_wipe(identity.secret, KEY_SIZE);
	return code;
}

int identity_save(struct rh_store *store, const struct identity *identity, rh_error *error)
{
	struct buffer value = {0};
	char name[VALUE_NAME_SIZE];
	int code = value_name(name, identity->address, error);

	if (code == RH_OK)
		code = identity_write(identity, &value, error);
	if (code == RH_OK)
		code = store_value_set(store->store, name, value.data, value.size, error);
	buffer_free_secret(&value);
	return code;
}

/* A new key, unless another process was faster. */
static int make_new(
    struct rh_store *store, const char *address, struct identity *ret, rh_error *error)
{
	struct identity made = {0};
	struct jose_key *key = NULL;
	bool there = false;
	int code = jose_key_generate(&key, made.secret, error);

	if (code == RH_OK)
		code = store_begin(store->store, error);
	if (code != RH_OK)
		goto done;
	code = identity_load(store, address, ret, &there, error);
	if (code == RH_OK && !there) {
		memcpy(made.address, address, strlen(address) + 1);
		made.since = LICENSE_TIME_NONE;
		code = identity_save(store, &made, error);
	}
	if (code == RH_OK)
		code = store_commit(store->store, error);
	if (code != RH_OK)
		store_rollback(store->store);
	if (code == RH_OK && !there)
		*ret = made;
	if (code != RH_OK)
		identity_free(ret);

done:
	jose_key_free(key);
	bytes_wipe(&made, sizeof made);
	return code;
}

int identity_make(
    struct rh_store *store, const char *address, struct identity *ret, rh_error *error)
{
	bool there = false;
	int code;

	if (strlen(address) >= sizeof ret->address)
		return error_set(error, RH_E_ARGUMENT, "the address of a service is too long");
	code = identity_load(store, address, ret, &there, error);
	if (code == RH_OK && !there)
		code = make_new(store, address, ret, error);
	return code;
}

struct walk {
	int (*function)(void *context, const struct identity *identity, rh_error *error);
	void *context;
};

static int walk_value(void *context, const void *value, size_t size, rh_error *error)
{
	const struct walk *walk = context;
	struct identity identity = {0};
	int code = identity_read(value, size, &identity, error);

	if (code == RH_OK)
		code = walk->function(walk->context, &identity, error);
	identity_free(&identity);
	return code;
}

int identity_walk(struct rh_store *store,
    int (*function)(void *context, const struct identity *identity, rh_error *error),
    void *context, rh_error *error)
{
	struct walk walk = {function, context};

	return store_value_walk(store->store, VALUE_PREFIX, walk_value, &walk, error);
}

int identity_head(const char *head, struct head *ret, rh_error *error)
{
	struct head found = {0};
	int code = head != NULL ? head_read(head, &found, error) : RH_OK;

	if (code == RH_OK)
		*ret = found;
	return code == RH_OK || code == RH_E_MEMORY ? code : damaged("its head is none", error);
}
