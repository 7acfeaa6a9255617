#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jose/jose.h>

#include "issue.h"

struct issue_keys {
	json_t *jwk; /* private */
};

/* Nothing here depends on what is tested: a failure is the test's own. */
static void must(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "issue: %s failed\n", what);
	abort();
}

static json_t *parse(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

	must(value != NULL, "reading JSON");
	return value;
}

static char *compact(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	must(text != NULL, "writing JSON");
	return text;
}

static void set(json_t *object, const char *name, json_t *value)
{
	must(value != NULL && json_object_set_new(object, name, value) == 0, name);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	must(text != NULL, name);
	return text;
}

/* ---- Keys ---- */

struct issue_keys *issue_keys_new(const char *kid, const char *algorithm)
{
	struct issue_keys *keys = calloc(1, sizeof *keys);

	must(keys != NULL, "memory");
	keys->jwk = json_pack("{s:s, s:s}", "kty", "EC", "crv", "P-256");
	must(keys->jwk != NULL && jose_jwk_gen(NULL, keys->jwk), "making a key");
	set(keys->jwk, "kid", json_string(kid));
	set(keys->jwk, "alg", json_string(algorithm));
	return keys;
}

void issue_keys_free(struct issue_keys *keys)
{
	if (keys == NULL)
		return;
	json_decref(keys->jwk);
	free(keys);
}

char *issue_set(struct issue_keys *const *keys, size_t count, const char *name)
{
	json_t *whole = json_object(), *list = json_array();
	char *text;

	must(whole != NULL && list != NULL && count > 0, "making a set");
	for (size_t i = 0; i < count; i++) {
		json_t *jwk = json_deep_copy(keys[i]->jwk);

		must(jwk != NULL && jose_jwk_pub(NULL, jwk), "the public half");
		must(json_array_append_new(list, jwk) == 0, "making a set");
	}
	set(whole, "keys", list);
	if (name != NULL)
		set(whole,
		    strcmp(text_of(keys[0]->jwk, "alg"), "ES256") == 0 ? "issuer" : "service",
		    json_string(name));
	text = compact(whole);
	json_decref(whole);
	return text;
}

char *issue_thumbprint(const char *jwk)
{
	json_t *key = parse(jwk);
	json_t *thumbprint = jose_jwk_thp(NULL, key, "S256");
	char *text;

	must(thumbprint != NULL, "a thumbprint");
	text = strdup(json_string_value(thumbprint));
	must(text != NULL, "memory");
	json_decref(thumbprint);
	json_decref(key);
	return text;
}

/* ---- Licences ---- */

static char *sign(const struct issue_keys *keys, json_t *header, const char *claims)
{
	json_t *jws = json_pack("{s:o}", "payload", jose_b64_enc(claims, strlen(claims)));
	json_t *signature = json_pack("{s:o}", "protected", header);
	char *text;

	must(jws != NULL && signature != NULL, "memory");
	must(jose_jws_sig(NULL, jws, signature, keys->jwk), "signing");
	must(asprintf(&text, "%s.%s.%s", text_of(jws, "protected"), text_of(jws, "payload"),
		 text_of(jws, "signature")) > 0,
	    "memory");
	json_decref(signature);
	json_decref(jws);
	return text;
}

char *issue_sign(const struct issue_keys *keys, const char *header, const char *claims)
{
	if (header != NULL)
		return sign(keys, parse(header), claims);
	return sign(keys,
	    json_pack("{s:s, s:s, s:s}", "alg", "ES256", "typ", "rehost-license+jwt", "kid",
		text_of(keys->jwk, "kid")),
	    claims);
}

static void set_text(json_t *claims, const char *name, const char *text)
{
	if (text != NULL)
		set(claims, name, json_string(text));
}

static void set_number(json_t *claims, const char *name, int64_t number)
{
	if (number != 0)
		set(claims, name, json_integer(number));
}

static void set_json(json_t *claims, const char *name, const char *text)
{
	if (text != NULL)
		set(claims, name, parse(text));
}

char *issue_license(const struct issue_keys *keys, const struct issue *issue)
{
	json_t *claims = json_object();
	char *text, *license;

	set_text(claims, "jti", issue->id);
	set_text(claims, "iss", issue->issuer);
	set_number(claims, "iat", issue->issued != 0 ? issue->issued : 1700000000);
	set_number(claims, "nbf", issue->not_before);
	set_number(claims, "exp", issue->not_after);
	set_text(claims, "key_id", issue->key_id);
	set_json(claims, "title", issue->title);
	set_json(claims, "actions", issue->actions);
	set_text(claims, "service", issue->service);
	set_text(claims, "root_key_id", issue->root);
	set_number(claims, "computers", issue->computers);
	set_number(claims, "priority", issue->priority);
	if (issue->backup)
		set(claims, "backup", json_true());
	if (issue->computer != NULL) {
		text = issue_thumbprint(issue->computer);
		set(claims, "cnf", json_pack("{s:s}", "jkt", text));
		free(text);
	}
	if (issue->content_key_size > 0) {
		text = issue_seal(issue->computer, issue->content_key, issue->content_key_size);
		set_text(claims, "content_key", text);
		free(text);
	}
	if (issue->more != NULL) {
		json_t *more = parse(issue->more);

		must(json_object_update(claims, more) == 0, "further claims");
		json_decref(more);
	}
	text = compact(claims);
	license = issue_sign(keys, NULL, text);
	free(text);
	json_decref(claims);
	return license;
}

/* ---- Content keys ---- */

char *issue_seal(const char *jwk, const void *bytes, size_t size)
{
	json_t *jwe =
	    json_pack("{s:{s:s, s:s}}", "protected", "alg", "ECDH-ES+A256KW", "enc", "A256GCM");
	json_t *key = parse(jwk), *content_key = json_object();
	char *text;

	/* A computer's key may be marked for one use or none; here it is just a key. */
	json_object_del(key, "use");
	json_object_del(key, "key_ops");
	json_object_del(key, "alg");
	must(jose_jwk_pub(NULL, key), "the public half");
	must(jose_jwe_enc_jwk(NULL, jwe, NULL, key, content_key), "wrapping a key");
	/* The compact form has no header but the protected one. */
	must(json_object_update(
		 json_object_get(jwe, "protected"), json_object_get(jwe, "header")) == 0,
	    "the header");
	json_object_del(jwe, "header");
	must(jose_jwe_enc_cek(NULL, jwe, content_key, bytes, size), "sealing");
	must(asprintf(&text, "%s.%s.%s.%s.%s", text_of(jwe, "protected"),
		 text_of(jwe, "encrypted_key"), text_of(jwe, "iv"), text_of(jwe, "ciphertext"),
		 text_of(jwe, "tag")) > 0,
	    "memory");
	json_decref(content_key);
	json_decref(key);
	json_decref(jwe);
	return text;
}

void *issue_open(const struct issue_keys *keys, const char *jwe, size_t *ret_size)
{
	static const char *const parts[] = {
	    "protected", "encrypted_key", "iv", "ciphertext", "tag"};
	json_t *whole = json_object();
	void *bytes = NULL;
	size_t i;

	*ret_size = 0; /* libjose appends to it */
	for (i = 0; i < 5; i++) {
		size_t length = strcspn(jwe, ".");

		set(whole, parts[i], json_stringn(jwe, length));
		jwe += length;
		if (*jwe != '.')
			break;
		jwe++;
	}
	if (i == 4 && *jwe == '\0')
		bytes = jose_jwe_dec(NULL, whole, NULL, keys->jwk, ret_size);
	json_decref(whole);
	return bytes;
}
