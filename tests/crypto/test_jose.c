#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/jose_key.h"

/* RFC 7515, appendix A.3: key, what is signed, and signature. */
#define RFC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define RFC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define RFC_D "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
#define RFC_SIGNATURE                                                                          \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU" \
	"1Q"
static const char rfc_signed[] =
    "eyJhbGciOiJFUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
#define SIGNED_SIZE (sizeof rfc_signed - 1)

/* Of that key, by "jose jwk thp". */
#define RFC_THUMBPRINT "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"

/* For that key, by "jose jwe enc"; inside stands: content key bytes. */
static const char jwe_plain[] =
    "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJlcGsiOnsiY3J2IjoiUC0yNTYiLCJrdHkiO"
    "iJFQyIsIngiOiJIRjBGTjJNbG1FQ0hEeF9zenhla0JSQlBDTVFSUW9mMVc2N1lleWRWazRZIiwieSI6ImNScGhuVl"
    "U1czZTc3k5Vm5IWjhwamwyX29GSWV4NE9KdWVrWEFqd1ladGsifX0."
    "hgdjg9ETu0L_eO1hUU1zG6JdD3Ep_UtfQaiY-JbOfZbaBskSAxlz_A.Tb7n2eGfIO1kIOeF."
    "R3b9zOQ61JlJKHcE05u697Y.UBVxaGJKv4wfjIqRQMNQqQ";
/* The same with "apu" Alice and "apv" Bob. */
static const char jwe_parties[] =
    "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImFwdSI6IlFXeHBZMlUiLCJhcHYiOiJRbTlpIiwiZW5jIjoiQTI1NkdDT"
    "SIsImVwayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6Il9ua29vNnYxYTlvcXZsZVZQNUZ5MUJyRExhMn"
    "pZWHhWWFpDZVlFWG1QcWciLCJ5Ijoia3VIbEFWQlZrX01WX2JWZlItSHFLQjZldEF4X1M0bTlJSE1ROGZfYXJBbyJ"
    "9fQ.QcTJUJePXm_eFMBK-KK6_rTRnP6aWFW3UmuoKuyxe_1et1qRuoDGmQ.JU9FsI7k-t6MtYjJ."
    "ZmFwxhFtDkPkvNcY7MLfkek.DPW-G-Z5rL-jt7C8BTwL8g";
/* Well made, and of no use here: "zip"; ECDH-ES; ECDH-ES+A128KW; A128GCM. */
static const char *const jwe_others[] = {
    "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJlcGsiOnsiY3J2IjoiUC0yNTYiLCJrdHkiO"
    "iJFQyIsIngiOiJpRVF5b0JNV0FkWklNNm16azJvYk1WUzJBdW1pbXlySFQ3N2tfNWJxTWlRIiwieSI6IjY2eEZkbn"
    "N4S1R3dkFZMi1WMjVXNG5jMXBkdjVHSFJvZi04OFZiaHVQdGMifSwiemlwIjoiREVGIn0."
    "rptGP0Ewqnarshb-J4d9spGgtMvbMecBkS_VvKLCtcrnKuzHK6oynw.fVxOX-uxwVFC6Ryq."
    "8-AbLato-bkpdl6cZyk81Kg.2LkLcTOfBDc34qBr6rdeeg",
    "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImVwayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwie"
    "CI6ImVmN2RFeUtrSFJEUG9GaWllM2ZMMVVSeTFkWXVpbng1VE5uMVhfZ2VRSEUiLCJ5IjoibnNnaFVXZF9PUnJIUz"
    "IzbEN2UzR6QWwwLXFPVW5lMk94dEpsNWRlMG52VSJ9fQ..GgtFwY3qGsoJy5RE."
    "0BVGz01bi0kpNZ5T4_ubhhI.ipf1aKeowwRZn_oFs_CLWQ",
    "eyJhbGciOiJFQ0RILUVTK0ExMjhLVyIsImVuYyI6IkEyNTZHQ00iLCJlcGsiOnsiY3J2IjoiUC0yNTYiLCJrdHkiO"
    "iJFQyIsIngiOiJ2SVVCeFBrYzRuczRoTnpSek5DZ1dKcWpNX2xZNFBscUdUZ2FFWjZCWHdvIiwieSI6IndxQUZHbl"
    "MxUHkwQ2VXRjAwcHhraFJndmx4TmhHNkFXVDNQdklHd2pzdWMifX0."
    "PBD8XzKcYzzaaNW_maHrJrP1BeYSQObkYhi19csFMJpqn_zg2nxdmA.k5p9il6OedneAlId."
    "sr7hFy6Eiaejxk1XhETlTkY.hS7aG-1J8sxMyBp_z50PGA",
    "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkExMjhHQ00iLCJlcGsiOnsiY3J2IjoiUC0yNTYiLCJrdHkiO"
    "iJFQyIsIngiOiJpLXU4aWZ4ZWJISHBrQ21udGduWWtyaTVuZW9HRGFuSGhoc0w4OUhaOXF3IiwieSI6ImlkUmlROV"
    "9KYUM3UXU5bE9Vdnl6T1BhZ1BaRTFDbmNGUEZ3VTNTa1ZqSWMifX0.-BCX2sCdKA2lHpirabmgpIs5jQ2GlDSw."
    "K6Ki7LyX6w8xvp9t.bWXMtLZDVxxexJz-ALf4q38.KP2cS2qku9h6YgnoeaDBmg",
};
static const char content[] = "content key bytes";

