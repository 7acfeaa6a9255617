/*
 * Every allocation fails in turn, ours and those of libcrypto and jansson: each time the answer
 * is RH_E_MEMORY, and never that somebody's message is malformed or his signature wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "authority/message.h"

#include "failing.h"

#define SERVICE "https://licences.example/lms"
#define COMPUTER "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define NONCE "nonce-1"

static void *crypto_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return __wrap_malloc(size);
}

static void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return __wrap_realloc(old, size);
}

static void crypto_free(void *old, const char *file, int line)
{
	(void)file;
	(void)line;
	free(old);
}

/* One allocation after the other, until none is left to fail. */
static void fail_each(int (*work)(rh_error *error))
{
	rh_error error = {0};

	assert_int_equal(work(&error), RH_OK);
	for (int once = 0; once < 2; once++) {
		for (size_t i = 1;; i++) {
			int code;

			if (once)
				failing_nth(i);
			else
				failing_from(i);
			error = (rh_error){0};
			code = work(&error);
			failing_stop();
			/* Some of them libcrypto can do without. */
			if (code != RH_OK)
				assert_int_equal(code, RH_E_MEMORY);
			assert_int_equal(error.code, code);
			if (!failing_happened()) {
				assert_true(i > 1);
				break;
			}
			assert_in_range(i, 0, 100000);
		}
		assert_int_equal(work(&error), RH_OK);
	}
}

static struct jose_key *key;
static struct jose_set keys;
static uint8_t leaves[3][DIGEST_SIZE];
#define LEAVES ((const uint8_t(*)[DIGEST_SIZE])leaves)

static int sign_service(rh_error *error)
{
	char *certificate = NULL, *head = NULL, *grants = NULL;
	struct head was = {1, {2}, 3, 2};
	int code = certificate_sign(key, SERVICE, COMPUTER, 1, &certificate, error);

	if (code == RH_OK)
		code = head_sign(key, SERVICE, &was, &head, error);
	if (code == RH_OK)
		code = grants_sign(key, SERVICE, COMPUTER, 1, LEAVES, 3, &grants, error);
	if (code == RH_OK)
		code = certificate_check(certificate, &keys, SERVICE, COMPUTER, error);
	if (code == RH_OK)
		code = head_check(head, &keys, SERVICE, &was, error);
	if (code == RH_OK)
		code = grants_check(grants, &keys, SERVICE, COMPUTER, LEAVES, 3, error);
	free(certificate);
	free(head);
	free(grants);
	return code;
}

static int sign_computer(rh_error *error)
{
	char *claim = NULL, *owner = NULL, *release = NULL;
	char who[JOSE_THUMBPRINT_SIZE], whose[JOSE_THUMBPRINT_SIZE];
	int code = claim_sign(key, SERVICE, COMPUTER, &claim, error);

	if (code == RH_OK)
		code = owner_sign(key, SERVICE, COMPUTER, &owner, error);
	if (code == RH_OK)
		code = release_sign(key, SERVICE, COMPUTER, NONCE, &release, error);
	if (code == RH_OK)
		code = claim_check(claim, SERVICE, COMPUTER, who, error);
	if (code == RH_OK)
		code = owner_check(owner, SERVICE, who, whose, error);
	if (code == RH_OK)
		code = release_check(release, SERVICE, COMPUTER, NONCE, who, error);
	free(claim);
	free(owner);
	free(release);
	return code;
}

static int release_keys(rh_error *error)
{
	static const uint8_t recovery[KEY_SIZE] = {1};
	uint8_t secret[KEY_SIZE];
	struct jose_key *made = NULL, *fresh = NULL;
	int code = release_key(recovery, SERVICE, &made, error);

	if (code == RH_OK)
		code = jose_key_generate(&fresh, secret, error);
	jose_key_free(made);
	jose_key_free(fresh);
	return code;
}

static int proofs(rh_error *error)
{
	static const struct proof proof = {"POST", SERVICE, 1, NONCE, "a.b.c"};
	struct proof got;
	struct jws jws = {0};
	char *text = NULL;
	int code = proof_sign(key, &proof, "body", 4, &text, error);

	if (code == RH_OK)
		code = proof_read(&jws, &got, text, strlen(text), "body", 4, error);
	jws_free(&jws);
	free(text);
	return code;
}

static int leaf(rh_error *error)
{
	static const struct grant grant = {"i", "1", COMPUTER, 1, 4, 5};
	uint8_t hash[DIGEST_SIZE];

	return grant_leaf(&grant, hash, error);
}

/* ---- Messages ---- */

static int restore_request(rh_error *error)
{
	static char document[700];
	struct request_license licenses[] = {{document, sizeof document, "AAAA", 4, NULL, NULL},
	    {"\n\"", 2, NULL, 0, NULL, NULL}};
	struct restore_request request = {.path = MESSAGE_COMMIT,
	    .idempotency_key = "0123456789abcdef",
	    .key = "a.b.c.d.e",
	    .owner = "a.b.c",
	    .licenses = licenses,
	    .license_count = 2};
	struct restore_request got = {.path = MESSAGE_COMMIT};
	struct buffer out = {0};
	int code;

	memset(document, 'd', sizeof document);
	code = restore_request_write(&request, &out, error);
	if (code != RH_OK)
		assert_int_equal(out.size, 0);
	else
		code = restore_request_read(&got, out.data, out.size, error);
	if (code == RH_OK)
		assert_memory_equal(got.licenses[0].document, document, sizeof document);
	restore_request_free(&got);
	buffer_free(&out);
	return code;
}

