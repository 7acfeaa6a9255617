#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jsontext.h"
#include "crypto/jws.h"
#include "service/keys_file.h"

#include "service/keys.h"

#define BASE64_JOSE (BASE64_URL | BASE64_NO_PAD)
#define HEADER_MAX 1024 /* bytes of the header of a compact JWE */

struct service_keys {
	struct service_key_list list;
	const struct service_key *signing; /* the first of them that signs */
	struct jose_set set;
	struct buffer public; /* ends with NUL */
};

/* ---- New keys ---- */

static int add_key(struct service_key_list *list, bool signs, int64_t now, rh_error *error)
{
	struct service_key *key = &list->keys[list->count];
	int code = jose_key_generate(&key->key, key->secret, error);

	if (code != RH_OK)
		return code;
	list->count++;
	key->signs = signs;
	key->made = now;
	/* A clock that went back must not leave the older key in charge. */
	if (list->count > 1 && key->made < list->keys[0].made)
		key->made = list->keys[0].made;
	strcpy(key->id, jose_key_thumbprint(key->key));
	key_list_order(list);
	return RH_OK;
}

static int add_pair(
    struct service_key_list *list, const struct keys_file *file, int64_t now, rh_error *error)
{
	int code;

	if (list->count + 2 > JOSE_KEYS_MAX)
		return error_set(error, RH_E_ARGUMENT,
		    "%s has %zu keys, and may have %d: remove some that nothing needs any more",
		    file->path, list->count, JOSE_KEYS_MAX);
	code = add_key(list, false, now, error);
	if (code == RH_OK)
		code = add_key(list, true, now, error);
	return code == RH_OK ? keys_file_write(file, list, error) : code;
}

/* ---- What is public ---- */

static int append_address(struct buffer *text, const char *address, rh_error *error)
{
	json_t *string = json_string(address);
	char *dumped = json_dumps(string, JSON_ENCODE_ANY);
	int code = dumped == NULL ? error_memory(error) : RH_OK;

	json_decref(string);
	if (code == RH_OK)
		code = buffer_append_text(text, "{\"service\":", error);
	if (code == RH_OK)
		code = buffer_append_text(text, dumped, error);
	if (code == RH_OK)
		code = buffer_append_text(text, ",\"keys\":[", error);
	free(dumped);
	return code;
}

static int publish(struct service_keys *keys, const char *address, rh_error *error)
{
	int code = append_address(&keys->public, address, error);

	for (size_t i = 0; code == RH_OK && i < keys->list.count; i++)
		code = key_append(
		    &keys->public, &keys->list.keys[i], i == 0 ? "" : ",", false, error);
	if (code == RH_OK)
		code = buffer_append(&keys->public, "]}", sizeof "]}", error);
	if (code == RH_OK)
		code = jose_set_read(
		    &keys->set, keys->public.data, keys->public.size - 1, "service", error);
	return code;
}

static int choose(struct service_keys *keys, const struct keys_file *file, rh_error *error)
{
	bool sealed_for = false;

	for (size_t i = keys->list.count; i-- > 0;) {
		if (keys->list.keys[i].signs)
			keys->signing = &keys->list.keys[i];
		else
			sealed_for = true;
	}
	if (keys->signing == NULL || !sealed_for)
		return error_set(error, RH_E_PIN_KEYS, "%s has no key that %s", file->path,
		    keys->signing == NULL ? "signs" : "can be sealed for");
	return RH_OK;
}

/* ---- Together ---- */