/* The header of ${jwe_plain}, with members in front, and x and y of its key. */
#define EPK_X "HF0FN2MlmECHDx_szxekBRBPCMQRQof1W67YeydVk4Y"
#define EPK_Y "cRphnVU5s6Ssy9VnHZ8pjl2_oFIex4OJuekXAjwYZtk"
#define EPK(kty, crv, x, y) "{\"kty\":" kty ",\"crv\":" crv ",\"x\":\"" x "\",\"y\":\"" y "\"}"
#define GOOD_EPK EPK("\"EC\"", "\"P-256\"", EPK_X, EPK_Y)
#define HEADER(more, alg, enc, epk) "{" more "\"alg\":" alg ",\"enc\":" enc ",\"epk\":" epk "}"
#define GOOD_ALG "\"ECDH-ES+A256KW\""
#define GOOD_ENC "\"A256GCM\""

static struct jose_key *rfc_key;

static void decode(uint8_t bytes[32], const char *text)
{
	assert_true(base64_jose_read(bytes, 32, text, strlen(text)));
}

static int make_keys(void **state)
{
	uint8_t secret[KEY_SIZE];

	(void)state;
	decode(secret, RFC_D);
	return jose_key_private(secret, &rfc_key, NULL);
}

static int free_keys(void **state)
{
	(void)state;
	jose_key_free(rfc_key);
	return 0;
}

/* Gives ${text} at its exact size, so that a sanitizer sees the first byte too far. */
static int open_exact(
    const struct jose_key *key, const char *text, size_t size, struct buffer *out, rh_error *e)
{
	char *exact = malloc(size > 0 ? size : 1);
	int code;

	assert_non_null(exact);
	memcpy(exact, text, size);
	code = jose_open(key, exact, size, out, e);
	free(exact);
	return code;
}

static void assert_opens(
    const struct jose_key *key, const char *jwe, const void *expected, size_t expected_size)
{
	struct buffer out = {0};

	assert_int_equal(open_exact(key, jwe, strlen(jwe), &out, NULL), RH_OK);
	assert_int_equal(out.size, expected_size);
	assert_memory_equal(out.data, expected, expected_size);
	buffer_free_secret(&out);
}

/* ${word} stands in the sentence unless it is NULL. */
static void assert_shut(
    const struct jose_key *key, const char *jwe, size_t size, const char *word)
{
	struct buffer out = {0};
	rh_error error = {0};

	assert_int_equal(open_exact(key, jwe, size, &out, &error), RH_E_LICENSE_CONTENT_KEY);
	assert_int_equal(error.code, RH_E_LICENSE_CONTENT_KEY);
	assert_non_null(strstr(error.text, word != NULL ? word : "content key"));
	assert_null(out.data);
}

