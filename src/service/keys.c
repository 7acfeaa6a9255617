#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/jsontext.h"
#include "crypto/jws.h"
#include "service/keys.h"

#define BASE64_JOSE (BASE64_URL | BASE64_NO_PAD)
#define TIME_LAST INT64_C(253402300799) /* the end of 9999 */
#define HEADER_MAX 1024 /* bytes of the header of a compact JWE */

struct service_key {
	char id[JOSE_KEY_ID_SIZE]; /* "kid", or the thumbprint */
	bool signs; /* or else is sealed for */
	int64_t made;
	uint8_t secret[KEY_SIZE];
	struct jose_key *key;
};

struct service_keys {
	struct service_key keys[JOSE_KEYS_MAX]; /* the newest first */
	size_t count;
	const struct service_key *signing; /* the first of them that signs */
	struct jose_set set;
	struct buffer public; /* ends with NUL */
};

/* ---- The file, open and locked ---- */

struct place {
	int directory;
	char path[4096]; /* of the file, for messages */
};

static int place_open(struct place *place, const char *directory, rh_error *error)
{
	place->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->directory < 0)
		return error_errno(error, errno == ENOENT ? RH_E_NO_DIRECTORY : RH_E_OPEN,
		    errno, "cannot open the directory %s", directory);
	snprintf(place->path, sizeof place->path, "%s/%s", directory, SERVICE_KEYS_FILE);
	while (flock(place->directory, LOCK_EX) != 0) {
		if (errno != EINTR) {
			int code = error_errno(
			    error, RH_E_OPEN, errno, "cannot lock the directory %s", directory);

			close(place->directory);
			return code;
		}
	}
	return RH_OK;
}

static void place_close(struct place *place)
{
	close(place->directory);
}

static int check_mode(int fd, const struct place *place, rh_error *error)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return error_errno(error, RH_E_READ, errno, "cannot read %s", place->path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, RH_E_OPEN, "%s is no file", place->path);
	if ((status.st_mode & 077) != 0)
		return error_set(error, RH_E_ACCESS,
		    "%s may be read or written by others: its mode must be 0600", place->path);
	return RH_OK;
}

/* ${*ret_missing}: there is no file. */
static int place_read(
    const struct place *place, struct buffer *ret, bool *ret_missing, rh_error *error)
{
	int fd = openat(place->directory, SERVICE_KEYS_FILE,
	    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	size_t got;
	int code;

	*ret_missing = fd < 0 && errno == ENOENT;
	if (*ret_missing)
		return RH_OK;
	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot open %s", place->path);
	code = check_mode(fd, place, error);
	/* Once and for all: what grew would leave copies behind. */
	if (code == RH_OK)
		code = buffer_reserve(ret, JOSE_SET_MAX + 1, error);
	if (code == RH_OK)
		code = file_read(fd, ret->data, JOSE_SET_MAX + 1, &got, place->path, error);
	if (code == RH_OK && got > JOSE_SET_MAX)
		code = error_set(error, RH_E_PIN_KEYS, "%s is larger than %d bytes",
		    place->path, JOSE_SET_MAX);
	if (code == RH_OK)
		ret->size = got;
	close(fd);
	return code;
}

/* ---- Reading ---- */

static int broken(const struct place *place, size_t number, const char *what, rh_error *error)
{
	return error_set(error, RH_E_PIN_KEYS, "%s: key %zu %s", place->path, number + 1, what);
}

static bool member_is(const json_t *object, const char *name, const char *wanted)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL && strcmp(text, wanted) == 0;
}

static bool member_bytes(const json_t *object, const char *name, uint8_t bytes[32])
{
	const json_t *text = json_object_get(object, name);

	return json_is_string(text) && base64_decode(bytes, 32, json_string_value(text),
					   json_string_length(text), BASE64_JOSE) == 32;
}

/* The public half that is written must be that of the private one. */
static int check_point(const struct service_key *key, const json_t *json,
    const struct place *place, size_t number, rh_error *error)
{
	struct jose_key *public = NULL;
	uint8_t x[32], y[32];
	bool same = false;
	int code = RH_OK;

	if (member_bytes(json, "x", x) && member_bytes(json, "y", y))
		code = jose_key_public(x, y, &public, error);
	if (code == RH_OK && public != NULL)
		same = strcmp(jose_key_thumbprint(public), jose_key_thumbprint(key->key)) == 0;
	jose_key_free(public);
	if ((code == RH_OK && !same) || code == RH_E_ARGUMENT)
		code = broken(place, number, "has halves that do not belong together", error);
	return code;
}