/* The same with a document that is put aside while JSON is read. */
static int long_request(rh_error *error)
{
	static char document[3000];
	struct request_license license = {document, sizeof document, NULL, 0, NULL, NULL};
	struct restore_request request = {
	    .path = MESSAGE_PLAN, .licenses = &license, .license_count = 1};
	struct restore_request got = {.path = MESSAGE_PLAN};
	struct buffer out = {0};
	int code;

	memset(document, 'd', sizeof document);
	code = restore_request_write(&request, &out, error);
	if (code == RH_OK)
		code = restore_request_read(&got, out.data, out.size, error);
	if (code == RH_OK) {
		assert_int_equal(got.licenses[0].document_size, sizeof document);
		assert_memory_equal(got.licenses[0].document, document, sizeof document);
	}
	restore_request_free(&got);
	buffer_free(&out);
	return code;
}

static int restore_reply(rh_error *error)
{
	struct reply_license license = {
	    .id = "1", .issuer = "\xc3\xbc\"", .result = MESSAGE_FREE, .since = 1};
	struct restore_reply reply = {.licenses = &license,
				 .license_count = 1,
				 .head = "a.b.c"},
			     got = {0};
	struct buffer out = {0};
	int code = restore_reply_write(&reply, &out, error);

	if (code == RH_OK)
		code = restore_reply_read(&got, out.data, out.size, error);
	restore_reply_free(&got);
	buffer_free(&out);
	return code;
}

static int status_reply(rh_error *error)
{
	struct status_computer computer = {COMPUTER, "\"", 1, MESSAGE_TIME_NONE, true, true};
	struct status_license license = {
	    .id = "1", .issuer = "i", .computers = &computer, .computer_count = 1};
	struct status_reply reply = {.licenses = &license, .license_count = 1, .head = "a.b.c"},
			    got = {0};
	struct buffer out = {0};
	int code = status_reply_write(&reply, &out, error);

	if (code == RH_OK)
		code = status_reply_read(&got, out.data, out.size, error);
	status_reply_free(&got);
	buffer_free(&out);
	return code;
}

static int computers(rh_error *error)
{
	struct computers_request request = {.name = "\"a\"", .release = COMPUTER}, got = {0};
	struct computers_reply reply = {.certificate = "a.b.c", .head = "a.b.c"}, had = {0};
	struct buffer out = {0};
	int code = computers_request_write(&request, &out, error);

	if (code == RH_OK)
		code = computers_request_read(&got, out.data, out.size, error);
	buffer_clear(&out);
	if (code == RH_OK)
		code = computers_reply_write(&reply, &out, error);
	if (code == RH_OK)
		code = computers_reply_read(&had, out.data, out.size, error);
	computers_request_free(&got);
	computers_reply_free(&had);
	buffer_free(&out);
	return code;
}

static int release(rh_error *error)
{
	struct release_request request = {.computer = COMPUTER, .proof = "a.b.c"}, got = {0};
	struct release_reply reply = {.computer = COMPUTER, .effective = 1, .head = "a.b.c"},
			     had = {0};
	struct buffer out = {0};
	int code = release_request_write(&request, &out, error);

	if (code == RH_OK)
		code = release_request_read(&got, out.data, out.size, error);
	buffer_clear(&out);
	if (code == RH_OK)
		code = release_reply_write(&reply, &out, error);
	if (code == RH_OK)
		code = release_reply_read(&had, out.data, out.size, error);
	release_request_free(&got);
	release_reply_free(&had);
	buffer_free(&out);
	return code;
}

static int problem(rh_error *error)
{
	struct problem_reply reply = {.status = 400,
				 .code = "x",
				 .title = "\"",
				 .detail = "\xc3\xbc"},
			     got = {0};
	struct buffer out = {0};
	int code = problem_reply_write(&reply, &out, error);

	if (code == RH_OK)
		code = problem_reply_read(&got, out.data, out.size, error);
	problem_reply_free(&got);
	buffer_free(&out);
	return code;
}

/* ---- */

static void test_statements(void **state)
{
	(void)state;
	fail_each(sign_service);
	fail_each(sign_computer);
	fail_each(release_keys);
	fail_each(proofs);
	fail_each(leaf);
}

static void test_messages(void **state)
{
	(void)state;
	fail_each(restore_request);
	fail_each(long_request);
	fail_each(restore_reply);
	fail_each(status_reply);
	fail_each(computers);
	fail_each(release);
	fail_each(problem);
}

static int make_keys(void **state)
{
	static const uint8_t secret[KEY_SIZE] = {1};
	int code = jose_key_private(secret, &key, NULL);

	(void)state;
	return code == RH_OK ? jose_set_read(&keys, jose_key_jwk(key),
				   strlen(jose_key_jwk(key)), NULL, NULL)
			     : code;
}

static int free_keys(void **state)
{
	(void)state;
	jose_key_free(key);
	jose_set_free(&keys);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_statements),
	    cmocka_unit_test(test_messages),
	};

	if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
		return 1;
	json_set_alloc_funcs(__wrap_malloc, free);
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
