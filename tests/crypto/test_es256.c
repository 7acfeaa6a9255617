#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/crypto.h"

/* RFC 7515, appendix A.3: key, payload and signature. */
#define RFC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define RFC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define RFC_D "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
#define JWK(x, y) "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" x "\",\"y\":\"" y "\"}"
#define RFC_SIGNATURE                                                                          \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU" \
	"1Q"
#define RFC_JWS "eyJhbGciOiJFUzI1NiJ9.." RFC_SIGNATURE

static const char rfc_payload[] =
    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

#define PAYLOAD_SIZE (sizeof rfc_payload - 1)

static void assert_refused(const char *jwk, const char *jws, const void *payload, size_t size)
{
	rh_error error = {0};

	assert_int_equal(
	    es256_verify_detached(jwk, jws, payload, size, &error), RH_E_BACKUP_CORRUPT);
	assert_int_equal(error.code, RH_E_BACKUP_CORRUPT);
	assert_string_not_equal(error.text, "");
}

static void test_rfc7515(void **state)
{
	char payload[sizeof rfc_payload];
	uint8_t secret[KEY_SIZE];
	char *jwk;

	(void)state;
	assert_int_equal(
	    es256_verify_detached(JWK(RFC_X, RFC_Y), RFC_JWS, rfc_payload, PAYLOAD_SIZE, NULL),
	    RH_OK);
	for (size_t i = 0; i < PAYLOAD_SIZE; i++) {
		memcpy(payload, rfc_payload, sizeof payload);
		payload[i] ^= 1;
		assert_refused(JWK(RFC_X, RFC_Y), RFC_JWS, payload, PAYLOAD_SIZE);
	}
	assert_refused(JWK(RFC_X, RFC_Y), RFC_JWS, rfc_payload, PAYLOAD_SIZE - 1);
	assert_refused(JWK(RFC_X, RFC_Y), RFC_JWS, "", 0);

	assert_int_equal(base64_decode(secret, sizeof secret, RFC_D, strlen(RFC_D),
			     BASE64_URL | BASE64_NO_PAD),
	    KEY_SIZE);
	assert_int_equal(es256_public_jwk(secret, &jwk, NULL), RH_OK);
	assert_string_equal(jwk, JWK(RFC_X, RFC_Y));
	free(jwk);
}

