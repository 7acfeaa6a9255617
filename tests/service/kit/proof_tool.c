#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jose/jose.h>

#include "base/text.h"
#include "crypto/jose.h"
#include "crypto/managed.h"

/*
 * Keys, signatures and sealing for tests that play a computer, an issuer or a service: JOSE by
 * libjose, another hand than the one that is tested.  Reads a question a line, a JSON object
 *with "do", and writes an answer a line; {"error": ...} if it cannot be done.  With an argument
 *that is the one question.
 *
 *	key                                   jwk, public, thumbprint
 *	key secret                            the same, of 32 bytes of a scalar
 *	thumbprint jwk                        thumbprint
 *	sign jwk header claims                text: a compact JWS
 *	verify jwk text                       good
 *	seal jwk bytes [kid]                  text: a compact JWE
 *	open jwk text                         bytes
 *	managed-seal key service id bytes     bytes
 *	managed-open key service id bytes     bytes
 *
 * Bytes are base64url.
 */

#define BASE64_JOSE (BASE64_URL | BASE64_NO_PAD)

static json_t *failed(const char *what)
{
	return json_pack("{s:s}", "error", what);
}

static const char *text_of(const json_t *question, const char *name)
{
	const char *text = json_string_value(json_object_get(question, name));

	return text != NULL ? text : "";
}

static bool bytes_of(const json_t *question, const char *name, struct buffer *ret)
{
	const char *text = text_of(question, name);
	size_t length = strlen(text);
	ptrdiff_t size;

	if (buffer_reserve(ret, length + 1, NULL) != RH_OK)
		abort();
	size = base64_decode(ret->data, ret->capacity, text, length, BASE64_JOSE);
	ret->size = size < 0 ? 0 : (size_t)size;
	return size >= 0;
}

static json_t *bytes_answer(const void *bytes, size_t size)
{
	return json_pack("{s:o}", "bytes", jose_b64_enc(bytes, size));
}

/* ---- Keys ---- */

static json_t *key_answer(json_t *jwk)
{
	json_t *public = json_deep_copy(jwk);

	if (!jose_jwk_pub(NULL, public)) {
		json_decref(public);
		json_decref(jwk);
		return failed("no public half");
	}
	json_object_del(public, "key_ops");
	return json_pack("{s:o,s:o,s:o}", "thumbprint", jose_jwk_thp(NULL, jwk, "S256"), "jwk",
	    jwk, "public", public);
}

static json_t *do_key(const json_t *question)
{
	struct buffer secret = {0};
	struct jose_key *key = NULL;
	json_t *jwk;

	if (json_object_get(question, "secret") == NULL) {
		jwk = json_pack("{s:s, s:s}", "kty", "EC", "crv", "P-256");
		return jose_jwk_gen(NULL, jwk) ? key_answer(jwk) : failed("no key");
	}
	if (!bytes_of(question, "secret", &secret) || secret.size != KEY_SIZE ||
	    jose_key_private(secret.data, &key, NULL) != RH_OK) {
		buffer_free(&secret);
		return failed("no scalar");
	}
	jwk = json_loads(jose_key_jwk(key), 0, NULL);
	json_object_set_new(jwk, "d", jose_b64_enc(secret.data, secret.size));
	jose_key_free(key);
	buffer_free(&secret);
	return key_answer(jwk);
}

static json_t *do_thumbprint(const json_t *question)
{
	json_t *text = jose_jwk_thp(NULL, json_object_get(question, "jwk"), "S256");

	return text != NULL ? json_pack("{s:o}", "thumbprint", text) : failed("no key");
}

/* ---- Signatures ---- */

static json_t *do_sign(const json_t *question)
{
	char *claims =
	    json_dumps(json_object_get(question, "claims"), JSON_COMPACT | JSON_ENCODE_ANY);
	json_t *jws = json_pack("{s:o}", "payload", jose_b64_enc(claims, strlen(claims)));
	json_t *signature =
	    json_pack("{s:O}", "protected", json_object_get(question, "header"));
	json_t *answer = failed("cannot sign");

	if (jose_jws_sig(NULL, jws, signature, json_object_get(question, "jwk"))) {
		json_decref(answer);
		answer = json_pack("{s:o}", "text",
		    json_sprintf("%s.%s.%s", text_of(jws, "protected"), text_of(jws, "payload"),
			text_of(jws, "signature")));
	}
	json_decref(signature);
	json_decref(jws);
	free(claims);
	return answer;
}

/* ${count} parts with dots between them as members; NULL if there are more or less. */
static json_t *parts_of(const char *text, const char *const *names, size_t count)
{
	json_t *whole = json_object();

	for (size_t i = 0; i < count; i++) {
		size_t length = strcspn(text, ".");

		json_object_set_new(whole, names[i], json_stringn(text, length));
		text += length;
		if (*text != (i + 1 < count ? '.' : '\0')) {
			json_decref(whole);
			return NULL;
		}
		text += *text == '.';
	}
	return whole;
}