static void assert_unsigned(
    const char *text, size_t size, const char *signature, size_t signature_size)
{
	rh_error error = {0};

	assert_int_equal(jose_verify(rfc_key, text, size, signature, signature_size, &error),
	    RH_E_LICENSE_SIGNATURE);
	assert_int_equal(error.code, RH_E_LICENSE_SIGNATURE);
	assert_string_not_equal(error.text, "");
}

static void test_keys(void **state)
{
	/* SEC 2, section 2.4.2: the order n of the base point. */
	static const char order[] =
	    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
	uint8_t x[32], y[32], secret[KEY_SIZE] = {0};
	struct jose_key *key = NULL;
	rh_error error = {0};

	(void)state;
	assert_string_equal(jose_key_thumbprint(rfc_key), RFC_THUMBPRINT);
	assert_string_equal(jose_key_jwk(rfc_key),
	    "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "\"}");
	decode(x, RFC_X);
	decode(y, RFC_Y);
	assert_int_equal(jose_key_public(y, x, &key, &error), RH_E_ARGUMENT);
	assert_int_equal(error.code, RH_E_ARGUMENT);
	assert_int_equal(jose_key_private(secret, &key, NULL), RH_E_ARGUMENT);
	assert_true(text_unhex(order, secret, sizeof secret));
	assert_int_equal(jose_key_private(secret, &key, NULL), RH_E_ARGUMENT);
	assert_null(key);
	jose_key_free(NULL);

	assert_int_equal(jose_key_public(x, y, &key, NULL), RH_OK);
	assert_string_equal(jose_key_thumbprint(key), RFC_THUMBPRINT);
	assert_string_equal(jose_key_jwk(key), jose_key_jwk(rfc_key));
	assert_int_equal(
	    jose_verify(key, rfc_signed, SIGNED_SIZE, RFC_SIGNATURE, 86, NULL), RH_OK);
	assert_int_equal(
	    jose_open(key, jwe_plain, strlen(jwe_plain), NULL, NULL), RH_E_ARGUMENT);
	jose_key_free(key);
}

/* Every byte of the signature, and every byte of what it signs. */
static void test_verify(void **state)
{
	char text[] = RFC_SIGNATURE "A", body[sizeof rfc_signed];

	(void)state;
	assert_int_equal(jose_verify(rfc_key, rfc_signed, SIGNED_SIZE, text, 86, NULL), RH_OK);
	for (size_t i = 0; i < 86; i++) {
		char good = text[i];

		assert_unsigned(rfc_signed, SIGNED_SIZE, text, i);
		for (unsigned c = 0; c < 256; c++) {
			if ((char)c == good)
				continue;
			text[i] = (char)c;
			assert_unsigned(rfc_signed, SIGNED_SIZE, text, 86);
		}
		text[i] = good;
	}
	assert_unsigned(rfc_signed, SIGNED_SIZE, text, 87);
	assert_unsigned(rfc_signed, SIGNED_SIZE, RFC_SIGNATURE "==", 88);
	assert_unsigned(rfc_signed, SIGNED_SIZE - 1, text, 86);
	assert_unsigned("", 0, text, 86);
	for (size_t i = 0; i < SIGNED_SIZE; i++) {
		memcpy(body, rfc_signed, sizeof body);
		body[i] ^= 1;
		assert_unsigned(body, SIGNED_SIZE, text, 86);
	}
}

static void test_numbers(void **state)
{
	/* r and s 0, and both 2^256 - 1. */
	char zero[87], most[87];
	uint8_t bytes[ES256_SIZE] = {0}, der[ES256_DER_MAX];
	static const uint8_t der_small[] = {0x30, 7, 2, 1, 0, 2, 2, 0, 0x80};
	static const uint8_t der_r[] = {0x30, 69, 2, 33, 0, 0xff};

	(void)state;
	memset(zero, 'A', sizeof zero);
	memset(most, '_', sizeof most);
	most[85] = 'w';
	assert_unsigned(rfc_signed, SIGNED_SIZE, zero, 86);
	assert_unsigned(rfc_signed, SIGNED_SIZE, most, 86);

	bytes[63] = 0x80;
	assert_int_equal(es256_to_der(der, bytes), sizeof der_small);
	assert_memory_equal(der, der_small, sizeof der_small);
	memset(bytes, 0xff, 32);
	memset(bytes + 32, 0x7f, 32);
	assert_int_equal(es256_to_der(der, bytes), 71);
	assert_memory_equal(der, der_r, sizeof der_r);
	memset(bytes + 32, 0x80, 32);
	assert_int_equal(es256_to_der(der, bytes), ES256_DER_MAX);
}

