#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#include "vectors.h"

/* Signed licences read without a trust: their form, every claim, and titles. */

#define HEADER "{\"alg\":\"ES256\",\"typ\":\"rehost-license+jwt\",\"kid\":\"k\"}"
#define NEEDED "\"jti\":\"i\",\"iss\":\"s\",\"iat\":1"
#define BOUND NEEDED ",\"cnf\":{\"jkt\":\"ZsXBia-CcHnrgB681OPys-HwnKYa5clfeI0ukWI0QPQ\"}"
#define T16 "0123456789abcdef"
#define T128 T16 T16 T16 T16 T16 T16 T16 T16

/* A document with a signature of zeros. */
static char *make(const char *header, const char *claims, size_t *ret_size)
{
	const uint8_t zeros[64] = {0};
	char *text = malloc(
	    BASE64_SIZE(strlen(header)) + BASE64_SIZE(strlen(claims)) + BASE64_SIZE(64) + 2);
	size_t n;

	assert_non_null(text);
	n = base64_encode(text, header, strlen(header), BASE64_URL | BASE64_NO_PAD);
	text[n++] = '.';
	n += base64_encode(text + n, claims, strlen(claims), BASE64_URL | BASE64_NO_PAD);
	text[n++] = '.';
	n += base64_encode(text + n, zeros, sizeof zeros, BASE64_URL | BASE64_NO_PAD);
	*ret_size = n;
	return text;
}

static void read_claims(struct reading *reading, const char *header, const char *claims)
{
	size_t size;
	char *text = make(header, claims, &size);

	reading_make(reading, text, size, "signed", NULL);
	free(text);
}

/* ---- Refused ---- */