static void test_malformed(void **state)
{
	/* The same point with x and y exchanged is not on the curve. */
	static const char *const jwks[] = {
	    "",
	    "{}",
	    JWK(RFC_Y, RFC_X),
	    JWK(RFC_X, RFC_X),
	    JWK(RFC_X, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a"),
	    JWK(RFC_X, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0A"),
	    JWK(RFC_X, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1"),
	    JWK(RFC_X, "x/FEzRu9m36HLN/tue659LNpXW6pCyStikYjKIWI5a0"),
	    JWK(RFC_X, RFC_Y) " ",
	    " " JWK(RFC_X, RFC_Y),
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "\"}",
	    "{\"crv\":\"P-384\",\"kty\":\"EC\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "\"}",
	    ("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" RFC_X),
	};
	static const char *const signatures[] = {
	    "",
	    RFC_SIGNATURE,
	    "eyJhbGciOiJFUzI1NiJ9.e30." RFC_SIGNATURE,
	    "eyJhbGciOiJub25lIn0..",
	    "eyJhbGciOiJub25lIn0.." RFC_SIGNATURE,
	    "eyJhbGciOiJFUzI1NiJ9..",
	    RFC_JWS "=",
	    RFC_JWS "\n",
	    RFC_JWS ".",
	    /* The last character carries four bits that must be 0. */
	    "eyJhbGciOiJFUzI1NiJ9..DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8"
	    "ISlSApmWQxfKTUJqPP3-Kg6NU1R",
	    /* r = s = 0 */
	    "eyJhbGciOiJFUzI1NiJ9..AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAAAAAAAAAAAAAAAAAA",
	    /* r = s = 2^256 - 1 */
	    "eyJhbGciOiJFUzI1NiJ9..____________________________________________________________"
	    "_________________________w",
	};

	(void)state;
	for (size_t i = 0; i < sizeof jwks / sizeof *jwks; i++)
		assert_refused(jwks[i], RFC_JWS, rfc_payload, PAYLOAD_SIZE);
	for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++)
		assert_refused(JWK(RFC_X, RFC_Y), signatures[i], rfc_payload, PAYLOAD_SIZE);
}

static void test_scalars(void **state)
{
	/* SEC 2, section 2.4.2: the order n of the base point, and n - 1. */
	static const char order[] =
	    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
	static const char most[] =
	    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550";
	uint8_t secret[KEY_SIZE] = {0};
	char *text = NULL;

	(void)state;
	assert_int_equal(es256_public_jwk(secret, &text, NULL), RH_E_ARGUMENT);
	assert_int_equal(es256_sign_detached(secret, "a", 1, &text, NULL), RH_E_ARGUMENT);
	assert_true(text_unhex(order, secret, sizeof secret));
	assert_int_equal(es256_public_jwk(secret, &text, NULL), RH_E_ARGUMENT);
	memset(secret, 0xff, sizeof secret);
	assert_int_equal(es256_public_jwk(secret, &text, NULL), RH_E_ARGUMENT);
	assert_null(text);
	assert_true(text_unhex(most, secret, sizeof secret));
	assert_int_equal(es256_public_jwk(secret, &text, NULL), RH_OK);
	free(text);
}

/* Sizes around the pieces in which the payload is fed. */
static void test_sign(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 3, 3071, 3072, 3073, 6144, 9000};
	static uint8_t payload[9000];
	uint8_t secret[KEY_SIZE], other[KEY_SIZE];
	char *jwk, *other_jwk, *jws;

	(void)state;
	memset(payload, 0x5a, sizeof payload);
	assert_int_equal(es256_key_generate(other, NULL), RH_OK);
	assert_int_equal(es256_public_jwk(other, &other_jwk, NULL), RH_OK);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t size = sizes[i];

		assert_int_equal(es256_key_generate(secret, NULL), RH_OK);
		assert_int_equal(es256_public_jwk(secret, &jwk, NULL), RH_OK);
		assert_int_equal(es256_sign_detached(secret, payload, size, &jws, NULL), RH_OK);
		assert_int_equal(strlen(jws), 22 + 86);
		assert_int_equal(es256_verify_detached(jwk, jws, payload, size, NULL), RH_OK);
		assert_refused(other_jwk, jws, payload, size);
		assert_refused(jwk, jws, payload, size > 0 ? size - 1 : 1);
		free(jwk);
		free(jws);
	}
	free(other_jwk);
}

/* Each character of a good signature and key counts. */
static void test_tampered(void **state)
{
	static const char jwk[] = JWK(RFC_X, RFC_Y);
	char jws[] = RFC_JWS, key[sizeof jwk];

	(void)state;
	for (size_t i = 0; i < strlen(jws); i++) {
		char c = jws[i];

		jws[i] = c == 'A' ? 'B' : 'A';
		assert_refused(jwk, jws, rfc_payload, PAYLOAD_SIZE);
		jws[i] = '\0';
		assert_refused(jwk, jws, rfc_payload, PAYLOAD_SIZE);
		jws[i] = c;
	}
	for (size_t i = 0; i < strlen(jwk); i++) {
		memcpy(key, jwk, sizeof key);
		key[i] = key[i] == 'A' ? 'B' : 'A';
		assert_refused(key, jws, rfc_payload, PAYLOAD_SIZE);
		key[i] = '\0';
		assert_refused(key, jws, rfc_payload, PAYLOAD_SIZE);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc7515),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_scalars),
	    cmocka_unit_test(test_sign),
	    cmocka_unit_test(test_tampered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
