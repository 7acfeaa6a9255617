#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/jws.h"

#define TYPE "rehost-test+jwt"
#define BASE64 (BASE64_URL | BASE64_NO_PAD)

static struct jose_key *key, *other, *public;

static int make_keys(void **state)
{
	uint8_t secret[KEY_SIZE];
	struct jose_set set;
	int code = jose_key_generate(&key, secret, NULL);

	(void)state;
	if (code == RH_OK)
		code = jose_key_generate(&other, secret, NULL);
	bytes_wipe(secret, sizeof secret);
	if (code == RH_OK)
		code = jose_set_read(
		    &set, jose_key_jwk(key), strlen(jose_key_jwk(key)), NULL, NULL);
	if (code == RH_OK)
	public = set.keys[0].key;
	return code;
}

static int free_keys(void **state)
{
	(void)state;
	jose_key_free(key);
	jose_key_free(other);
	jose_key_free(public);
	return 0;
}

/* Gives ${text} at its exact size, so that a sanitizer sees the first byte too far. */
static int read_exact(struct jws *jws, const char *text, size_t size, rh_error *error)
{
	char *exact = malloc(size > 0 ? size : 1);
	int code;

	assert_non_null(exact);
	memcpy(exact, text, size);
	code = jws_read(jws, exact, size, TYPE, error);
	if (code == RH_OK)
		jws->text = text;
	free(exact);
	return code;
}

static char *sign(const char *key_id)
{
	json_t *claims = json_pack("{s:s,s:i}", "name", "value", "number", 7);
	char *text = NULL;

	assert_int_equal(jws_sign(key, TYPE, key_id, claims, &text, NULL), RH_OK);
	json_decref(claims);
	return text;
}

static void test_round_trip(void **state)
{
	static const char *const ids[] = {NULL, "k", "an \"id\" \xc3\xbc"};

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		struct jws jws = {0};
		char *text = sign(ids[i]), value[6];
		int64_t number = 0;

		assert_int_equal(read_exact(&jws, text, strlen(text), NULL), RH_OK);
		assert_string_equal(jws.key_id, ids[i] != NULL ? ids[i] : "");
		assert_int_equal(jws.size, strlen(text));
		assert_true(text[jws.signed_size] == '.');
		assert_true(jws_text(jws.claims, "name", value, sizeof value));
		assert_string_equal(value, "value");
		assert_true(jws_number(jws.claims, "number", &number));
		assert_int_equal(number, 7);
		assert_int_equal(jws_verify(&jws, public, NULL), RH_OK);
		assert_int_equal(jws_verify(&jws, key, NULL), RH_OK);
		assert_int_equal(jws_verify(&jws, other, NULL), RH_E_LICENSE_SIGNATURE);
		if (ids[i] != NULL) {
			assert_null(jws.key);
			assert_int_equal(jws_verify(&jws, NULL, NULL), RH_E_LICENSE_SIGNATURE);
		} else {
			assert_int_equal(jws_verify(&jws, NULL, NULL), RH_OK);
			assert_string_equal(
			    jose_key_thumbprint(jws.key), jose_key_thumbprint(key));
		}
		jws_free(&jws);
		assert_null(jws.claims);
		free(text);
	}
}

/* No character may be another: it is refused when it is read, or its signature is. */
static void test_every_edit(void **state)
{
	char *text = sign(NULL);
	size_t size = strlen(text);

	(void)state;
	for (size_t i = 0; i < size; i++) {
		char was = text[i];

		for (int bit = 0; bit < 8; bit++) {
			struct jws jws = {0};
			int code;

			text[i] = (char)(was ^ 1 << bit);
			code = read_exact(&jws, text, size, NULL);
			if (code == RH_OK)
				assert_int_equal(
				    jws_verify(&jws, NULL, NULL), RH_E_LICENSE_SIGNATURE);
			else
				assert_int_equal(code, RH_E_LICENSE_INVALID);
			jws_free(&jws);
		}
		text[i] = was;
	}
	free(text);
}

