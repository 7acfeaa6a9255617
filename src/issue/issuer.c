#include <errno.h>
#include <fcntl.h>
#include <jose/jose.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "issue/fields.h"
#include "issue/issuer.h"

#define NAME_MAX_BYTES 255

static bool has_operation(const json_t *key, const char *wanted)
{
	const json_t *operations = json_object_get(key, "key_ops"), *operation;
	size_t i;

	json_array_foreach(operations, i, operation)
	{
		if (json_is_string(operation) &&
		    strcmp(json_string_value(operation), wanted) == 0)
			return true;
	}
	return false;
}

const char *issuer_name(const json_t *set)
{
	return json_string_value(json_object_get(set, "issuer"));
}

const char *issuer_kid(const json_t *key)
{
	return json_string_value(json_object_get(key, "kid"));
}

const json_t *issuer_key(const json_t *set)
{
	const json_t *key;
	size_t i;

	json_array_foreach(json_object_get(set, "keys"), i, key)
	{
		if (has_operation(key, "sign"))
			return key;
	}
	return NULL;
}

const json_t *issuer_find(const json_t *set, const char *kid)
{
	const json_t *key;
	size_t i;

	json_array_foreach(json_object_get(set, "keys"), i, key)
	{
		if (strcmp(issuer_kid(key), kid) == 0)
			return key;
	}
	return NULL;
}

/* A new key that signs. */
static int make_key(int64_t now, json_t **ret, rh_error *error)
{
	json_t *key = json_pack("{s:s}", "alg", "ES256"), *whole = NULL;
	char thumbprint[THUMBPRINT_SIZE];
	int code;

	if (key == NULL || !jose_jwk_gen(NULL, key)) {
		json_decref(key);
		return error_set(error, RH_E_INTERNAL, "libjose makes no key");
	}
	code = jwk_thumbprint(key, thumbprint, error);
	if (code == RH_OK) {
		whole = json_pack("{s:s,s:s,s:s,s:I,s:[s,s],s:O,s:O,s:O,s:O}", "kid",
		    thumbprint, "kty", "EC", "alg", "ES256", "iat", (json_int_t)now, "key_ops",
		    "sign", "verify", "crv", json_object_get(key, "crv"), "x",
		    json_object_get(key, "x"), "y", json_object_get(key, "y"), "d",
		    json_object_get(key, "d"));
		if (whole == NULL)
			code = error_memory(error);
	}
	if (code == RH_OK)
		*ret = whole;
	json_decref(key);
	return code;
}

int issuer_make(const char *name, int64_t now, json_t **ret, rh_error *error)
{
	json_t *key = NULL, *set;
	int code;

	if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
		return error_set(error, RH_E_ARGUMENT,
		    "the issuer's name must have 1 to %d bytes", NAME_MAX_BYTES);
	if (!field_is_plain(name))
		return error_set(
		    error, RH_E_ARGUMENT, "the issuer's name holds control characters");
	code = make_key(now, &key, error);
	if (code != RH_OK)
		return code;
	set = json_pack("{s:s,s:[o]}", "issuer", name, "keys", key);
	if (set == NULL)
		return error_set(error, RH_E_ARGUMENT, "the issuer's name is not UTF-8");
	*ret = set;
	return RH_OK;
}

/* No private half is needed to verify, so none stays. */
static void retire(json_t *key)
{
	json_object_del(key, "d");
	json_object_set_new(key, "key_ops", json_pack("[s]", "verify"));
}

int issuer_rotate(json_t *set, int64_t now, rh_error *error)
{
	json_t *keys = json_object_get(set, "keys"), *key = NULL, *old;
	size_t i;
	int code;

	if (json_array_size(keys) >= ISSUER_KEYS_MAX)
		return error_set(error, RH_E_ARGUMENT,
		    "the set has %d keys, as many as one may have: remove an old one first",
		    ISSUER_KEYS_MAX);
	code = make_key(now, &key, error);
	if (code != RH_OK)
		return code;
	json_array_foreach(keys, i, old) retire(old);
	json_array_append_new(keys, key);
	return RH_OK;
}

int issuer_remove(json_t *set, const char *kid, rh_error *error)
{
	json_t *keys = json_object_get(set, "keys");

	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);

		if (strcmp(issuer_kid(key), kid) != 0)
			continue;
		if (has_operation(key, "sign"))
			return error_set(error, RH_E_ARGUMENT,
			    "this key signs, so it cannot be removed: %s", kid);
		json_array_remove(keys, i);
		return RH_OK;
	}
	return error_set(error, RH_E_ARGUMENT, "no key of the set has this id: %s", kid);
}

/* Whether the private half belongs to the public one. */
static bool halves_fit(const json_t *key)
{
	json_t *jws = json_pack("{s:s}", "payload", "e30"), *public = json_deep_copy(key);
	bool fit;

	json_object_del(public, "d");
	json_object_del(public, "key_ops");
	fit = jose_jws_sig(NULL, jws, NULL, key) && jose_jws_ver(NULL, jws, NULL, public, true);
	json_decref(public);
	json_decref(jws);
	return fit;
}

