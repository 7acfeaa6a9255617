#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/jose.h"

/* RFC 7515, appendix A.3; its thumbprint by "jose jwk thp". */
#define X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define THUMBPRINT "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"
/* RFC 7518, appendix C: Bob's. */
#define BOB_X "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ"
#define BOB_Y "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"
#define EC "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\""
#define BOB "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" BOB_X "\",\"y\":\"" BOB_Y "\""
#define SET(keys) "{\"keys\":[" keys "]}"

static int read_exact(
    struct jose_set *set, const char *text, size_t size, const char *member, rh_error *error)
{
	char *exact = malloc(size > 0 ? size : 1);
	int code;

	assert_non_null(exact);
	memcpy(exact, text, size);
	code = jose_set_read(set, exact, size, member, error);
	free(exact);
	return code;
}

static void read_good(struct jose_set *set, const char *text, const char *member)
{
	rh_error error = {0};

	if (read_exact(set, text, strlen(text), member, &error) != RH_OK)
		fail_msg("%s: %s", text, error.text);
}

/* ${words}: what the sentence says. */
static void assert_refused(const char *text, const char *words)
{
	static struct jose_set set;
	rh_error error = {0};

	set.count = 77;
	assert_int_equal(read_exact(&set, text, strlen(text), "issuer", &error), RH_E_PIN_KEYS);
	assert_int_equal(error.code, RH_E_PIN_KEYS);
	if (strstr(error.text, words) == NULL)
		fail_msg("%s: %s", text, error.text);
	assert_int_equal(set.count, 77);
}

static void assert_one(const char *text, const char *id, bool signs, bool encrypts)
{
	struct jose_set set;

	read_good(&set, text, NULL);
	assert_int_equal(set.count, 1);
	assert_string_equal(set.keys[0].id, id);
	assert_int_equal(set.keys[0].signs, signs);
	assert_int_equal(set.keys[0].encrypts, encrypts);
	assert_string_equal(jose_key_thumbprint(set.keys[0].key), THUMBPRINT);
	assert_string_equal(set.name, "");
	jose_set_free(&set);
	assert_int_equal(set.count, 0);
}

static void test_one(void **state)
{
	char id[128], json[1024];

	(void)state;
	assert_one("{" EC "}", THUMBPRINT, true, true);
	assert_one(SET("{" EC "}"), THUMBPRINT, true, true);
	assert_one("\xef\xbb\xbf" SET("{" EC "}"), THUMBPRINT, true, true);
	assert_one(SET("{\"kid\":\"a b\"," EC ",\"x5c\":7}"), "a b", true, true);
	memset(id, 'i', sizeof id);
	id[127] = '\0';
	snprintf(json, sizeof json, SET("{\"kid\":\"%s\"," EC "}"), id);
	assert_one(json, id, true, true);
}

static void test_use(void **state)
{
	(void)state;
	assert_one("{\"use\":\"sig\"," EC "}", THUMBPRINT, true, false);
	assert_one("{\"use\":\"enc\"," EC "}", THUMBPRINT, false, true);
	assert_one("{\"alg\":\"ES256\"," EC "}", THUMBPRINT, true, false);
	assert_one("{\"alg\":\"ECDH-ES+A256KW\"," EC "}", THUMBPRINT, false, true);
	assert_one("{\"key_ops\":[\"verify\"]," EC "}", THUMBPRINT, true, false);
	assert_one("{\"key_ops\":[\"wrapKey\"]," EC "}", THUMBPRINT, false, true);
	assert_one("{\"key_ops\":[\"deriveKey\"]," EC "}", THUMBPRINT, false, true);
	assert_one("{\"key_ops\":[\"deriveBits\",\"x\"]," EC "}", THUMBPRINT, false, true);
	assert_one("{\"key_ops\":[\"verify\",\"deriveKey\"]," EC "}", THUMBPRINT, true, true);
	assert_one("{\"key_ops\":[\"verify\",\"deriveKey\"],\"use\":\"enc\"," EC "}",
	    THUMBPRINT, false, true);
	assert_one("{\"key_ops\":[\"verify\"],\"use\":\"sig\",\"alg\":\"ES256\"," EC "}",
	    THUMBPRINT, true, false);
}