static int read_id(struct service_key *key, const json_t *json, const struct place *place,
    size_t number, rh_error *error)
{
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789._:-";
	const json_t *kid = json_object_get(json, "kid");

	if (kid == NULL) {
		strcpy(key->id, jose_key_thumbprint(key->key));
		return RH_OK;
	}
	/* Of characters that stand for themselves in JSON. */
	if (!json_is_string(kid) || json_string_length(kid) == 0 ||
	    json_string_length(kid) >= sizeof key->id ||
	    strspn(json_string_value(kid), characters) != json_string_length(kid))
		return broken(place, number, "has a malformed \"kid\"", error);
	strcpy(key->id, json_string_value(kid));
	return RH_OK;
}

static int read_key(struct service_key *key, const json_t *json, const struct place *place,
    size_t number, rh_error *error)
{
	const json_t *made = json_object_get(json, "iat");
	int code;

	if (!member_is(json, "kty", "EC") || !member_is(json, "crv", "P-256"))
		return broken(place, number, "is no P-256 key", error);
	key->signs = member_is(json, "use", "sig");
	if (!key->signs && !member_is(json, "use", "enc"))
		return broken(place, number, "has neither \"use\" sig nor enc", error);
	key->made = json_integer_value(made);
	if (!json_is_integer(made) || key->made < 0 || key->made > TIME_LAST)
		return broken(place, number, "has no time in \"iat\"", error);
	if (!member_bytes(json, "d", key->secret))
		return broken(place, number, "has no private half", error);
	code = jose_key_private(key->secret, &key->key, error);
	if (code == RH_E_ARGUMENT)
		code = broken(
		    place, number, "has a private half that is no scalar of P-256", error);
	if (code == RH_OK)
		code = check_point(key, json, place, number, error);
	return code == RH_OK ? read_id(key, json, place, number, error) : code;
}

/* Keeps the newest first; of the same second the later in the file. */
static void put_in_order(struct service_keys *keys)
{
	struct service_key last = keys->keys[keys->count - 1];
	size_t i = keys->count - 1;

	for (; i > 0 && keys->keys[i - 1].made <= last.made; i--)
		keys->keys[i] = keys->keys[i - 1];
	keys->keys[i] = last;
	bytes_wipe(&last, sizeof last);
}

static int read_keys(
    struct service_keys *keys, const json_t *root, const struct place *place, rh_error *error)
{
	const json_t *list = json_object_get(root, "keys");
	int code = RH_OK;

	if (!json_is_array(list) || json_array_size(list) > JOSE_KEYS_MAX)
		return error_set(error, RH_E_PIN_KEYS,
		    "%s has no array \"keys\" of at most %d keys", place->path, JOSE_KEYS_MAX);
	for (size_t i = 0; code == RH_OK && i < json_array_size(list); i++) {
		struct service_key *key = &keys->keys[keys->count++];

		code = read_key(key, json_array_get(list, i), place, i, error);
		for (size_t j = 0; code == RH_OK && j + 1 < keys->count; j++)
			if (strcmp(keys->keys[j].id, key->id) == 0)
				code = broken(
				    place, i, "has the same \"kid\" as an earlier key", error);
		if (code == RH_OK)
			put_in_order(keys);
	}
	return code;
}

static void wipe_and_free(void *memory)
{
	if (memory != NULL)
		bytes_wipe(memory, malloc_usable_size(memory));
	free(memory);
}

/* jansson keeps copies of what it reads: all that it frees here is wiped. */
static int read_text(struct service_keys *keys, const struct buffer *text,
    const struct place *place, rh_error *error)
{
	json_malloc_t allocates;
	json_free_t frees;
	json_t *root = NULL;
	rh_error why;
	int code;

	json_get_alloc_funcs(&allocates, &frees);
	json_set_alloc_funcs(allocates, wipe_and_free);
	code = jsontext_read(text->data, text->size, &root, &why);
	if (code == RH_OK)
		code = read_keys(keys, root, place, error);
	else if (code == RH_E_MEMORY)
		code = error_memory(error);
	else
		code =
		    error_set(error, RH_E_PIN_KEYS, "%s is no JSON: %s", place->path, why.text);
	json_decref(root);
	json_set_alloc_funcs(allocates, frees);
	return code;
}

/* ---- Writing ---- */

#define JWK_MAX 1024 /* bytes of a key in the file */

/* The members of a JWK are without the braces around them. */
static int append_key(struct buffer *text, const struct service_key *key, const char *before,
    bool private, rh_error *error)
{
	const char *jwk = jose_key_jwk(key->key);
	char head[JWK_MAX], secret[BASE64_SIZE(KEY_SIZE)];
	int code;

	snprintf(head, sizeof head,
	    "%s{\"kid\":\"%s\",\"use\":\"%s\",\"alg\":\"%s\",\"iat\":%" PRId64 ",", before,
	    key->id, key->signs ? "sig" : "enc", key->signs ? "ES256" : "ECDH-ES+A256KW",
	    key->made);
	code = buffer_append_text(text, head, error);
	if (code == RH_OK && private) {
		base64_encode(secret, key->secret, KEY_SIZE, BASE64_JOSE);
		snprintf(head, sizeof head, "\"d\":\"%s\",", secret);
		code = buffer_append_text(text, head, error);
		bytes_wipe(secret, sizeof secret);
		bytes_wipe(head, sizeof head);
	}
	return code == RH_OK ? buffer_append_text(text, jwk + 1, error) : code;
}