static void test_every_cut(void **state)
{
	char *text = sign("k");
	size_t size = strlen(text);

	(void)state;
	for (size_t i = 0; i < size; i++) {
		struct jws jws = {0};
		int code = read_exact(&jws, text, i, NULL);

		if (code == RH_OK)
			assert_int_equal(jws_verify(&jws, key, NULL), RH_E_LICENSE_SIGNATURE);
		else
			assert_int_equal(code, RH_E_LICENSE_INVALID);
		jws_free(&jws);
	}
	free(text);
}

/* The statement of two JSON texts, with no signature. */
static void join(char *text, const char *header, const char *claims)
{
	char *p = text + base64_encode(text, header, strlen(header), BASE64);

	*p++ = '.';
	p += base64_encode(p, claims, strlen(claims), BASE64);
	strcpy(p, ".");
}

static void assert_refused(const char *header, const char *claims, const char *words)
{
	char text[8192];
	struct jws jws = {0};
	rh_error error = {0};

	join(text, header, claims);
	if (read_exact(&jws, text, strlen(text), &error) != RH_E_LICENSE_INVALID)
		fail_msg("%s %s: %d %s", header, claims, error.code, error.text);
	assert_int_equal(error.code, RH_E_LICENSE_INVALID);
	if (strstr(error.text, words) == NULL)
		fail_msg("%s %s: %s", header, claims, error.text);
	assert_null(jws.claims);
}

#define X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define START "{\"alg\":\"ES256\",\"typ\":\"" TYPE "\""
#define JWK(kty, crv, x, y, more)                                                              \
	START ",\"jwk\":{\"kty\":\"" kty "\",\"crv\":\"" crv "\",\"x\":\"" x "\",\"y\":\"" y   \
	      "\"" more "}}"
#define GOOD START ",\"kid\":\"k\"}"

static void test_malformed(void **state)
{
	static const struct {
		const char *header, *words;
	} table[] = {
	    {"{}", "typ is not"},
	    {"{\"alg\":\"ES256\",\"typ\":\"other+jwt\",\"kid\":\"k\"}", "typ is not"},
	    {"{\"alg\":\"ES256\",\"typ\":1,\"kid\":\"k\"}", "typ is not"},
	    {"{\"alg\":\"ES256\",\"kid\":\"k\"}", "typ is not"},
	    {"{\"typ\":\"" TYPE "\",\"kid\":\"k\"}", "alg is not"},
	    {"{\"alg\":\"none\",\"typ\":\"" TYPE "\",\"kid\":\"k\"}", "alg is not"},
	    {"{\"alg\":\"HS256\",\"typ\":\"" TYPE "\",\"kid\":\"k\"}", "alg is not"},
	    {START "}", "exactly one"},
	    {START ",\"kid\":\"k\",\"jwk\":{}}", "exactly one"},
	    {START ",\"kid\":\"k\",\"crit\":[]}", "a member other"},
	    {START ",\"kid\":\"k\",\"x5c\":[]}", "a member other"},
	    {START ",\"kid\":\"k\",\"b64\":false}", "a member other"},
	    {START ",\"kid\":\"k\",\"kid\":\"k\"}", "stands twice"},
	    {START ",\"kid\":\"\"}", "kid is empty"},
	    {START ",\"kid\":1}", "kid is empty"},
	    {START ",\"kid\":\"\\u0007\"}", "kid is empty"},
	    {START ",\"kid\":\"\\u0085\"}", "kid is empty"},
	    {START ",\"jwk\":1}", "no P-256 key"},
	    {START ",\"jwk\":{}}", "no P-256 key"},
	    {JWK("RSA", "P-256", X, Y, ""), "no P-256 key"},
	    {JWK("EC", "P-384", X, Y, ""), "no P-256 key"},
	    {JWK("EC", "P-256", X "A", Y, ""), "no P-256 key"},
	    {JWK("EC", "P-256", X, "", ""), "no P-256 key"},
	    {JWK("EC", "P-256", X, Y, ",\"d\":\"" X "\""), "no P-256 key"},
	    {JWK("EC", "P-256", X, Y, ",\"kid\":\"k\""), "no P-256 key"},
	    {JWK("EC", "P-256", Y, X, ""), "no point"},
	    {"[]", "header: no JSON object"},
	    {"", "header: line 1"},
	    {"{", "header: line 1"},
	};
	char text[8192];
	struct jws jws = {0};

	(void)state;
	join(text, GOOD, "{}");
	assert_int_equal(read_exact(&jws, text, strlen(text), NULL), RH_OK);
	assert_int_equal(jws_verify(&jws, key, NULL), RH_E_LICENSE_SIGNATURE);
	jws_free(&jws);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		assert_refused(table[i].header, "{}", table[i].words);
	assert_refused(GOOD, "[]", "claims: no JSON object");
	assert_refused(GOOD, "", "claims: line 1");
	assert_refused(GOOD, "{\"a\":1,\"a\":2}", "claims: line 1");
	assert_refused(GOOD, "{\"a\":\"\xff\"}", "claims: line 1");
}