/* Alone in a set they leave nothing; beside a usable key nobody minds them. */
static void test_passed_over(void **state)
{
	static const char *const keys[] = {
	    "{}",
	    "{\"kid\":\"ours\"}",
	    "{\"kty\":\"RSA\",\"kid\":\"ours\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"oct\",\"alg\":\"HS256\"}",
	    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\"}",
	    "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}",
	    "{\"kty\":\"EC\",\"x\":\"AA\",\"y\":\"AA\"}",
	    "{\"kty\":7,\"crv\":\"P-256\"}",
	    "{\"use\":\"other\"," EC "}",
	    "{\"alg\":\"ES384\"," EC "}",
	    "{\"alg\":\"ECDH-ES\"," EC "}",
	    "{\"key_ops\":[]," EC "}",
	    "{\"key_ops\":[\"sign\"]," EC "}",
	    "{\"key_ops\":[\"verify\"],\"use\":\"enc\"," EC "}",
	    "{\"key_ops\":[\"wrapKey\"],\"alg\":\"ES256\"," EC "}",
	    "{\"use\":\"sig\",\"alg\":\"ECDH-ES+A256KW\"," EC "}",
	};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		snprintf(text, sizeof text, SET("%s"), keys[i]);
		assert_refused(text, "no key that can be used");
		snprintf(text, sizeof text, SET("%s,{\"kid\":\"ours\"," EC "},%s"), keys[i],
		    keys[i]);
		assert_one(text, "ours", true, true);
	}
	assert_refused(SET(""), "no key that can be used");
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} sets[] = {
	    {"", "no JSON"},
	    {"{", "no JSON: line 1"},
	    {SET("{" EC "}") "x", "no JSON"},
	    {"{\"keys\":[],\"keys\":[{" EC "}]}", "no JSON"},
	    {"7", "no JSON"},
	    {"[]", "\"keys\""},
	    {"{}", "\"keys\""},
	    {"{\"keys\":{}}", "\"keys\""},
	    {"{\"keys\":7," EC "}", "\"keys\""},
	    {SET("{" EC "},7"), "key 2 is no JSON object"},
	    {SET("{" EC "},[]"), "key 2 is no JSON object"},
	    {SET("{" EC "},{\"kid\":\"b\",\"d\":\"\"," BOB "}"), "key 2 (b) has the private"},
	    {SET("{\"kty\":\"RSA\",\"d\":\"AQAB\"},{" EC "}"), "key 1 has the private"},
	    {SET("{\"d\":null," EC "}"), "\"d\""},
	    {SET("{\"kid\":\"a\nb\",\"d\":1," EC "}"), "no JSON"},
	    {SET("{\"kid\":\"a\\nb\",\"d\":1," EC "}"), "key 1 (a b)"},
	    {SET("{\"kid\":\"\"," EC "}"), "\"kid\""},
	    {SET("{\"kid\":7," EC "}"), "\"kid\""},
	    {SET("{\"kid\":null," EC "}"), "\"kid\""},
	    {SET("{\"use\":7," EC "}"), "\"use\""},
	    {SET("{\"alg\":[]," EC "}"), "\"alg\""},
	    {SET("{\"key_ops\":\"verify\"," EC "}"), "\"key_ops\""},
	    {SET("{\"key_ops\":[\"verify\",7]," EC "}"), "\"key_ops\""},
	    {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":\"" Y "\"}"), "\"x\""},
	    {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "=\",\"y\":\"" Y "\"}"),
		"\"x\""},
	    {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":7}"), "\"y\""},
	    {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" Y "\",\"y\":\"" X "\"}"),
		"no point"},
	    {SET("{\"kid\":\"a\"," EC "},{\"kid\":\"a\"," BOB "}"), "key 2 (a) has the same"},
	    {SET("{" EC "},{" EC "}"), "key 2 has the same"},
	    {SET("{" EC "},{\"kid\":\"" THUMBPRINT "\"," BOB "}"), "has the same"},
	};
	char id[129], json[1024];

	(void)state;
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		assert_refused(sets[i].text, sets[i].words);
	memset(id, 'i', sizeof id);
	id[128] = '\0';
	snprintf(json, sizeof json, SET("{\"kid\":\"%s\"," EC "}"), id);
	assert_refused(json, "\"kid\"");
}

