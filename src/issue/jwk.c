#include <errno.h>
#include <fcntl.h>
#include <jose/jose.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "issue/jwk.h"

#define COORDINATE_SIZE 32

/* Appends all that ${fd} gives, at most JWK_FILE_MAX bytes. */
static int read_all(int fd, struct buffer *buffer, const char *path, rh_error *error)
{
	size_t got = 1;
	int code = RH_OK;

	while (code == RH_OK && got > 0 && buffer->size <= JWK_FILE_MAX) {
		/* Not reserved in small steps: what is left behind would not be wiped. */
		struct buffer grown = {0};

		if (buffer->capacity - buffer->size < 4096) {
			code = buffer_reserve(&grown, 2 * buffer->size + 65536, error);
			if (code == RH_OK)
				code = buffer_append(&grown, buffer->data, buffer->size, error);
			if (code != RH_OK) {
				buffer_free_secret(&grown);
				return code;
			}
			buffer_free_secret(buffer);
			*buffer = grown;
		}
		code = file_read(fd, buffer->data + buffer->size,
		    buffer->capacity - buffer->size, &got, path, error);
		if (code == RH_OK)
			buffer->size += got;
	}
	if (code == RH_OK && buffer->size > JWK_FILE_MAX)
		code = error_set(error, RH_E_PIN_KEYS, "%s is too large", path);
	return code;
}

int jwk_read_file(const char *path, json_t **ret, rh_error *error)
{
	bool is_input = strcmp(path, "-") == 0;
	struct buffer buffer = {0};
	json_error_t broken;
	json_t *json;
	int code, fd;

	fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "%s", path);
	code = read_all(fd, &buffer, path, error);
	if (!is_input)
		close(fd);
	if (code == RH_OK) {
		json = json_loadb(
		    (const char *)buffer.data, buffer.size, JSON_REJECT_DUPLICATES, &broken);
		if (json == NULL)
			code = error_set(error, RH_E_PIN_KEYS,
			    "%s is not JSON: line %d, column %d", path, broken.line,
			    broken.column);
		else if (!json_is_object(json))
			code = error_set(error, RH_E_PIN_KEYS, "%s is not a JSON object", path);
		if (code == RH_OK)
			*ret = json;
		else
			json_decref(json);
	}
	buffer_free_secret(&buffer);
	return code;
}

static bool is_text(const json_t *jwk, const char *member, const char *wanted)
{
	const char *text = json_string_value(json_object_get(jwk, member));

	return text != NULL && strcmp(text, wanted) == 0;
}

static bool is_coordinate(const json_t *value)
{
	uint8_t bytes[COORDINATE_SIZE];

	return json_is_string(value) &&
	       base64_decode(bytes, sizeof bytes, json_string_value(value),
		   json_string_length(value), BASE64_URL | BASE64_NO_PAD) == COORDINATE_SIZE;
}

int jwk_public(const json_t *jwk, const char *what, json_t **ret, rh_error *error)
{
	json_t *public;

	if (!json_is_object(jwk) || !is_text(jwk, "kty", "EC") || !is_text(jwk, "crv", "P-256"))
		return error_set(error, RH_E_PIN_KEYS, "%s is not a P-256 key", what);
	for (int i = 0; i < 2; i++)
		if (!is_coordinate(json_object_get(jwk, i == 0 ? "x" : "y")))
			return error_set(error, RH_E_PIN_KEYS,
			    "%s: \"%s\" is not a coordinate in base64url", what,
			    i == 0 ? "x" : "y");
	public = json_pack("{s:s,s:s,s:O,s:O}", "kty", "EC", "crv", "P-256", "x",
	    json_object_get(jwk, "x"), "y", json_object_get(jwk, "y"));
	if (public == NULL)
		return error_memory(error);
	*ret = public;
	return RH_OK;
}

int jwk_thumbprint(const json_t *jwk, char thumbprint[THUMBPRINT_SIZE], rh_error *error)
{
	json_t *text = jose_jwk_thp(NULL, jwk, "S256");
	int code = RH_OK;

	if (json_string_length(text) != THUMBPRINT_SIZE - 1)
		code = error_set(error, RH_E_INTERNAL, "libjose makes no thumbprint of a key");
	else
		memcpy(thumbprint, json_string_value(text), THUMBPRINT_SIZE);
	json_decref(text);
	return code;
}