/* One key of a file; whether it signs. */
static int check_key(
    const json_t *key, bool private, const char *what, bool *ret_signs, rh_error *error)
{
	char thumbprint[THUMBPRINT_SIZE];
	json_t *public = NULL;
	int code;

	code = jwk_public(key, what, &public, error);
	if (code == RH_OK)
		code = jwk_thumbprint(public, thumbprint, error);
	json_decref(public);
	if (code != RH_OK)
		return code;
	if (issuer_kid(key) == NULL)
		return error_set(error, RH_E_PIN_KEYS, "%s has no \"kid\"", what);
	*ret_signs = has_operation(key, "sign");
	if (private && strcmp(issuer_kid(key), thumbprint) != 0)
		return error_set(
		    error, RH_E_PIN_KEYS, "%s: \"kid\" is not its thumbprint", what);
	if (*ret_signs && json_object_get(key, "d") == NULL)
		return error_set(error, RH_E_PIN_KEYS, "%s signs, but has no \"d\"", what);
	if (*ret_signs && !halves_fit(key))
		return error_set(
		    error, RH_E_PIN_KEYS, "%s does not verify what it signs", what);
	return RH_OK;
}

static int check_set(const json_t *set, bool private, const char *path, rh_error *error)
{
	const json_t *keys = json_object_get(set, "keys"), *key;
	size_t i, signing = 0;
	int code = RH_OK;

	if (issuer_name(set) == NULL || issuer_name(set)[0] == '\0' ||
	    strlen(issuer_name(set)) > NAME_MAX_BYTES || !field_is_plain(issuer_name(set)))
		return error_set(error, RH_E_PIN_KEYS, "%s does not name its \"issuer\"", path);
	if (json_array_size(keys) == 0 || json_array_size(keys) > ISSUER_KEYS_MAX)
		return error_set(error, RH_E_PIN_KEYS, "%s does not hold 1 to %d \"keys\"",
		    path, ISSUER_KEYS_MAX);
	json_array_foreach(keys, i, key)
	{
		char what[PATH_MAX + 32];
		bool signs = false;

		snprintf(what, sizeof what, "%s: key %zu", path, i + 1);
		code = check_key(key, private, what, &signs, error);
		if (code != RH_OK)
			return code;
		signing += signs;
		if (issuer_find(set, issuer_kid(key)) != key)
			return error_set(
			    error, RH_E_PIN_KEYS, "%s stands twice in the set", what);
	}
	if (private && signing != 1)
		return error_set(
		    error, RH_E_PIN_KEYS, "%s: %zu keys sign, where one should", path, signing);
	return RH_OK;
}

static int read_set(const char *path, bool private, json_t **ret, rh_error *error)
{
	json_t *set = NULL;
	int code = jwk_read_file(path, &set, error);

	if (code == RH_OK)
		code = check_set(set, private, path, error);
	if (code == RH_OK)
		*ret = set;
	else
		json_decref(set);
	return code;
}

int issuer_read(const char *path, json_t **ret, rh_error *error)
{
	return read_set(path, true, ret, error);
}

int issuer_read_public(const char *path, json_t **ret, rh_error *error)
{
	return read_set(path, false, ret, error);
}

int issuer_public(const json_t *set, json_t **ret, rh_error *error)
{
	json_t *keys = json_array(), *public;
	const json_t *key;
	size_t i;

	json_array_foreach(json_object_get(set, "keys"), i, key)
	{
		json_t *one = json_pack("{s:O,s:s,s:s,s:O*,s:[s],s:s,s:O,s:O}", "kid",
		    json_object_get(key, "kid"), "kty", "EC", "alg", "ES256", "iat",
		    json_object_get(key, "iat"), "key_ops", "verify", "crv", "P-256", "x",
		    json_object_get(key, "x"), "y", json_object_get(key, "y"));

		if (one == NULL || json_array_append_new(keys, one) != 0) {
			json_decref(keys);
			return error_memory(error);
		}
	}
	public = json_pack("{s:O,s:o}", "issuer", json_object_get(set, "issuer"), "keys", keys);
	if (public == NULL)
		return error_memory(error);
	*ret = public;
	return RH_OK;
}

/* A file that was not there: a failure leaves none. */
static int create(
    int directory, const char *name, const char *text, const char *path, rh_error *error)
{
	int code, fd;

	fd =
	    openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot create %s", path);
	code = file_write(fd, text, strlen(text), path, error);
	if (code == RH_OK)
		code = file_sync(fd, path, error);
	if (close(fd) != 0 && code == RH_OK)
		code = error_errno(error, RH_E_WRITE, errno, "cannot write %s", path);
	if (code == RH_OK)
		code = file_sync_directory(directory, path, error);
	if (code != RH_OK)
		unlinkat(directory, name, 0);
	return code;
}

/* file_replace, without the mode of an older .part. */
static int replace_private(
    int directory, const char *name, const char *text, const char *path, rh_error *error)
{
	char part[PATH_MAX];

	snprintf(part, sizeof part, "%s.part", name);
	unlinkat(directory, part, 0);
	return file_replace(directory, name, 0600, text, strlen(text), path, error);
}

int issuer_write(const json_t *set, const char *path, bool replace, rh_error *error)
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
	char *text = NULL, *folder = NULL;
	int directory = -1, code = RH_OK;

	folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(name - path));
	text = json_dumps(set, JSON_INDENT(1));
	if (folder == NULL || text == NULL) {
		code = error_memory(error);
		goto done;
	}
	directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		code = error_errno(error, RH_E_OPEN, errno, "%s", folder);
	else if (replace)
		code = replace_private(directory, name, text, path, error);
	else
		code = create(directory, name, text, path, error);
done:
	if (directory >= 0)
		close(directory);
	if (text != NULL)
		bytes_wipe(text, strlen(text));
	free(text);
	free(folder);
	return code;
}