static void test_several(void **state)
{
	struct jose_set set;

	(void)state;
	read_good(&set,
	    "{\"issuer\":\"Example\",\"keys\":[{\"kid\":\"1\"," EC "},{\"kty\":\"x\"},"
	    "{\"kid\":\"2\",\"use\":\"sig\"," BOB "},{\"kid\":\"3\",\"use\":\"enc\"," EC "}]}",
	    "issuer");
	assert_int_equal(set.count, 3);
	assert_string_equal(set.keys[1].id, "2");
	assert_string_equal(set.keys[2].id, "3");
	assert_true(set.keys[1].signs && !set.keys[1].encrypts);
	assert_string_not_equal(jose_key_thumbprint(set.keys[1].key), THUMBPRINT);
	assert_string_equal(jose_key_thumbprint(set.keys[2].key), THUMBPRINT);
	assert_string_equal(set.name, "Example");
	jose_set_free(&set);
}

static void test_name(void **state)
{
	char name[513], json[2048];
	struct jose_set set;

	(void)state;
	read_good(&set, "{\"service\":\"https://example.org\"," EC "}", "service");
	assert_string_equal(set.name, "https://example.org");
	jose_set_free(&set);
	read_good(&set, "{\"service\":\"https://example.org\"," EC "}", "issuer");
	assert_string_equal(set.name, "");
	jose_set_free(&set);
	read_good(&set, "{\"issuer\":7," EC "}", "issuer");
	assert_string_equal(set.name, "");
	jose_set_free(&set);
	memset(name, 'n', sizeof name);
	name[512] = '\0';
	snprintf(json, sizeof json, "{\"issuer\":\"%s\"," EC "}", name);
	assert_refused(json, "\"issuer\"");
	snprintf(json, sizeof json, "{\"issuer\":\"%s\"," EC "}", name + 1);
	read_good(&set, json, "issuer");
	assert_string_equal(set.name, name + 1);
	jose_set_free(&set);
}

static char *repeat(size_t count)
{
	char *text = malloc(count * 200 + 100), *p;

	assert_non_null(text);
	p = stpcpy(text, "{\"keys\":[");
	for (size_t i = 0; i < count; i++)
		p += sprintf(p, "%s{\"kid\":\"%zu\"," EC "}", i > 0 ? "," : "", i);
	strcpy(p, "]}");
	return text;
}

static void test_limits(void **state)
{
	static char big[JOSE_SET_MAX + 1];
	struct jose_set set;
	char *text = repeat(JOSE_KEYS_MAX);

	(void)state;
	read_good(&set, text, NULL);
	assert_int_equal(set.count, JOSE_KEYS_MAX);
	assert_string_equal(set.keys[JOSE_KEYS_MAX - 1].id, "63");
	jose_set_free(&set);
	free(text);
	text = repeat(JOSE_KEYS_MAX + 1);
	assert_refused(text, "65 keys");
	free(text);

	memset(big, ' ', sizeof big);
	memcpy(big, "{" EC "}", strlen("{" EC "}"));
	assert_int_equal(read_exact(&set, big, JOSE_SET_MAX, NULL, NULL), RH_OK);
	jose_set_free(&set);
	assert_int_equal(read_exact(&set, big, JOSE_SET_MAX + 1, NULL, NULL), RH_E_PIN_KEYS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one),
	    cmocka_unit_test(test_use),
	    cmocka_unit_test(test_passed_over),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_several),
	    cmocka_unit_test(test_name),
	    cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