/* Our own signatures: one in 128 has a number that is shorter than 32 bytes. */
static void test_signed_here(void **state)
{
	static const char header[] = "eyJhbGciOiJFUzI1NiJ9.";
	uint8_t secret[KEY_SIZE];
	struct jose_key *key = NULL;
	char text[64], *jws = NULL;

	(void)state;
	assert_int_equal(es256_key_generate(secret, NULL), RH_OK);
	assert_int_equal(jose_key_private(secret, &key, NULL), RH_OK);
	for (uint32_t i = 0; i < 1000; i++) {
		uint8_t payload[4];

		put_u32be(payload, i);
		base64_encode(stpcpy(text, header), payload, sizeof payload, BASE64_JOSE);
		assert_int_equal(
		    es256_sign_detached(secret, payload, sizeof payload, &jws, NULL), RH_OK);
		assert_int_equal(
		    jose_verify(key, text, strlen(text), strrchr(jws, '.') + 1, 86, NULL),
		    RH_OK);
		free(jws);
	}
	jose_key_free(key);
}

/* RFC 7518, appendix C. */
static void test_concat_kdf(void **state)
{
	static const uint8_t z[32] = {158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131,
	    191, 132, 38, 156, 251, 49, 110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140,
	    254, 144, 196};
	const struct jose_party alice = {(const uint8_t *)"Alice", 5};
	const struct jose_party bob = {(const uint8_t *)"Bob", 3};
	uint8_t key[KEY_SIZE];
	char text[BASE64_SIZE(16)];

	(void)state;
	assert_int_equal(jose_concat_kdf(key, z, "A128GCM", alice, bob, 128, NULL), RH_OK);
	base64_encode(text, key, 16, BASE64_JOSE);
	assert_string_equal(text, "VqqN6vgjbSBcIijNcacQGg");
}

static void test_vectors(void **state)
{
	(void)state;
	assert_opens(rfc_key, jwe_plain, content, strlen(content));
	assert_opens(rfc_key, jwe_parties, content, strlen(content));
	for (size_t i = 0; i < sizeof jwe_others / sizeof *jwe_others; i++)
		assert_shut(rfc_key, jwe_others[i], strlen(jwe_others[i]), NULL);
}

/* Every byte, replaced by every other, left out, and doubled; every shorter text. */
static void test_edited(void **state)
{
	const size_t size = sizeof jwe_plain - 1;
	char text[sizeof jwe_plain + 1];

	(void)state;
	for (size_t i = 0; i < size; i++) {
		memcpy(text, jwe_plain, size);
		for (unsigned c = 0; c < 256; c++) {
			if ((char)c == jwe_plain[i])
				continue;
			text[i] = (char)c;
			assert_shut(rfc_key, text, size, NULL);
		}
		memcpy(text + i, jwe_plain + i + 1, size - i - 1);
		assert_shut(rfc_key, text, size - 1, NULL);
		text[i] = jwe_plain[i];
		memcpy(text + i + 1, jwe_plain + i, size - i);
		assert_shut(rfc_key, text, size + 1, NULL);
		assert_shut(rfc_key, jwe_plain, i, NULL);
	}
}

