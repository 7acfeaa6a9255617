/*
 * Every allocation fails in turn, ours and those of libcrypto: each time the
 * answer is RH_E_MEMORY, and never that somebody's backup is damaged or his key wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "crypto/jose.h"
#include "crypto/recovery_code.h"

#include "failing.h"

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

/* Runs with one allocation after the other failing, until none is left to fail. */
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

static struct age_identity identity;
static struct buffer file;
static const char passphrase[] = "a passphrase";

static int write_memory(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

static int read_memory(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	(void)context;
	(void)error;
	if (size > file.size - offset)
		size = file.size - (size_t)offset;
	memcpy(bytes, file.data + offset, size);
	*ret = size;
	return RH_OK;
}

static int write_file(const char *phrase, rh_error *error)
{
	struct buffer out = {0};
	struct age_writer *writer = NULL;
	int code;

	code = age_writer_new(
	    &identity.recipient, phrase == NULL, phrase, 2, write_memory, &out, &writer, error);
	if (code == RH_OK)
		code = age_writer_write(writer, "plain", 5, error);
	if (code == RH_OK)
		code = age_writer_finish(writer, error);
	age_writer_free(writer);
	if (code == RH_OK) {
		buffer_free(&file);
		file = out;
	} else {
		buffer_free(&out);
	}
	return code;
}

static int write_recipient(rh_error *error)
{
	return write_file(NULL, error);
}

static int write_passphrase(rh_error *error)
{
	return write_file(passphrase, error);
}

static int read_file(rh_error *error)
{
	struct age_source source = {.read_at = read_memory, .context = NULL, .size = file.size};
	struct age_keys keys = {&identity, 1, passphrase};
	struct age_reader *reader = NULL;
	size_t got = 0, recipients;
	char bytes[10];
	int code;

	code = age_check_structure(&source, &recipients, error);
	if (code == RH_OK)
		code = age_reader_new(&source, &keys, &reader, error);
	if (code == RH_OK)
		code = age_reader_read(reader, bytes, sizeof bytes, &got, error);
	if (code == RH_OK)
		assert_int_equal(got, 5);
	age_reader_free(reader);
	return code;
}

static int digests(rh_error *error)
{
	struct digest *digest = NULL;
	uint8_t out[DIGEST_SIZE];
	int code = digest_new(&digest, error);

	if (code == RH_OK)
		code = digest_update(digest, "a", 1, error);
	if (code == RH_OK)
		code = digest_finish(digest, out, error);
	digest_free(digest);
	if (code == RH_OK)
		code = sha256(out, "a", 1, error);
	if (code == RH_OK)
		code = hmac_sha256(out, "a", 1, "b", 1, error);
	if (code == RH_OK)
		code = hkdf_sha256(out, sizeof out, "a", 1, "b", 1, "c", error);
	if (code == RH_OK)
		code = random_bytes(out, sizeof out, error);
	return code;
}

static int seal(rh_error *error)
{
	static const uint8_t key[KEY_SIZE] = {1};
	uint8_t sealed[SEAL_OVERHEAD + 4], out[4];
	struct sealer *sealer = NULL;
	int code = sealer_new(key, &sealer, error);

	if (code == RH_OK)
		code = sealer_seal(sealer, "a", 1, "abcd", 4, sealed, error);
	if (code == RH_OK)
		code = sealer_open(sealer, "a", 1, sealed, sizeof sealed, out, error);
	sealer_free(sealer);
	return code;
}

static int keys(rh_error *error)
{
	struct age_identity made;
	char text[RECOVERY_CODE_SIZE];
	int code = age_identity_generate(&made, error);

	if (code == RH_OK) {
		recovery_code_format(text, &made);
		code = recovery_key_parse(&made, text, error);
	}
	return code;
}

static int signature(rh_error *error)
{
	uint8_t secret[KEY_SIZE];
	char *jwk = NULL, *jws = NULL;
	int code = es256_key_generate(secret, error);

	if (code == RH_OK)
		code = es256_public_jwk(secret, &jwk, error);
	if (code == RH_OK)
		code = es256_sign_detached(secret, "abc", 3, &jws, error);
	if (code == RH_OK)
		code = es256_verify_detached(jwk, jws, "abc", 3, error);
	free(jwk);
	free(jws);
	return code;
}

static struct jose_key *jose;
static uint8_t jose_secret[KEY_SIZE];
static char *jose_jws, *jose_jwe;
static const char jose_signed[] = "eyJhbGciOiJFUzI1NiJ9.YWJj"; /* abc */

static int jose_keys(rh_error *error)
{
	struct jose_key *key = NULL;
	int code = jose_key_private(jose_secret, &key, error);

	if (code == RH_OK)
		assert_string_equal(jose_key_jwk(key), jose_key_jwk(jose));
	jose_key_free(key);
	return code;
}

static int jose_verifies(rh_error *error)
{
	return jose_verify(
	    jose, jose_signed, strlen(jose_signed), strrchr(jose_jws, '.') + 1, 86, error);
}

/* A wrong signature is never right, and wrong only where there was memory to see it. */
static int jose_refuses(rh_error *error)
{
	int code = jose_verify(
	    jose, jose_signed, strlen(jose_signed) - 1, strrchr(jose_jws, '.') + 1, 86, error);

	assert_int_not_equal(code, RH_OK);
	if (code == RH_E_LICENSE_SIGNATURE)
		code = error->code = RH_OK;
	return code;
}

static int jose_opens(rh_error *error)
{
	struct buffer out = {0};
	int code = jose_open(jose, jose_jwe, strlen(jose_jwe), &out, error);

	if (code == RH_OK) {
		assert_int_equal(out.size, 6);
		assert_memory_equal(out.data, "secret", 6);
	} else {
		assert_null(out.data);
	}
	buffer_free_secret(&out);
	return code;
}

static int jose_seals(rh_error *error)
{
	char *jwe = NULL;
	int code = jose_seal(jose, "an id", "secret", 6, &jwe, error);

	if (code == RH_OK) {
		struct buffer out = {0};

		failing_pause();
		assert_int_equal(jose_open(jose, jwe, strlen(jwe), &out, NULL), RH_OK);
		buffer_free_secret(&out);
		failing_resume();
	} else {
		assert_null(jwe);
	}
	free(jwe);
	return code;
}

static int jose_sets(rh_error *error)
{
	char text[1024];
	struct jose_set set;
	int code;

	snprintf(text, sizeof text,
	    "{\"issuer\":\"A\",\"keys\":[{\"kty\":\"x\"},%s,{\"kid\":\"b\",%s]}",
	    jose_key_jwk(jose), jose_key_jwk(jose) + 1);
	code = jose_set_read(&set, text, strlen(text), "issuer", error);
	if (code == RH_OK) {
		assert_int_equal(set.count, 2);
		assert_string_equal(set.keys[0].id, jose_key_thumbprint(jose));
		assert_string_equal(set.keys[1].id, "b");
		assert_string_equal(set.name, "A");
		jose_set_free(&set);
	}
	return code;
}

static void test_primitives(void **state)
{
	(void)state;
	fail_each(digests);
	fail_each(seal);
}

static void test_age(void **state)
{
	(void)state;
	fail_each(keys);
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	fail_each(write_recipient);
	fail_each(read_file);
	fail_each(write_passphrase);
	fail_each(read_file);
	buffer_free(&file);
}

static void test_signatures(void **state)
{
	(void)state;
	fail_each(signature);
}

static void test_jose(void **state)
{
	(void)state;
	/* Not jansson's own: within a text, it does not survive that (see jsontext.c). */
	assert_int_equal(es256_key_generate(jose_secret, NULL), RH_OK);
	assert_int_equal(jose_key_private(jose_secret, &jose, NULL), RH_OK);
	assert_int_equal(es256_sign_detached(jose_secret, "abc", 3, &jose_jws, NULL), RH_OK);
	assert_int_equal(jose_seal(jose, "an id", "secret", 6, &jose_jwe, NULL), RH_OK);
	fail_each(jose_keys);
	fail_each(jose_verifies);
	fail_each(jose_refuses);
	fail_each(jose_opens);
	fail_each(jose_seals);
	fail_each(jose_sets);
	jose_key_free(jose);
	free(jose_jws);
	free(jose_jwe);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_primitives),
	    cmocka_unit_test(test_age),
	    cmocka_unit_test(test_signatures),
	    cmocka_unit_test(test_jose),
	};

	if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
		return 99;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
