/* The proof that every request carries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authority/message.h"

#define SERVICE "https://licences.example/lms"
#define NONCE "nonce-1"

static struct jose_key *computer_key;

static int make_key(void **state)
{
	static const uint8_t secret[KEY_SIZE] = {2};

	(void)state;
	return jose_key_private(secret, &computer_key, NULL);
}

static int free_key(void **state)
{
	(void)state;
	jose_key_free(computer_key);
	return 0;
}

static const char body[] = "{\"name\":\"x\"}";
static const struct proof proof = {"POST", SERVICE "/v1/plan", 1700000000, NONCE, "a.b.c"};

static int read_proof(struct jws *jws, struct proof *ret, const char *text, rh_error *error)
{
	return proof_read(jws, ret, text, strlen(text), body, sizeof body - 1, error);
}

static void test_proof(void **state)
{
	struct proof first = proof, got = {0};
	struct jws jws = {0};
	char *text = NULL;

	(void)state;
	assert_int_equal(
	    proof_sign(computer_key, &proof, body, sizeof body - 1, &text, NULL), RH_OK);
	assert_int_equal(read_proof(&jws, &got, text, NULL), RH_OK);
	assert_string_equal(got.method, proof.method);
	assert_string_equal(got.address, proof.address);
	assert_true(got.time == proof.time);
	assert_string_equal(got.nonce, proof.nonce);
	assert_string_equal(got.certificate, proof.certificate);
	assert_string_equal(jose_key_thumbprint(jws.key), jose_key_thumbprint(computer_key));
	jws_free(&jws);
	assert_int_equal(
	    proof_read(&jws, &got, text, strlen(text), body, sizeof body - 2, NULL),
	    RH_E_LICENSE_DAMAGED);
	assert_int_equal(
	    proof_read(&jws, &got, text, strlen(text), "", 0, NULL), RH_E_LICENSE_DAMAGED);
	assert_null(jws.claims);
	for (char *p = text; *p != '\0'; p++) {
		char was = *p;
		int code;

		*p = was == 'A' ? 'B' : 'A';
		code = read_proof(&jws, &got, text, NULL);
		if (code != RH_E_LICENSE_INVALID)
			assert_int_equal(code, RH_E_LICENSE_SIGNATURE);
		*p = was;
	}
	free(text);

	first.certificate = NULL;
	assert_int_equal(proof_sign(computer_key, &first, "", 0, &text, NULL), RH_OK);
	assert_int_equal(proof_read(&jws, &got, text, strlen(text), "", 0, NULL), RH_OK);
	assert_null(got.certificate);
	jws_free(&jws);
	free(text);
}

static void assert_proof_refused(const char *name, json_t *value, const char *words)
{
	struct jws jws = {0};
	struct proof got = {0};
	rh_error error = {0};
	char *text = NULL, *forged = NULL;

	assert_int_equal(
	    proof_sign(computer_key, &proof, body, sizeof body - 1, &text, NULL), RH_OK);
	assert_int_equal(jws_read(&jws, text, strlen(text), TYPE_PROOF, NULL), RH_OK);
	if (value == NULL)
		json_object_del(jws.claims, name);
	else
		json_object_set_new(jws.claims, name, value);
	assert_int_equal(
	    jws_sign(computer_key, TYPE_PROOF, NULL, jws.claims, &forged, NULL), RH_OK);
	jws_free(&jws);
	free(text);
	assert_int_equal(read_proof(&jws, &got, forged, &error), RH_E_LICENSE_INVALID);
	if (strstr(error.text, words) == NULL)
		fail_msg("%s: %s", name, error.text);
	free(forged);
}

static void test_proof_refused(void **state)
{
	static const char *const names[] = {"htm", "htu", "iat", "nonce", "body"};
	char nonce[MESSAGE_NONCE_MAX + 2];
	struct jws jws = {0};
	struct proof got = {0};
	char large[MESSAGE_PROOF_MAX + 2], *text = NULL;
	rh_error error = {0};
	struct proof long_proof = proof;
	json_t *claims = json_object();

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_proof_refused(names[i], NULL, names[i]);
		assert_proof_refused(names[i], json_true(), names[i]);
		assert_proof_refused(names[i], json_string(""), names[i]);
	}
	assert_proof_refused("certificate", json_null(), "certificate");
	assert_proof_refused("certificate", json_string("\n"), "certificate");
	memset(nonce, 'n', sizeof nonce - 1);
	nonce[sizeof nonce - 1] = '\0';
	assert_proof_refused("nonce", json_string(nonce), "nonce");
	assert_proof_refused("iat", json_integer(253402300800), "iat");

	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	assert_int_equal(read_proof(&jws, &got, large, &error), RH_E_LICENSE_INVALID);
	assert_non_null(strstr(error.text, "more than"));
	long_proof.address = large;
	assert_int_equal(
	    proof_sign(computer_key, &long_proof, "", 0, &text, NULL), RH_E_ARGUMENT);
	assert_null(text);

	assert_int_equal(jws_sign(computer_key, TYPE_PROOF, "kid", claims, &text, NULL), RH_OK);
	assert_int_equal(read_proof(&jws, &got, text, &error), RH_E_LICENSE_INVALID);
	assert_non_null(strstr(error.text, "does not bring the key"));
	free(text);
	json_decref(claims);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_proof),
	    cmocka_unit_test(test_proof_refused),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
