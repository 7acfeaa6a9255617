#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "crypto/jsontext.h"
#include "service/keys_file.h"

#define BASE64_JOSE (BASE64_URL | BASE64_NO_PAD)
#define TIME_LAST INT64_C(253402300799) /* the end of 9999 */
#define SECRET_LENGTH 43 /* characters of 32 bytes */

/* ---- The file, open and locked ---- */

int keys_file_open(struct keys_file *file, const char *directory, rh_error *error)
{
	file->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->directory < 0)
		return error_errno(error, errno == ENOENT ? RH_E_NO_DIRECTORY : RH_E_OPEN,
		    errno, "cannot open the directory %s", directory);
	snprintf(file->path, sizeof file->path, "%s/%s", directory, SERVICE_KEYS_FILE);
	while (flock(file->directory, LOCK_EX) != 0) {
		if (errno != EINTR) {
			int code = error_errno(
			    error, RH_E_OPEN, errno, "cannot lock the directory %s", directory);

			close(file->directory);
			return code;
		}
	}
	return RH_OK;
}

void keys_file_close(struct keys_file *file)
{
	close(file->directory);
}

static int check_mode(int fd, const struct keys_file *file, rh_error *error)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return error_errno(error, RH_E_READ, errno, "cannot read %s", file->path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, RH_E_OPEN, "%s is no file", file->path);
	if ((status.st_mode & 077) != 0)
		return error_set(error, RH_E_ACCESS,
		    "%s may be read or written by others: its mode must be 0600", file->path);
	return RH_OK;
}