static const struct {
	const char *claims;
	const char *text;
} refused[] = {
    {"", "claims: line 1"},
    {"1", "claims: line 1"},
    {"[]", "claims: no JSON object"},
    {"{}x", "claims: line 1"},
    {"{\"jti\":\"a\",\"jti\":\"a\"}", "a member stands twice"},
    {"{\"a\":{\"b\":1,\"b\":1}}", "a member stands twice"},
    {"{\"a\":\"\xff\"}", "no UTF-8"},
    {"{\"a\":99999999999999999999}", "too large"},
    {"{\"iss\":\"s\",\"iat\":1}", "claim jti is missing"},
    {"{\"jti\":\"i\",\"iat\":1}", "claim iss is missing"},
    {"{\"jti\":\"i\",\"iss\":\"s\"}", "claim iat is missing"},
    {"{\"jti\":\"\",\"iss\":\"s\",\"iat\":1}", "claim jti is empty"},
    {"{\"jti\":1,\"iss\":\"s\",\"iat\":1}", "claim jti is no text"},
    {"{\"jti\":\"" T128 T128 "\",\"iss\":\"s\",\"iat\":1}", "claim jti is empty, too long"},
    {"{\"jti\":\"a\\tb\",\"iss\":\"s\",\"iat\":1}", "claim jti is empty, too long, or holds"},
    {"{\"jti\":\"a\\u0000b\",\"iss\":\"s\",\"iat\":1}", "NUL"},
    {"{\"jti\":\"i\",\"iss\":\"\",\"iat\":1}", "claim iss is empty"},
    {"{\"jti\":\"i\",\"iss\":[\"s\"],\"iat\":1}", "claim iss is no text"},
    {"{" NEEDED ",\"sub\":1}", "claim sub is no text"},
    {"{\"jti\":\"i\",\"iss\":\"s\",\"iat\":\"1\"}", "claim iat is no whole number"},
    {"{\"jti\":\"i\",\"iss\":\"s\",\"iat\":1.0}", "claim iat is no whole number"},
    {"{\"jti\":\"i\",\"iss\":\"s\",\"iat\":1e3}", "claim iat is no whole number"},
    {"{\"jti\":\"i\",\"iss\":\"s\",\"iat\":-1}", "claim iat is out of range"},
    {"{" NEEDED ",\"nbf\":null}", "claim nbf is no whole number"},
    {"{" NEEDED ",\"exp\":253402300800}", "claim exp is out of range"},
    {"{" NEEDED ",\"cnf\":\"x\"}", "claim cnf is no object"},
    {"{" NEEDED ",\"cnf\":{}}", "claim cnf.jkt is missing"},
    {"{" NEEDED ",\"cnf\":{\"jkt\":1}}", "claim cnf.jkt is no thumbprint"},
    {"{" NEEDED ",\"cnf\":{\"jkt\":\"ZsXBia-CcHnrgB681OPys-HwnKYa5clfeI0ukWI0QP\"}}",
	"claim cnf.jkt is no thumbprint"},
    {"{" NEEDED ",\"cnf\":{\"jkt\":\"ZsXBia-CcHnrgB681OPys-HwnKYa5clfeI0ukWI0QPR\"}}",
	"claim cnf.jkt is no thumbprint"},
    {"{" NEEDED ",\"cnf\":{\"jkt\":\"ZsXBia+CcHnrgB681OPys+HwnKYa5clfeI0ukWI0QPQ\"}}",
	"claim cnf.jkt is no thumbprint"},
    {"{" NEEDED ",\"key_id\":7}", "claim key_id is no text"},
    {"{" NEEDED ",\"title\":7}", "claim title is neither text nor object"},
    {"{" NEEDED ",\"title\":\"\"}", "claim title is empty"},
    {"{" NEEDED ",\"title\":{}}", "claim title is empty"},
    {"{" NEEDED ",\"title\":{\"en\":1}}", "a member that is no text"},
    {"{" NEEDED ",\"title\":{\"en\":\"\"}}", "a member that is no text"},
    {"{" NEEDED ",\"title\":{\"\":\"x\"}}", "no language tag"},
    {"{" NEEDED ",\"title\":{\"en_GB\":\"x\"}}", "no language tag"},
    {"{" NEEDED ",\"title\":{\"en-\":\"x\"}}", "no language tag"},
    {"{" NEEDED ",\"title\":{\"-en\":\"x\"}}", "no language tag"},
    {"{" NEEDED ",\"title\":{\"en--GB\":\"x\"}}", "no language tag"},
    {"{" NEEDED ",\"title\":{\"en-abcdefghi\":\"x\"}}", "no language tag"},
    {"{" NEEDED ",\"title\":{\"en-aaaaaaaa-bbbbbbbb-cccccccc-ddddddd\":\"x\"}}",
	"no language tag"},
    {"{" NEEDED ",\"actions\":[]}", "claim actions is no object"},
    {"{" NEEDED ",\"actions\":{\"Play\":{}}}", "malformed name"},
    {"{" NEEDED ",\"actions\":{\"\":{}}}", "malformed name"},
    {"{" NEEDED ",\"actions\":{\"" T16 T16 "\":{}}}", "malformed name"},
    {"{" NEEDED ",\"actions\":{\"play\":3}}", "claim actions.play is no object"},
    {"{" BOUND ",\"actions\":{\"play\":{\"count\":0}}}", "claim actions.play.count is out of"},
    {"{" BOUND ",\"actions\":{\"play\":{\"count\":9007199254740992}}}", "play.count is out of"},
    {"{" BOUND ",\"actions\":{\"play\":{\"count\":\"3\"}}}", "play.count is no whole number"},
    {"{" BOUND ",\"actions\":{\"play\":{\"count\":null}}}", "play.count is no whole number"},
    {"{" NEEDED ",\"actions\":{\"play\":{\"period\":0}}}", "play.period is out of range"},
    {"{" NEEDED ",\"actions\":{\"play\":{\"period\":1.5}}}", "play.period is no whole number"},
    {"{" NEEDED ",\"actions\":{\"play\":{\"count\":1}}}",
	"claim cnf is missing, and there are"},
    {"{" BOUND
     ",\"actions\":{\"a\":{\"count\":1},\"b\":{\"count\":1},\"c\":{\"count\":1},\"d\":{"
     "\"count\":1},\"e\":{\"count\":1},\"f\":{\"count\":1},\"g\":{\"count\":1},\"h\":{"
     "\"count\":1},\"i\":{\"count\":1}}}",
	"too many counted actions"},
    {"{" NEEDED ",\"actions\":{\"a\":{},\"b\":{},\"c\":{},\"d\":{},\"e\":{},\"f\":{},\"g\":{},"
     "\"h\":{},\"i\":{},\"j\":{},\"k\":{},\"l\":{},\"m\":{},\"n\":{},\"o\":{},\"p\":{},\"q\":"
     "{}}}",
	"claim actions has too many members"},
    {"{" NEEDED ",\"backup\":\"yes\"}", "claim backup is neither"},
    {"{" NEEDED ",\"backup\":1}", "claim backup is neither"},
    {"{" NEEDED ",\"service\":true}", "claim service is no text"},
    {"{" NEEDED ",\"service\":\"ftp://x/\"}", "claim service is no address"},
    {"{" NEEDED ",\"service\":\"https://\"}", "claim service is no address"},
    {"{" NEEDED ",\"service\":\"https://a b/\"}", "claim service is no address"},
    {"{" NEEDED ",\"service\":\"https://" T128 T128 T128 T128 "\"}",
	"claim service is empty, too"},
    {"{" NEEDED ",\"computers\":4}", "claim computers stands without"},
    {"{" NEEDED ",\"service\":\"https://a\",\"computers\":0}",
	"claim computers is out of range"},
    {"{" NEEDED ",\"service\":\"https://a\",\"computers\":1000001}",
	"computers is out of range"},
    {"{" NEEDED ",\"priority\":2147483648}", "claim priority is out of range"},
    {"{" NEEDED ",\"priority\":-2147483649}", "claim priority is out of range"},
    {"{" NEEDED ",\"root_key_id\":{}}", "claim root_key_id is no text"},
    {"{" BOUND ",\"content_key\":7}", "claim content_key is no text"},
    {"{" BOUND ",\"content_key\":\"\"}", "claim content_key is no compact JWE"},
    {"{" BOUND ",\"content_key\":\"a.b.c.d\"}", "claim content_key is no compact JWE"},
    {"{" BOUND ",\"content_key\":\"a.b.c.d.e.f\"}", "claim content_key is no compact JWE"},
    {"{" BOUND ",\"content_key\":\"a.b.c.d.e \"}", "claim content_key is no compact JWE"},
    {"{" NEEDED ",\"content_key\":\"a.b.c.d.e\"}", "claim cnf is missing, and there is a"},
    {"{" NEEDED ",\"crit\":[]}", "claims: crit is no list"},
    {"{" NEEDED ",\"crit\":\"exp\"}", "claims: crit is no list"},
    {"{" NEEDED ",\"crit\":[\"exp\",1]}", "claims: crit is no list"},
};

