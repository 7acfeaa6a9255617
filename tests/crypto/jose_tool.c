/*
 * Our JOSE as a program, for the test against the jose tool.
 *
 *	jose-tool keygen KEY                     writes the secret bytes, prints the public JWK
 *	jose-tool thumbprint KEY
 *	jose-tool open KEY < jwe > content
 *	jose-tool seal SET [KID] < content > jwe for the first key of the set that encrypts
 *	jose-tool verify SET < jws               with the first key of the set that signs
 *	jose-tool sign KEY [KID] < claims > jws  a statement, with "kid" or "jwk"
 *	jose-tool statement SET < jws > claims   with the first key of the set, or its own "jwk"
 *	jose-tool set SET                        a line a key: id, what it is for, thumbprint
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/jsontext.h"
#include "crypto/jws.h"

#define TYPE "rehost-test+jwt"

#define INPUT_MAX (1 << 20)

static char input[INPUT_MAX + 1];
static size_t input_size;

static int read_path(const char *path, void *bytes, size_t capacity, size_t *ret, rh_error *e)
{
	int code, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(e, RH_E_OPEN, "cannot open %s", path);
	code = file_read(fd, bytes, capacity, ret, path, e);
	close(fd);
	return code;
}

static int keygen(const char *path, rh_error *error)
{
	uint8_t secret[KEY_SIZE];
	char *jwk = NULL;
	int code = es256_key_generate(secret, error);
	FILE *file;

	if (code == RH_OK)
		code = es256_public_jwk(secret, &jwk, error);
	if (code != RH_OK)
		return code;
	file = fopen(path, "wb");
	if (file == NULL || fwrite(secret, sizeof secret, 1, file) != 1 || fclose(file) != 0)
		code = error_set(error, RH_E_OPEN, "cannot write %s", path);
	printf("%s\n", jwk);
	free(jwk);
	return code;
}

static int sign(const struct jose_key *key, const char *id, rh_error *error)
{
	json_t *claims = NULL;
	char *jws = NULL;
	int code = jsontext_read(input, input_size, &claims, error);

	if (code == RH_OK)
		code = jws_sign(key, TYPE, id, claims, &jws, error);
	if (code == RH_OK)
		printf("%s", jws);
	free(jws);
	json_decref(claims);
	return code;
}

static int statement(const struct jose_key *key, rh_error *error)
{
	struct jws jws = {0};
	struct buffer out = {0};
	int code = jws_read(&jws, input, input_size, TYPE, error);

	if (code == RH_OK)
		code = jws_verify(&jws, jws.key != NULL ? NULL : key, error);
	if (code == RH_OK)
		code = jsontext_write(jws.claims, &out, error);
	if (code == RH_OK)
		fwrite(out.data, 1, out.size, stdout);
	buffer_free(&out);
	jws_free(&jws);
	return code;
}

static int with_key(const char *command, const char *path, const char *id, rh_error *error)
{
	uint8_t secret[KEY_SIZE];
	struct jose_key *key = NULL;
	struct buffer out = {0};
	size_t size;
	int code = read_path(path, secret, sizeof secret, &size, error);

	if (code == RH_OK)
		code = jose_key_private(secret, &key, error);
	if (code == RH_OK && strcmp(command, "thumbprint") == 0)
		printf("%s\n", jose_key_thumbprint(key));
	else if (code == RH_OK && strcmp(command, "sign") == 0)
		code = sign(key, id, error);
	else if (code == RH_OK)
		code = jose_open(key, input, input_size, &out, error);
	if (out.size > 0)
		fwrite(out.data, 1, out.size, stdout);
	buffer_free_secret(&out);
	jose_key_free(key);
	return code;
}

static int verify(const struct jose_key *key, rh_error *error)
{
	char *dot = strrchr(input, '.');

	if (dot == NULL)
		return error_set(error, RH_E_ARGUMENT, "no JWS");
	return jose_verify(key, input, (size_t)(dot - input), dot + 1, strlen(dot + 1), error);
}

static int with_set(const char *command, const char *path, const char *id, rh_error *error)
{
	static char text[JOSE_SET_MAX + 1];
	struct jose_set set = {0};
	char *jwe = NULL;
	size_t size;
	int code = read_path(path, text, sizeof text, &size, error);

	if (code == RH_OK)
		code = jose_set_read(&set, text, size, "name", error);
	for (size_t i = 0; i < set.count && code == RH_OK; i++) {
		const struct jose_set_key *key = &set.keys[i];

		if (strcmp(command, "set") == 0) {
			printf("%s %d %d %s\n", key->id, key->signs, key->encrypts,
			    jose_key_thumbprint(key->key));
		} else if (strcmp(command, "seal") == 0 && key->encrypts) {
			code = jose_seal(key->key, id, input, input_size, &jwe, error);
			if (code == RH_OK)
				printf("%s", jwe);
			break;
		} else if (strcmp(command, "verify") == 0 && key->signs) {
			code = verify(key->key, error);
			break;
		} else if (strcmp(command, "statement") == 0 && key->signs) {
			code = statement(key->key, error);
			break;
		}
	}
	free(jwe);
	jose_set_free(&set);
	return code;
}

int main(int argc, char **argv)
{
	rh_error error = {0};
	const char *command = argc > 2 ? argv[1] : "";
	int code = RH_OK;

	if (strcmp(command, "open") == 0 || strcmp(command, "seal") == 0 ||
	    strcmp(command, "verify") == 0 || strcmp(command, "sign") == 0 ||
	    strcmp(command, "statement") == 0)
		code = file_read(
		    STDIN_FILENO, input, INPUT_MAX, &input_size, "standard input", &error);
	if (code != RH_OK)
		;
	else if (strcmp(command, "keygen") == 0)
		code = keygen(argv[2], &error);
	else if (strcmp(command, "thumbprint") == 0 || strcmp(command, "open") == 0 ||
		 strcmp(command, "sign") == 0)
		code = with_key(command, argv[2], argc > 3 ? argv[3] : NULL, &error);
	else
		code = with_set(
		    command, argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : NULL, &error);
	if (code != RH_OK)
		fprintf(stderr, "jose-tool: %s\n", error.text);
	return code != RH_OK;
}