/* ${*ret_missing}: there is no file. */
static int read_bytes(
    const struct keys_file *file, struct buffer *ret, bool *ret_missing, rh_error *error)
{
	int fd = openat(file->directory, SERVICE_KEYS_FILE,
	    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	size_t got;
	int code;

	*ret_missing = fd < 0 && errno == ENOENT;
	if (*ret_missing)
		return RH_OK;
	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot open %s", file->path);
	code = check_mode(fd, file, error);
	/* Once and for all: what grew would leave copies behind. */
	if (code == RH_OK)
		code = buffer_reserve(ret, JOSE_SET_MAX + 1, error);
	if (code == RH_OK)
		code = file_read(fd, ret->data, JOSE_SET_MAX + 1, &got, file->path, error);
	if (code == RH_OK && got > JOSE_SET_MAX)
		code = error_set(error, RH_E_PIN_KEYS, "%s is larger than %d bytes", file->path,
		    JOSE_SET_MAX);
	if (code == RH_OK)
		ret->size = got;
	close(fd);
	return code;
}

/*
 * The private halves are cut out of the text before it is read as JSON, since jansson keeps
 * copies: in their place stands their number.
 */
struct secrets {
	uint8_t bytes[JOSE_KEYS_MAX][KEY_SIZE];
	size_t count;
};

/* Behind ${name}, white space and ":" as they may stand: where the text of the value begins. */
static char *value_of(char *name, const char *end)
{
	char *p = name;

	while (p < end && isspace((unsigned char)*p))
		p++;
	if (p == end || *p++ != ':')
		return NULL;
	while (p < end && isspace((unsigned char)*p))
		p++;
	return p < end && *p == '"' ? p + 1 : NULL;
}

static void cut_secrets(struct buffer *text, struct secrets *secrets)
{
	static const char name[] = "\"d\"";
	char *p = (char *)text->data, *end = p + text->size, *value, number[64];

	while ((p = memmem(p, (size_t)(end - p), name, sizeof name - 1)) != NULL) {
		p += sizeof name - 1;
		value = value_of(p, end);
		if (secrets->count == JOSE_KEYS_MAX || value == NULL ||
		    end - value < SECRET_LENGTH ||
		    base64_decode(secrets->bytes[secrets->count], KEY_SIZE, value,
			SECRET_LENGTH, BASE64_JOSE) != KEY_SIZE)
			continue;
		snprintf(number, sizeof number, "%0*zu", SECRET_LENGTH, secrets->count++);
		memcpy(value, number, SECRET_LENGTH);
		p = value + SECRET_LENGTH;
	}
}

/* ---- Reading ---- */

static int broken(
    const struct keys_file *file, size_t number, const char *what, rh_error *error)
{
	return error_set(error, RH_E_PIN_KEYS, "%s: key %zu %s", file->path, number + 1, what);
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

static bool member_secret(
    const json_t *object, const struct secrets *secrets, uint8_t ret[KEY_SIZE])
{
	const json_t *text = json_object_get(object, "d");
	size_t number;

	if (json_string_length(text) != SECRET_LENGTH)
		return false;
	number = strtoul(json_string_value(text), NULL, 10);
	if (number >= secrets->count)
		return false;
	memcpy(ret, secrets->bytes[number], KEY_SIZE);
	return true;
}

/* The public half that is written must be that of the private one. */
static int check_point(const struct service_key *key, const json_t *json,
    const struct keys_file *file, size_t number, rh_error *error)
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
		code = broken(file, number, "has halves that do not belong together", error);
	return code;
}

/* Statements name the key that signed them by its thumbprint: so must the sets of keys. */
static int read_id(struct service_key *key, const json_t *json, const struct keys_file *file,
    size_t number, rh_error *error)
{
	strcpy(key->id, jose_key_thumbprint(key->key));
	if (json_object_get(json, "kid") != NULL && !member_is(json, "kid", key->id))
		return broken(file, number, "has a \"kid\" that is not its thumbprint", error);
	return RH_OK;
}

static int read_key(struct service_key *key, const json_t *json, const struct secrets *secrets,
    const struct keys_file *file, size_t number, rh_error *error)
{
	const json_t *made = json_object_get(json, "iat");
	int code;

	if (!member_is(json, "kty", "EC") || !member_is(json, "crv", "P-256"))
		return broken(file, number, "is no P-256 key", error);
	key->signs = member_is(json, "use", "sig");
	if (!key->signs && !member_is(json, "use", "enc"))
		return broken(file, number, "has neither \"use\" sig nor enc", error);
	key->made = json_integer_value(made);
	if (!json_is_integer(made) || key->made < 0 || key->made > TIME_LAST)
		return broken(file, number, "has no time in \"iat\"", error);
	if (!member_secret(json, secrets, key->secret))
		return broken(file, number, "has no private half", error);
	code = jose_key_private(key->secret, &key->key, error);
	if (code == RH_E_ARGUMENT)
		code = broken(
		    file, number, "has a private half that is no scalar of P-256", error);
	if (code == RH_OK)
		code = check_point(key, json, file, number, error);
	return code == RH_OK ? read_id(key, json, file, number, error) : code;
}

void key_list_order(struct service_key_list *list)
{
	struct service_key last = list->keys[list->count - 1];
	size_t i = list->count - 1;

	for (; i > 0 && list->keys[i - 1].made <= last.made; i--)
		list->keys[i] = list->keys[i - 1];
	list->keys[i] = last;
	bytes_wipe(&last, sizeof last);
}

static int read_keys(struct service_key_list *list, const json_t *root,
    const struct secrets *secrets, const struct keys_file *file, rh_error *error)
{
	const json_t *array = json_object_get(root, "keys");
	int code = RH_OK;

	if (!json_is_array(array) || json_array_size(array) > JOSE_KEYS_MAX)
		return error_set(error, RH_E_PIN_KEYS,
		    "%s has no array \"keys\" of at most %d keys", file->path, JOSE_KEYS_MAX);
	for (size_t i = 0; code == RH_OK && i < json_array_size(array); i++) {
		struct service_key *key = &list->keys[list->count++];

		code = read_key(key, json_array_get(array, i), secrets, file, i, error);
		for (size_t j = 0; code == RH_OK && j + 1 < list->count; j++)
			if (strcmp(list->keys[j].id, key->id) == 0)
				code = broken(
				    file, i, "has the same \"kid\" as an earlier key", error);
		if (code == RH_OK)
			key_list_order(list);
	}
	return code;
}

static int read_text(struct service_key_list *list, struct buffer *text,
    const struct keys_file *file, rh_error *error)
{
	struct secrets secrets = {.count = 0};
	json_t *root = NULL;
	rh_error why;
	int code;

	cut_secrets(text, &secrets);
	code = jsontext_read(text->data, text->size, &root, &why);
	if (code == RH_OK)
		code = read_keys(list, root, &secrets, file, error);
	else if (code == RH_E_MEMORY)
		code = error_memory(error);
	else
		code =
		    error_set(error, RH_E_PIN_KEYS, "%s is no JSON: %s", file->path, why.text);
	json_decref(root);
	bytes_wipe(&secrets, sizeof secrets);
	return code;
}

int keys_file_read(const struct keys_file *file, struct service_key_list *list,
    bool *ret_missing, rh_error *error)
{
	struct buffer text = {0};
	int code = read_bytes(file, &text, ret_missing, error);

	if (code == RH_OK && !*ret_missing)
		code = read_text(list, &text, file, error);
	buffer_free_secret(&text);
	return code;
}

/* ---- Writing ---- */

#define JWK_MAX 1024 /* bytes of a key in the file */

/* The members of a JWK are without the braces around them. */
int key_append(struct buffer *text, const struct service_key *key, const char *before,
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

int keys_file_write(
    const struct keys_file *file, const struct service_key_list *list, rh_error *error)
{
	struct buffer text = {0};
	int code = buffer_reserve(&text, 64 + list->count * JWK_MAX, error);

	if (code == RH_OK)
		code = buffer_append_text(&text, "{\"keys\":[", error);
	for (size_t i = list->count; code == RH_OK && i-- > 0;)
		code = key_append(
		    &text, &list->keys[i], i + 1 == list->count ? "\n" : ",\n", true, error);
	if (code == RH_OK)
		code = buffer_append_text(&text, "\n]}\n", error);
	if (code == RH_OK)
		code = file_replace(file->directory, SERVICE_KEYS_FILE, 0600, text.data,
		    text.size, file->path, error);
	buffer_free_secret(&text);
	return code;
}