static json_t *do_verify(const json_t *question)
{
	static const char *const names[] = {"protected", "payload", "signature"};
	json_t *jws = parts_of(text_of(question, "text"), names, 3);
	bool good = jws != NULL &&
		    jose_jws_ver(NULL, jws, NULL, json_object_get(question, "jwk"), false);

	json_decref(jws);
	return json_pack("{s:b}", "good", good);
}

/* ---- Sealing ---- */

static json_t *do_seal(const json_t *question)
{
	json_t *jwe =
	    json_pack("{s:{s:s, s:s}}", "protected", "alg", "ECDH-ES+A256KW", "enc", "A256GCM");
	json_t *key = json_deep_copy(json_object_get(question, "jwk"));
	json_t *content_key = json_object(), *protected = json_object_get(jwe, "protected");
	json_t *answer = failed("cannot seal");
	struct buffer bytes = {0};

	json_object_del(key, "use");
	json_object_del(key, "alg");
	json_object_del(key, "key_ops");
	if (json_object_get(question, "kid") != NULL)
		json_object_set(protected, "kid", json_object_get(question, "kid"));
	if (bytes_of(question, "bytes", &bytes) &&
	    jose_jwe_enc_jwk(NULL, jwe, NULL, key, content_key) &&
	    json_object_update(protected, json_object_get(jwe, "header")) == 0 &&
	    json_object_del(jwe, "header") == 0 &&
	    jose_jwe_enc_cek(NULL, jwe, content_key, bytes.data, bytes.size)) {
		json_decref(answer);
		answer = json_pack("{s:o}", "text",
		    json_sprintf("%s.%s.%s.%s.%s", text_of(jwe, "protected"),
			text_of(jwe, "encrypted_key"), text_of(jwe, "iv"),
			text_of(jwe, "ciphertext"), text_of(jwe, "tag")));
	}
	buffer_free(&bytes);
	json_decref(content_key);
	json_decref(key);
	json_decref(jwe);
	return answer;
}

static json_t *do_open(const json_t *question)
{
	static const char *const names[] = {
	    "protected", "encrypted_key", "iv", "ciphertext", "tag"};
	json_t *jwe = parts_of(text_of(question, "text"), names, 5);
	json_t *key = json_deep_copy(json_object_get(question, "jwk")), *answer;
	size_t size = 0;
	void *bytes = NULL;

	json_object_del(key, "use");
	json_object_del(key, "alg");
	json_object_del(key, "key_ops");
	if (jwe != NULL)
		bytes = jose_jwe_dec(NULL, jwe, NULL, key, &size);
	answer = bytes != NULL ? bytes_answer(bytes, size) : failed("does not open");
	free(bytes);
	json_decref(key);
	json_decref(jwe);
	return answer;
}

static json_t *managed(const json_t *question, bool seal)
{
	const char *service = text_of(question, "service"), *id = text_of(question, "id");
	struct buffer key = {0}, bytes = {0}, result = {0};
	json_t *answer;
	rh_error error = {0};
	int code = RH_E_ARGUMENT;

	if (bytes_of(question, "key", &key) && key.size == KEY_SIZE &&
	    bytes_of(question, "bytes", &bytes))
		code = (seal ? managed_seal : managed_open)(
		    key.data, service, id, bytes.data, bytes.size, &result, &error);
	answer = code == RH_OK ? bytes_answer(result.data, result.size)
			       : failed(code == RH_E_ARGUMENT ? "no key" : error.text);
	buffer_free(&key);
	buffer_free(&bytes);
	buffer_free(&result);
	return answer;
}

static json_t *do_managed_seal(const json_t *question)
{
	return managed(question, true);
}

static json_t *do_managed_open(const json_t *question)
{
	return managed(question, false);
}

/* ---- One question after the other ---- */

static json_t *answer(const json_t *question)
{
	static const struct {
		const char *name;
		json_t *(*function)(const json_t *question);
	} rows[] = {
	    {"key", do_key},
	    {"thumbprint", do_thumbprint},
	    {"sign", do_sign},
	    {"verify", do_verify},
	    {"seal", do_seal},
	    {"open", do_open},
	    {"managed-seal", do_managed_seal},
	    {"managed-open", do_managed_open},
	};
	const char *name = text_of(question, "do");

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].function(question);
	return failed("nobody knows how to do that");
}

static void one(const char *line)
{
	json_t *question = json_loads(line, 0, NULL), *said = answer(question);
	char *text = json_dumps(said, JSON_COMPACT);

	if (text == NULL || printf("%s\n", text) < 0 || fflush(stdout) != 0)
		exit(1);
	free(text);
	json_decref(said);
	json_decref(question);
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t capacity = 0;

	if (argc > 1) {
		one(argv[1]);
		return 0;
	}
	while (getline(&line, &capacity, stdin) > 0)
		one(line);
	free(line);
	return 0;
}