static void test_refused(void **state)
{
	struct reading reading;

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		read_claims(&reading, HEADER, refused[i].claims);
		if (reading.code != RH_E_LICENSE_INVALID ||
		    strstr(reading.error.text, refused[i].text) == NULL)
			fail_msg("%s: %s", refused[i].claims, reading.error.text);
	}
}

static void test_malformed_key_ids(void **state)
{
	static const char *const bad[] = {
	    "", "a b", "AAAAAAAAAAAAAAAAAAAAAB==", "a\\u0001", T128};
	struct reading reading;
	char claims[512];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		for (int k = 0; k < 2; k++) {
			const char *name = k == 0 ? "key_id" : "root_key_id";

			snprintf(
			    claims, sizeof claims, "{" NEEDED ",\"%s\":\"%s\"}", name, bad[i]);
			read_claims(&reading, HEADER, claims);
			assert_int_equal(reading.code, RH_E_LICENSE_KEY_ID);
			assert_non_null(strstr(reading.error.text, name));
		}
	}
}

static void test_critical(void **state)
{
	struct reading reading;

	(void)state;
	read_claims(&reading, HEADER, "{" NEEDED ",\"crit\":[\"exp\",\"jti\",\"crit\"]}");
	assert_int_equal(reading.code, RH_OK);
	read_claims(&reading, HEADER, "{" NEEDED ",\"crit\":[\"exp\",\"later\"]}");
	assert_int_equal(reading.code, RH_E_LICENSE_CRITICAL);
	/* It goes before claims that may be other than they were. */
	read_claims(&reading, HEADER, "{\"crit\":[\"later\"]}");
	assert_int_equal(reading.code, RH_E_LICENSE_CRITICAL);
}