static int write_keys(
    const struct service_keys *keys, const struct place *place, rh_error *error)
{
	struct buffer text = {0};
	int code = buffer_reserve(&text, 64 + keys->count * JWK_MAX, error);

	if (code == RH_OK)
		code = buffer_append_text(&text, "{\"keys\":[", error);
	for (size_t i = keys->count; code == RH_OK && i-- > 0;)
		code = append_key(
		    &text, &keys->keys[i], i + 1 == keys->count ? "\n" : ",\n", true, error);
	if (code == RH_OK)
		code = buffer_append_text(&text, "\n]}\n", error);
	if (code == RH_OK)
		code = file_replace(place->directory, SERVICE_KEYS_FILE, 0600, text.data,
		    text.size, place->path, error);
	buffer_free_secret(&text);
	return code;
}

static int add_key(struct service_keys *keys, bool signs, int64_t now, rh_error *error)
{
	struct service_key *key = &keys->keys[keys->count];
	int code = jose_key_generate(&key->key, key->secret, error);

	if (code != RH_OK)
		return code;
	keys->count++;
	key->signs = signs;
	key->made = now;
	/* A clock that went back must not leave the older key in charge. */
	if (keys->count > 1 && key->made < keys->keys[0].made)
		key->made = keys->keys[0].made;
	strcpy(key->id, jose_key_thumbprint(key->key));
	put_in_order(keys);
	return RH_OK;
}

static int add_pair(
    struct service_keys *keys, const struct place *place, int64_t now, rh_error *error)
{
	int code;

	if (keys->count + 2 > JOSE_KEYS_MAX)
		return error_set(error, RH_E_ARGUMENT,
		    "%s has %zu keys, and may have %d: remove some that nothing needs any more",
		    place->path, keys->count, JOSE_KEYS_MAX);
	code = add_key(keys, false, now, error);
	if (code == RH_OK)
		code = add_key(keys, true, now, error);
	return code == RH_OK ? write_keys(keys, place, error) : code;
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

	for (size_t i = 0; code == RH_OK && i < keys->count; i++)
		code =
		    append_key(&keys->public, &keys->keys[i], i == 0 ? "" : ",", false, error);
	if (code == RH_OK)
		code = buffer_append(&keys->public, "]}", sizeof "]}", error);
	if (code == RH_OK)
		code = jose_set_read(
		    &keys->set, keys->public.data, keys->public.size - 1, "service", error);
	return code;
}

static int choose(struct service_keys *keys, const struct place *place, rh_error *error)
{
	bool sealed_for = false;

	for (size_t i = keys->count; i-- > 0;) {
		if (keys->keys[i].signs)
			keys->signing = &keys->keys[i];
		else
			sealed_for = true;
	}
	if (keys->signing == NULL || !sealed_for)
		return error_set(error, RH_E_PIN_KEYS, "%s has no key that %s", place->path,
		    keys->signing == NULL ? "signs" : "can be sealed for");
	return RH_OK;
}

/* ---- Together ---- */

/* With an ${address} also what is public. */
static int keys_load(const char *directory, const char *address, bool create, int64_t now,
    bool rotate, struct service_keys **ret, rh_error *error)
{
	struct service_keys *keys = calloc(1, sizeof *keys);
	struct buffer text = {0};
	struct place place;
	bool missing = false;
	int code;

	if (keys == NULL)
		return error_memory(error);
	code = place_open(&place, directory, error);
	if (code != RH_OK)
		goto free_keys;
	code = place_read(&place, &text, &missing, error);
	if (code == RH_OK && missing && !create)
		code = error_set(error, RH_E_OPEN, "there is no %s", place.path);
	if (code == RH_OK && !missing)
		code = read_text(keys, &text, &place, error);
	if (code == RH_OK && !missing)
		code = choose(keys, &place, error);
	if (code == RH_OK && (missing || rotate)) {
		code = add_pair(keys, &place, now, error);
		/* They were moved. */
		if (code == RH_OK)
			code = choose(keys, &place, error);
	}
	if (code == RH_OK)
		code = publish(keys, address, error);
	place_close(&place);
	buffer_free_secret(&text);
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
		jose_key_free(keys->keys[i].key);
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
	for (size_t i = 0; i < keys->count; i++)
		if (!keys->keys[i].signs && strcmp(keys->keys[i].id, id) == 0)
			return jose_open(keys->keys[i].key, jwe, size, ret, error);
	return unopened(error);
}
