/* One key, used by several threads at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/jws.h"

#define THREADS 4
#define ROUNDS 200

static const char text[] = "eyJhbGciOiJFUzI1NiJ9.YWJj";
static struct jose_key *key;
static char *signature, *sealed;

static bool signs(void)
{
	json_t *claims = json_object();
	struct jws jws = {0};
	char *made = NULL;
	bool good = jws_sign(key, "t", NULL, claims, &made, NULL) == RH_OK &&
		    jws_read(&jws, made, strlen(made), "t", NULL) == RH_OK &&
		    jws_verify(&jws, key, NULL) == RH_OK;

	jws_free(&jws);
	json_decref(claims);
	free(made);
	return good;
}

/* NULL if every answer was right. */
static void *work(void *unused)
{
	char wrong[87];

	(void)unused;
	memcpy(wrong, signature, sizeof wrong);
	wrong[0] = wrong[0] == 'A' ? 'B' : 'A';
	for (int i = 0; i < ROUNDS; i++) {
		struct buffer out = {0};
		char *jwe = NULL;
		bool good =
		    jose_verify(key, text, strlen(text), signature, 86, NULL) == RH_OK &&
		    jose_verify(key, text, strlen(text), wrong, 86, NULL) ==
			RH_E_LICENSE_SIGNATURE &&
		    jose_open(key, sealed, strlen(sealed), &out, NULL) == RH_OK &&
		    out.size == 6 && memcmp(out.data, "secret", 6) == 0 &&
		    jose_seal(key, "id", "secret", 6, &jwe, NULL) == RH_OK && signs();

		buffer_free_secret(&out);
		free(jwe);
		if (!good)
			return key;
	}
	return NULL;
}

static void test_threads(void **state)
{
	uint8_t secret[KEY_SIZE];
	pthread_t threads[THREADS];
	char *jws = NULL;

	(void)state;
	assert_int_equal(es256_key_generate(secret, NULL), RH_OK);
	assert_int_equal(jose_key_private(secret, &key, NULL), RH_OK);
	assert_int_equal(es256_sign_detached(secret, "abc", 3, &jws, NULL), RH_OK);
	signature = strrchr(jws, '.') + 1;
	assert_int_equal(jose_seal(key, NULL, "secret", 6, &sealed, NULL), RH_OK);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	free(jws);
	free(sealed);
	jose_key_free(key);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