static void test_headers(void **state)
{
	static const char *const wrong[] = {
	    "",
	    "{}",
	    "[]",
	    "7",
	    "{\"alg\":" GOOD_ALG "," HEADER("", GOOD_ALG, GOOD_ENC, GOOD_EPK),
	    HEADER("\"alg\":\"none\",", GOOD_ALG, GOOD_ENC, GOOD_EPK),
	    HEADER("\"crit\":[\"exp\"],", GOOD_ALG, GOOD_ENC, GOOD_EPK),
	    HEADER("\"crit\":null,", GOOD_ALG, GOOD_ENC, GOOD_EPK),
	    HEADER("\"zip\":\"DEF\",", GOOD_ALG, GOOD_ENC, GOOD_EPK),
	    HEADER("\"apu\":7,", GOOD_ALG, GOOD_ENC, GOOD_EPK),
	    HEADER("\"apu\":\"QQ==\",", GOOD_ALG, GOOD_ENC, GOOD_EPK),
	    HEADER("\"apv\":\"QR\",", GOOD_ALG, GOOD_ENC, GOOD_EPK),
	    HEADER("", "\"ECDH-ES\"", GOOD_ENC, GOOD_EPK),
	    HEADER("", "\"ecdh-es+a256kw\"", GOOD_ENC, GOOD_EPK),
	    HEADER("", "\"dir\"", GOOD_ENC, GOOD_EPK),
	    HEADER("", "null", GOOD_ENC, GOOD_EPK),
	    HEADER("", GOOD_ALG, "\"A128GCM\"", GOOD_EPK),
	    HEADER("", GOOD_ALG, "[\"A256GCM\"]", GOOD_EPK),
	    HEADER("", GOOD_ALG, GOOD_ENC, "null"),
	    HEADER("", GOOD_ALG, GOOD_ENC, "{}"),
	    HEADER("", GOOD_ALG, GOOD_ENC, EPK("\"OKP\"", "\"P-256\"", EPK_X, EPK_Y)),
	    HEADER("", GOOD_ALG, GOOD_ENC, EPK("\"EC\"", "\"P-384\"", EPK_X, EPK_Y)),
	    HEADER("", GOOD_ALG, GOOD_ENC, EPK("\"EC\"", "\"P-256\"", EPK_X "=", EPK_Y)),
	    HEADER("", GOOD_ALG, GOOD_ENC, EPK("\"EC\"", "\"P-256\"", EPK_X, EPK_Y "AA")),
	    HEADER("", GOOD_ALG, GOOD_ENC, EPK("\"EC\"", "\"P-256\"", EPK_X, "")),
	    HEADER("", GOOD_ALG, GOOD_ENC, GOOD_EPK) "x",
	};
	static const struct {
		const char *header, *word;
	} others[] = {
	    /* As far as the points. */
	    {HEADER("", GOOD_ALG, GOOD_ENC, EPK("\"EC\"", "\"P-256\"", EPK_Y, EPK_X)), "point"},
	    /* Understood; then the content's tag speaks of the very bytes. */
	    {HEADER("\"x\":[1.5,null],", GOOD_ALG, GOOD_ENC, GOOD_EPK), "changed"},
	    {HEADER(" ", GOOD_ALG, GOOD_ENC, GOOD_EPK), "changed"},
	    {HEADER("\"apu\":\"QQ\",", GOOD_ALG, GOOD_ENC, GOOD_EPK), "another key"},
	};
	const char *rest = strchr(jwe_plain, '.');
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		strcpy(
		    text + base64_encode(text, wrong[i], strlen(wrong[i]), BASE64_JOSE), rest);
		assert_shut(rfc_key, text, strlen(text), "header");
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		strcpy(text + base64_encode(text, others[i].header, strlen(others[i].header),
				  BASE64_JOSE),
		    rest);
		assert_shut(rfc_key, text, strlen(text), others[i].word);
	}
}

/* A header may have 4 KiB, and a JWE 16. */
static void test_long(void **state)
{
	const char *rest = strchr(jwe_plain, '.');
	static const char header[] = HEADER("", GOOD_ALG, GOOD_ENC, GOOD_EPK);
	static char json[4097], text[JOSE_JWE_MAX + 100];

	(void)state;
	memset(json, ' ', sizeof json);
	memcpy(json, header, strlen(header));
	strcpy(text + base64_encode(text, json, 4096, BASE64_JOSE), rest);
	assert_shut(rfc_key, text, strlen(text), "changed");
	strcpy(text + base64_encode(text, json, 4097, BASE64_JOSE), rest);
	assert_shut(rfc_key, text, strlen(text), "header");
	memset(text, 'A', sizeof text);
	assert_shut(rfc_key, text, JOSE_JWE_MAX, "no compact JWE");
	assert_shut(rfc_key, text, JOSE_JWE_MAX + 1, "no compact JWE");
}