static void nest(char claims[128], size_t depth)
{
	int n = sprintf(claims, "{" NEEDED ",\"x\":\"[[[[[[[[[[[[[[[[[[\\\"[\",\"y\":");

	for (size_t i = 1; i < depth; i++)
		claims[n++] = '[';
	for (size_t i = 1; i < depth; i++)
		claims[n++] = ']';
	strcpy(claims + n, "}");
}

static void test_nesting(void **state)
{
	struct reading reading;
	char claims[128];

	(void)state;
	nest(claims, 16);
	read_claims(&reading, HEADER, claims);
	assert_int_equal(reading.code, RH_OK);
	nest(claims, 17);
	read_claims(&reading, HEADER, claims);
	assert_int_equal(reading.code, RH_E_LICENSE_INVALID);
	assert_non_null(strstr(reading.error.text, "claims: values are nested too deep"));
}

/* ---- The form ---- */

static void test_headers(void **state)
{
	static const struct {
		const char *header;
		int code;
		const char *text;
	} table[] = {
	    {"", RH_E_LICENSE_INVALID, "header: line 1"},
	    {"[]", RH_E_LICENSE_INVALID, "header: no JSON object"},
	    {"{}", RH_E_LICENSE_INVALID, "member typ is missing"},
	    {"{\"typ\":\"JWT\"}", RH_E_LICENSE_FORMAT, "member typ of its header"},
	    {"{\"typ\":\"rehost-license+jwt\"}", RH_E_LICENSE_INVALID, "member alg is missing"},
	    {"{\"typ\":\"rehost-license+jwt\",\"alg\":\"none\"}", RH_E_LICENSE_INVALID,
		"member alg is not ES256"},
	    {"{\"typ\":\"rehost-license+jwt\",\"alg\":\"ES256\"}", RH_E_LICENSE_INVALID,
		"member kid is missing"},
	    {"{\"typ\":\"rehost-license+jwt\",\"alg\":\"ES256\",\"kid\":\"\"}",
		RH_E_LICENSE_INVALID, "member kid is empty"},
	    {"{\"typ\":\"rehost-license+jwt\",\"alg\":\"ES256\",\"kid\":\"" T128 "\"}",
		RH_E_LICENSE_INVALID, "member kid is empty, too long"},
	    {"{\"typ\":\"rehost-license+jwt\",\"typ\":\"rehost-license+jwt\"}",
		RH_E_LICENSE_INVALID, "a member stands twice"},
	    {"{\"typ\":\"rehost-license+jwt\",\"crit\":[]}", RH_E_LICENSE_INVALID,
		"header: crit is no list"},
	    {"{\"typ\":\"rehost-license+jwt\",\"crit\":[\"alg\"]}", RH_E_LICENSE_CRITICAL,
		"header: crit"},
	    {"{\"typ\":\"rehost-license+jwt\",\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
		RH_E_LICENSE_INVALID, "header: values are nested too deep"},
	    {HEADER, RH_OK, ""},
	    {" {\"typ\":\"rehost-license\\u002bjwt\",\"alg\":\"ES256\",\"kid\":\"k\",\"x\":[1]"
	     "}",
		RH_OK, ""},
	};
	struct reading reading;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		read_claims(&reading, table[i].header, "{" NEEDED "}");
		if (reading.code != table[i].code ||
		    strstr(reading.error.text, table[i].text) == NULL)
			fail_msg(
			    "%s: %d %s", table[i].header, reading.code, reading.error.text);
	}
}