/* With an ${address} also what is public. */
static int keys_load(const char *directory, const char *address, bool create, int64_t now,
    bool rotate, struct service_keys **ret, rh_error *error)
{
	struct service_keys *keys = calloc(1, sizeof *keys);
	struct keys_file file;
	bool missing = false;
	int code;

	if (keys == NULL)
		return error_memory(error);
	code = keys_file_open(&file, directory, error);
	if (code != RH_OK)
		goto free_keys;
	code = keys_file_read(&file, &keys->list, &missing, error);
	if (code == RH_OK && missing && !create)
		code = error_set(error, RH_E_OPEN,
		    "there is no %s: put its copy back ('rehostd serve' makes new keys for an "
		    "empty ledger alone)",
		    file.path);
	if (code == RH_OK && !missing)
		code = choose(keys, &file, error);
	if (code == RH_OK && (missing || rotate)) {
		code = add_pair(&keys->list, &file, now, error);
		/* They were moved. */
		if (code == RH_OK)
			code = choose(keys, &file, error);
	}
	if (code == RH_OK)
		code = publish(keys, address, error);
	keys_file_close(&file);
	if (code != RH_OK)
		goto free_keys;
	*ret = keys;
	return RH_OK;

free_keys:
	service_keys_close(keys);
	return code;
}

int service_keys_open(const char *directory, const char *address, bool create, int64_t now,
    struct service_keys **ret, rh_error *error)
{
	return keys_load(directory, address, create, now, false, ret, error);
}

int service_keys_rotate(const char *directory, int64_t now, rh_error *error)
{
	struct service_keys *keys;
	int code = keys_load(directory, "", false, now, true, &keys, error);

	if (code == RH_OK)
		service_keys_close(keys);
	return code;
}

void service_keys_close(struct service_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < JOSE_KEYS_MAX; i++)
		jose_key_free(keys->list.keys[i].key);
	jose_set_free(&keys->set);
	buffer_free(&keys->public);
	bytes_wipe(keys, sizeof *keys);
	free(keys);
}

const struct jose_key *service_keys_signing(const struct service_keys *keys)
{
	return keys->signing->key;
}

const struct jose_set *service_keys_set(const struct service_keys *keys)
{
	return &keys->set;
}

const char *service_keys_public(const struct service_keys *keys)
{
	return (const char *)keys->public.data;
}

int service_keys_derive(const struct service_keys *keys, const char *purpose,
    uint8_t ret[KEY_SIZE], rh_error *error)
{
	char info[128];

	snprintf(info, sizeof info, "rehost service 1: %s", purpose);
	return hkdf_sha256(
	    ret, KEY_SIZE, keys->signing->secret, KEY_SIZE, NULL, 0, info, error);
}

/* ---- Opening ---- */

static int unopened(rh_error *error)
{
	return error_set(error, RH_E_LICENSE_CONTENT_KEY,
	    "the batch key is not sealed for a key of this service");
}

/* "kid" of the header of a compact JWE. */
static int jwe_key_id(const char *jwe, size_t size, char ret[JOSE_KEY_ID_SIZE], rh_error *error)
{
	const char *dot = memchr(jwe, '.', size);
	uint8_t bytes[HEADER_MAX];
	ptrdiff_t got;
	json_t *header;
	rh_error why;
	int code;

	if (dot == NULL)
		return unopened(error);
	got = base64_decode(bytes, sizeof bytes, jwe, (size_t)(dot - jwe), BASE64_JOSE);
	if (got < 0)
		return unopened(error);
	code = jsontext_read(bytes, (size_t)got, &header, &why);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK)
		return unopened(error);
	if (!jws_text(header, "kid", ret, JOSE_KEY_ID_SIZE))
		code = unopened(error);
	json_decref(header);
	return code;
}

int service_keys_open_jwe(const struct service_keys *keys, const char *jwe, size_t size,
    struct buffer *ret, rh_error *error)
{
	char id[JOSE_KEY_ID_SIZE];
	int code;

	if (size > JOSE_JWE_MAX)
		return unopened(error);
	code = jwe_key_id(jwe, size, id, error);
	if (code != RH_OK)
		return code;
	for (size_t i = 0; i < keys->list.count; i++)
		if (!keys->list.keys[i].signs && strcmp(keys->list.keys[i].id, id) == 0)
			return jose_open(keys->list.keys[i].key, jwe, size, ret, error);
	return unopened(error);
}