static void test_bounds(void **state)
{
	static char claim[JWS_MAX];
	char id[JOSE_KEY_ID_SIZE + 1], *text = NULL, *large = calloc(1, JWS_MAX + 2);
	json_t *claims;
	rh_error error = {0};
	struct jws jws = {0};

	(void)state;
	assert_non_null(large);
	memset(large, '.', JWS_MAX + 1);
	assert_int_equal(read_exact(&jws, large, JWS_MAX + 1, &error), RH_E_LICENSE_INVALID);
	assert_non_null(strstr(error.text, "more than"));
	memset(large, 'A', 3000);
	assert_int_equal(read_exact(&jws, large, JWS_MAX, &error), RH_E_LICENSE_INVALID);
	assert_non_null(strstr(error.text, "header: too long"));
	free(large);

	memset(id, 'i', sizeof id - 1);
	id[sizeof id - 1] = '\0';
	claims = json_object();
	assert_int_equal(jws_sign(key, TYPE, id, claims, &text, NULL), RH_E_ARGUMENT);
	assert_int_equal(jws_sign(key, TYPE, "", claims, &text, NULL), RH_E_ARGUMENT);
	assert_int_equal(jws_sign(key, TYPE, "\xff", claims, &text, NULL), RH_E_ARGUMENT);
	assert_int_equal(jws_sign(public, TYPE, NULL, claims, &text, NULL), RH_E_ARGUMENT);
	id[sizeof id - 2] = '\0';
	assert_int_equal(jws_sign(key, TYPE, id, claims, &text, NULL), RH_OK);
	assert_int_equal(read_exact(&jws, text, strlen(text), NULL), RH_OK);
	assert_string_equal(jws.key_id, id);
	jws_free(&jws);
	free(text);
	text = NULL;

	memset(claim, 'c', sizeof claim - 1);
	json_object_set_new(claims, "c", json_string(claim));
	assert_int_equal(jws_sign(key, TYPE, "k", claims, &text, NULL), RH_E_ARGUMENT);
	assert_null(text);
	json_decref(claims);
}

static void test_claims(void **state)
{
	json_t *claims = json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:f,s:I}", "empty", "", "four",
	    "four", "control", "a\tb", "c1", "a\xc2\x9f", "minus", -1, "zero", 0, "real", 1.0,
	    "large", (json_int_t)INT64_MAX);
	char text[5] = "old";
	int64_t number = 5;

	(void)state;
	assert_true(jws_text(claims, "four", text, 5));
	assert_string_equal(text, "four");
	assert_false(jws_text(claims, "four", text, 4));
	assert_false(jws_text(claims, "empty", text, 5));
	assert_false(jws_text(claims, "control", text, 5));
	assert_false(jws_text(claims, "c1", text, 5));
	assert_false(jws_text(claims, "zero", text, 5));
	assert_false(jws_text(claims, "absent", text, 5));
	assert_string_equal(text, "four");
	assert_false(jws_number(claims, "minus", &number));
	assert_false(jws_number(claims, "real", &number));
	assert_false(jws_number(claims, "four", &number));
	assert_false(jws_number(claims, "absent", &number));
	assert_int_equal(number, 5);
	assert_true(jws_number(claims, "large", &number));
	assert_true(number == INT64_MAX);
	assert_true(jws_number(claims, "zero", &number));
	assert_int_equal(number, 0);
	json_decref(claims);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_every_edit),
	    cmocka_unit_test(test_every_cut),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_claims),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