static void test_parts(void **state)
{
	static const char *const texts[] = {
	    "", ".", "....", ".....", "a.b.c.d", "a.b.c.d.e.f", "e30.", "e30...."};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_shut(rfc_key, texts[i], strlen(texts[i]), "no compact JWE");
}

static void test_seal(void **state)
{
	static const size_t sizes[] = {1, 16, 32, 33, 1000, JOSE_SECRET_MAX};
	static uint8_t secret[JOSE_SECRET_MAX + 1], other[KEY_SIZE];
	struct jose_key *other_key = NULL;
	char *jwe = NULL, *again = NULL;

	(void)state;
	memset(secret, 0xa5, sizeof secret);
	assert_int_equal(es256_key_generate(other, NULL), RH_OK);
	assert_int_equal(jose_key_private(other, &other_key, NULL), RH_OK);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_int_equal(jose_seal(rfc_key, NULL, secret, sizes[i], &jwe, NULL), RH_OK);
		assert_opens(rfc_key, jwe, secret, sizes[i]);
		assert_shut(other_key, jwe, strlen(jwe), "another key");
		assert_int_equal(
		    jose_seal(rfc_key, NULL, secret, sizes[i], &again, NULL), RH_OK);
		assert_string_not_equal(jwe, again);
		free(jwe);
		free(again);
	}
	jwe = NULL;
	assert_int_equal(jose_seal(rfc_key, NULL, secret, 0, &jwe, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    jose_seal(rfc_key, NULL, secret, sizeof secret, &jwe, NULL), RH_E_ARGUMENT);
	assert_null(jwe);
	jose_key_free(other_key);
}

static void assert_key_id(const char *id, const char *json)
{
	char *jwe = NULL, header[4096];
	ptrdiff_t size;

	assert_int_equal(jose_seal(rfc_key, id, "secret", 6, &jwe, NULL), RH_OK);
	size = base64_decode(header, sizeof header - 1, jwe, strcspn(jwe, "."), BASE64_JOSE);
	assert_true(size > 0);
	header[size] = '\0';
	assert_string_equal(strstr(header, "}") + 1, json);
	assert_opens(rfc_key, jwe, "secret", 6);
	free(jwe);
}

static void test_key_id(void **state)
{
	char id[JOSE_KEY_ID_SIZE + 1], json[6 * JOSE_KEY_ID_SIZE + 20], *p, *jwe = NULL;

	(void)state;
	assert_key_id(NULL, "}");
	assert_key_id("", ",\"kid\":\"\"}");
	assert_key_id("2026", ",\"kid\":\"2026\"}");
	assert_key_id("a\"b\\\xc3\xbc", ",\"kid\":\"a\\\"b\\\\\xc3\xbc\"}");
	memset(id, 1, sizeof id);
	id[JOSE_KEY_ID_SIZE] = '\0';
	assert_int_equal(jose_seal(rfc_key, id, "secret", 6, &jwe, NULL), RH_E_ARGUMENT);
	assert_int_equal(jose_seal(rfc_key, "\xff", "secret", 6, &jwe, NULL), RH_E_ARGUMENT);
	assert_null(jwe);
	id[JOSE_KEY_ID_SIZE - 1] = '\0';
	p = stpcpy(json, ",\"kid\":\"");
	for (size_t i = 0; i < JOSE_KEY_ID_SIZE - 1; i++)
		p = stpcpy(p, "\\u0001");
	strcpy(p, "\"}");
	assert_key_id(id, json);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_verify),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_signed_here),
	    cmocka_unit_test(test_concat_kdf),
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_edited),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_seal),
	    cmocka_unit_test(test_key_id),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