/* A header of exactly the limit is read, and detected; one byte more is neither. */
static void test_long_header(void **state)
{
	struct reading reading;
	char header[4098];

	(void)state;
	for (int more = 0; more < 2; more++) {
		size_t size = 4096 + (size_t)more, end = size - strlen(HEADER) + 1,
		       document_size;
		char *text;

		memset(header, 'x', sizeof header);
		memcpy(header, "{\"x\":\"", 6);
		memcpy(header + end - 2, "\",", 2);
		strcpy(header + end, &HEADER[1]);
		assert_int_equal(strlen(header), size);
		text = make(header, "{" NEEDED "}", &document_size);
		reading_make(&reading, text, document_size, "signed", NULL);
		assert_int_equal(reading.code, more ? RH_E_LICENSE_INVALID : RH_OK);
		reading_make(&reading, text, document_size, NULL, NULL);
		assert_int_equal(reading.code, more ? RH_E_LICENSE_FORMAT : RH_OK);
		free(text);
	}
}

static void test_form(void **state)
{
	struct reading reading;
	size_t size;
	char *text = make(HEADER, "{" NEEDED "}", &size), *dot = memchr(text, '.', size);
	static const char *const bad[] = {
	    "\n", ".", "..", "...", "eyJ", "eyJ.e30.AA", "e30.e30."};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		reading_make(&reading, bad[i], strlen(bad[i]), "signed", NULL);
		assert_int_equal(reading.code, RH_E_LICENSE_INVALID);
		reading_make(&reading, bad[i], strlen(bad[i]), NULL, NULL);
		assert_int_equal(reading.code, RH_E_LICENSE_FORMAT);
	}
	reading_make(&reading, text, size, NULL, NULL);
	assert_int_equal(reading.code, RH_OK);
	/* A signature that leaves bits over, one that is short, claims that are no base64url.
	 */
	text[size - 1] = 'B';
	reading_make(&reading, text, size, NULL, NULL);
	assert_non_null(strstr(reading.error.text, "signature: no canonical base64url of 64"));
	reading_make(&reading, text, size - 2, NULL, NULL);
	assert_non_null(strstr(reading.error.text, "signature: no canonical base64url of 64"));
	text[size - 1] = 'A';
	dot[1] = '+';
	reading_make(&reading, text, size, NULL, NULL);
	assert_non_null(strstr(reading.error.text, "claims: no canonical base64url"));
	free(text);
}

/* ---- Titles ---- */

static void check_title(const char *title, const char *language, const char *expected)
{
	struct reading reading;
	char claims[2048], text[512];

	snprintf(claims, sizeof claims, "{" NEEDED ",\"title\":%s}", title);
	read_claims(&reading, HEADER, claims);
	if (reading.code != RH_OK)
		fail_msg("%s: %s", title, reading.error.text);
	license_title(&reading.license, language, text, sizeof text);
	if (strcmp(text, expected) != 0)
		fail_msg("%s in \"%s\": %s", title, language, text);
}

static void test_titles(void **state)
{
	static const char many[] =
	    "{\"fr\":\"f\",\"en-GB\":\"g\",\"EN\":\"e\",\"de\":\"d\",\"de-Latn-AT\":\"a\","
	    "\"zh-Hant\":\"z\",\"sr-x-a\":\"s\",\"pt-BR\":\"\\\"p\\\\\"}";
	static const struct {
		const char *title, *language, *expected;
	} table[] = {
	    {"\"Songs\"", "de", "Songs"},
	    {"\"{\\\"en\\\":\\\"x\\\"}\"", "en", "{\"en\":\"x\"}"},
	    {"\"{\"", "", "{"},
	    {many, "", "e"},
	    {many, "it", "e"},
	    {many, "en", "e"},
	    {many, "en-us", "e"},
	    {many, "en-gb-oed", "g"},
	    {many, "fr-CA", "f"},
	    {many, "de", "d"},
	    {many, "de-AT", "d"},
	    {many, "DE-LATN-AT", "a"},
	    {many, "de-Latn-AT-1996", "a"},
	    {many, "de-Latn", "d"},
	    {many, "zh-Hant-CN-x-private1-private2", "z"},
	    {many, "zh", "e"},
	    {many, "sr-x-a", "s"},
	    {many, "sr-x-b", "e"},
	    {many, "pt-BR", "\"p\\"},
	    {many, "pt", "e"},
	    {many, "-", "e"},
	    {many, "--fr", "e"},
	    {many, "fr-", "f"},
	    {many, "*", "e"},
	    {many, "fr-" T128, "e"},
	    {"{\"fr\":\"f\",\"de\":\"d\"}", "it", "f"},
	    {"{\"fr\":\"f\",\"en-AU\":\"a\"}", "it", "a"},
	    {"{\"fr\":\"f\",\"eng\":\"x\"}", "it", "f"},
	    {"{\"fr\":\"a\\u0007b\"}", "fr", "a b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		check_title(table[i].title, table[i].language, table[i].expected);
}

/* Of every length around the limit a title is whole, or left out, or (the first) cut. */
static void test_title_lengths(void **state)
{
	struct license license;
	struct reading reading;
	char claims[2048], text[600], shorter[4];

	(void)state;
	for (int length = 470; length < 530; length++) {
		snprintf(claims, sizeof claims,
		    "{" NEEDED ",\"title\":{\"de\":\"%0*d\",\"en\":\"\xc3\xa9\\\"\"}}", length,
		    7);
		read_claims(&reading, HEADER, claims);
		assert_int_equal(reading.code, RH_OK);
		license = reading.license;
		license_title(&license, "de", text, sizeof text);
		/* {"en":"\u00e9\"","de":"..."} takes 21 characters beside the German text. */
		assert_int_equal(strlen(text), length <= 490 ? length : 3);
		assert_int_equal(strlen(license.title), length <= 490 ? length + 21 : 13);
		/* Alone it is cut at a character. */
		snprintf(claims, sizeof claims,
		    "{" NEEDED ",\"title\":{\"de\":\"%0*d\xc3\xa9\\\"\"}}", length, 7);
		read_claims(&reading, HEADER, claims);
		assert_int_equal(reading.code, RH_OK);
		assert_true(strlen(reading.license.title) <= 511);
		license_title(&reading.license, "", text, sizeof text);
		assert_true(strlen(text) >= (size_t)(length < 502 ? length : 502));
		license_title(&reading.license, "", shorter, sizeof shorter);
		assert_string_equal(shorter, "000");
	}
}

/* Other formats' titles are text, whatever they look like. */
static void test_other_formats(void **state)
{
	struct license license = {.title = "{\"en\":\"x\"}", .format = "wmdrm"};
	char text[32];

	(void)state;
	license_title(&license, "en", text, sizeof text);
	assert_string_equal(text, license.title);
	/* A record that was damaged still gives text. */
	license.format = "signed";
	for (size_t i = 0; i < 11; i++) {
		memcpy(license.title, "{\"en\":\"x\"}", 11);
		license.title[i] = '\0';
		license_title(&license, "en", text, sizeof text);
		assert_string_equal(text, i >= 9 ? "x" : license.title);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_malformed_key_ids),
	    cmocka_unit_test(test_critical),
	    cmocka_unit_test(test_nesting),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_long_header),
	    cmocka_unit_test(test_form),
	    cmocka_unit_test(test_titles),
	    cmocka_unit_test(test_title_lengths),
	    cmocka_unit_test(test_other_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
