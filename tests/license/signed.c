#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vectors.h"

/* Signed licences with a trust: every vector, and that no edited one passes. */

#define COMPUTER "ZsXBia-CcHnrgB681OPys-HwnKYa5clfeI0ukWI0QPQ"
#define KEY_ID "af638f67-a4bc-f148-11fd-afc2d7760e9f"
#define SECRET "\x00\x01Rehost vector, secret.\xff"
#define SECRET_SIZE (sizeof SECRET - 1)
#define ISSUED 1795359600

static struct vectors vectors;

static int set_up(void **state)
{
	(void)state;
	vectors_open(&vectors);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	vectors_close(&vectors);
	return 0;
}

static void read_vector(
    struct reading *reading, const char *name, const struct license_trust *trust)
{
	char file[64], *text;
	size_t size;

	snprintf(file, sizeof file, "%s.jws", name);
	text = vectors_load(file, &size);
	reading_make(reading, text, size, NULL, trust);
	free(text);
}

/* ---- Good ones ---- */

/* "id|key id|title|service|not before|not
 * after|backup|class|computers|priority|root|bound|actions" */
static void describe(char text[2048], const struct reading *reading)
{
	const struct license *license = &reading->license;
	const struct license_rights *rights = &reading->rights;
	int n = snprintf(text, 2048, "%s|%s|%s|%s|%lld|%lld|%d|%d|%u|%d|%s|%d|", license->id,
	    license->key_id, license->title, license->service,
	    license->not_before == LICENSE_TIME_NONE ? 0
						     : (long long)license->not_before - ISSUED,
	    license->not_after == LICENSE_TIME_NONE ? 0
						    : (long long)license->not_after - ISSUED,
	    license->backup == LICENSE_YES, license_class(license), rights->computers,
	    rights->priority, rights->root, strcmp(rights->computer, COMPUTER) == 0);

	for (size_t i = 0; i < rights->action_count; i++) {
		const struct license_action *action = &rights->actions[i];

		n += snprintf(
		    text + n, 2048 - (size_t)n, "%s%s", i > 0 ? "," : "", action->name);
		if (action->count != LICENSE_UNLIMITED)
			n += snprintf(text + n, 2048 - (size_t)n, ":%llu",
			    (unsigned long long)action->count);
		if (action->period != 0)
			n += snprintf(
			    text + n, 2048 - (size_t)n, "+%lld", (long long)action->period);
	}
}

static const struct good {
	const char *name, *text;
	bool secret;
} good[] = {
    {"owned", "vector-1|" KEY_ID "|River songs||0|0|1|0|0|0||1|play", true},
    {"owned-line-feed", "vector-2|" KEY_ID "|River songs||0|0|1|0|0|0||1|play", false},
    {"managed", "vector-3|" KEY_ID "|River songs|https://licences.example/|0|0|1|1|4|0||1|play",
	true},
    {"counted",
	"vector-4|" KEY_ID "|River songs||0|86400|1|0|0|-7|Root-Key|1|"
	"play:3+3600,print:9007199254740991,copy.to-cd_2+60,read",
	false},
    {"restricted", "vector-5||||0|0|0|2|0|0||1|play", false},
    {"unbound", "vector-6|" KEY_ID "|River songs||0|0|1|0|0|0||0|", false},
    {"title",
	"vector-7|" KEY_ID
	"|{\"en\":\"River songs\",\"de-AT\":\"Flusslieder \\\\ \\\"neu\\\"\",\"en-GB\":"
	"\"River songs, mate\",\"zh-Hant\":\"\xe6\xb2\xb3\xe6\xad\x8c\",\"fr\":"
	"\"Chants de rivi\xc3\xa8re\"}||0|0|1|0|0|0||1|play",
	false},
    {"title-brace",
	"vector-9|" KEY_ID
	"|{\"\":\"{\\\"en\\\":\\\"not an object\\\"}\"}||0|0|1|0|0|0||1|play",
	false},
    {"unknown-claim", "vector-10|" KEY_ID "|River songs||0|0|1|0|0|0||1|play", false},
    {"guid",
	"vector-11|" KEY_ID
	"|River songs||0|0|1|0|0|0|e3136375-8010-bdb6-2d7b-6ef3903f055a|1|play",
	false},
    {"old-key", "vector-12|" KEY_ID "|River songs||0|0|1|0|0|0||1|play", false},
};

static void check_good(const struct good *row, const struct license_trust *trust)
{
	struct reading reading;
	char text[2048];

	read_vector(&reading, row->name, trust);
	if (reading.code != RH_OK)
		fail_msg("%s: %s", row->name, reading.error.text);
	describe(text, &reading);
	assert_string_equal(text, row->text);
	assert_string_equal(reading.license.format, "signed");
	assert_string_equal(reading.license.issuer, "Tidewater Music");
	assert_int_equal(reading.license.issued, ISSUED);
	assert_true(reading.has_rights && !reading.rights.vague);
	if (trust != NULL && !trust->moved && row->secret) {
		assert_int_equal(reading.secret.size, SECRET_SIZE);
		assert_memory_equal(reading.secret.data, SECRET, SECRET_SIZE);
	} else {
		assert_int_equal(reading.secret.size, 0);
	}
	buffer_free_secret(&reading.secret);
}

static void test_good(void **state)
{
	struct license_trust moved = vectors.trust;

	(void)state;
	moved.moved = true;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		check_good(&good[i], &vectors.trust);
		check_good(&good[i], &moved);
		check_good(&good[i], NULL);
	}
}

static void test_counts_of_record(void **state)
{
	struct reading reading;

	(void)state;
	read_vector(&reading, "counted", &vectors.trust);
	assert_int_equal(reading.code, RH_OK);
	assert_int_equal(reading.license.count_count, 2);
	assert_string_equal(reading.license.counts[0].action, "play");
	assert_int_equal(reading.license.counts[0].remaining, 3);
	assert_string_equal(reading.license.counts[1].action, "print");
	assert_true(reading.license.counts[1].remaining == UINT64_C(9007199254740991));
}

static void test_long_title(void **state)
{
	struct reading reading;

	(void)state;
	read_vector(&reading, "title-long", &vectors.trust);
	assert_int_equal(reading.code, RH_OK);
	assert_int_equal(strlen(reading.license.title), 6 * 60 + 9 + 13);
	assert_memory_equal(reading.license.title, "{\"en\":\"River River", 17);
	assert_non_null(strstr(reading.license.title, "River \",\"it\":\"Canti\"}"));
}

static int stop(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	(void)license;
	(void)rights;
	return error_set(error, RH_E_CANCELED, "%s", (const char *)context);
}

/* What an earlier document left in the buffer does not stay; what the sink says is the result.
 */
static void test_secret_is_cleared(void **state)
{
	static char why[] = "stopped";
	struct buffer secret = {0};
	size_t size;
	char *text = vectors_load("old-key.jws", &size);
	const struct license_document document = {.data = (const uint8_t *)text,
	    .size = size,
	    .trust = &vectors.trust,
	    .secret = &secret};
	rh_error error;

	(void)state;
	assert_int_equal(buffer_append(&secret, "x", 1, &error), RH_OK);
	assert_int_equal(license_read(&document, stop, why, &error), RH_E_CANCELED);
	assert_string_equal(error.text, why);
	assert_int_equal(secret.size, 0);
	free(text);
	buffer_free_secret(&secret);
}

/* ---- Bad ones ---- */

static const struct bad {
	const char *name;
	int code;
	const char *text;
	int moved; /* the code if it comes out of a backup */
} bad[] = {
    {"wrong-type", RH_E_LICENSE_INVALID, "claim exp is no whole number", RH_E_LICENSE_INVALID},
    {"no-object", RH_E_LICENSE_INVALID, "claims: no JSON object", RH_E_LICENSE_INVALID},
    {"member-twice", RH_E_LICENSE_INVALID, "claims: line 1, column", RH_E_LICENSE_INVALID},
    {"counted-unbound", RH_E_LICENSE_INVALID, "claim cnf is missing", RH_E_LICENSE_INVALID},
    {"content-key-no-jwe", RH_E_LICENSE_INVALID, "claim content_key is no compact JWE",
	RH_E_LICENSE_INVALID},
    {"key-id", RH_E_LICENSE_KEY_ID, "claim key_id", RH_E_LICENSE_KEY_ID},
    {"alg", RH_E_LICENSE_INVALID, "member alg is not ES256", RH_E_LICENSE_INVALID},
    {"typ", RH_E_LICENSE_FORMAT, "no known licence format", RH_E_LICENSE_FORMAT},
    {"crit-header", RH_E_LICENSE_CRITICAL, "header: crit", RH_E_LICENSE_CRITICAL},
    {"crit-claim", RH_E_LICENSE_CRITICAL, "claims: crit", RH_E_LICENSE_CRITICAL},
    {"issuer", RH_E_LICENSE_ISSUER, "issuer \"Tidewater Musik\" is not trusted",
	RH_E_LICENSE_ISSUER},
    {"key-unknown", RH_E_LICENSE_ISSUER, "member kid names no key", RH_E_LICENSE_ISSUER},
    {"signature", RH_E_LICENSE_SIGNATURE, "signature: not that", RH_E_LICENSE_SIGNATURE},
    {"edited", RH_E_LICENSE_SIGNATURE, "signature: not that", RH_E_LICENSE_SIGNATURE},
    {"computer", RH_E_LICENSE_COMPUTER, "claim cnf.jkt", RH_OK},
    {"expired", RH_E_LICENSE_EXPIRED, "claim exp", RH_OK},
    {"not-yet", RH_E_LICENSE_NOT_YET, "claim nbf", RH_OK},
    {"content-key-other", RH_E_LICENSE_CONTENT_KEY, "claim content_key", RH_OK},
    {"content-key-edited", RH_E_LICENSE_CONTENT_KEY, "claim content_key", RH_OK},
    {"content-key-alg", RH_E_LICENSE_CONTENT_KEY, "claim content_key", RH_OK},
    {"content-key-enc", RH_E_LICENSE_CONTENT_KEY, "claim content_key", RH_OK},
    {"content-key-zip", RH_E_LICENSE_CONTENT_KEY, "claim content_key", RH_OK},
    {"content-key-empty", RH_E_LICENSE_CONTENT_KEY, "claim content_key", RH_OK},
};

static void test_bad(void **state)
{
	struct license_trust moved = vectors.trust;
	struct reading reading;

	(void)state;
	moved.moved = true;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		read_vector(&reading, bad[i].name, &vectors.trust);
		if (reading.code != bad[i].code ||
		    strstr(reading.error.text, bad[i].text) == NULL)
			fail_msg("%s: %d %s", bad[i].name, reading.code, reading.error.text);
		read_vector(&reading, bad[i].name, &moved);
		if (reading.code != bad[i].moved)
			fail_msg(
			    "%s moved: %d %s", bad[i].name, reading.code, reading.error.text);
		/* Without a trust only its form counts. */
		read_vector(&reading, bad[i].name, NULL);
		assert_int_equal(reading.code,
		    bad[i].code >= RH_E_LICENSE_ISSUER && bad[i].code != RH_E_LICENSE_CRITICAL
			? RH_OK
			: bad[i].code);
	}
}

/* ---- Another trust ---- */

static void expect(const char *name, const struct license_trust *trust, int code)
{
	struct reading reading;

	read_vector(&reading, name, trust);
	if (reading.code != code)
		fail_msg("%s: %d %s", name, reading.code, reading.error.text);
	buffer_free_secret(&reading.secret);
}

static void test_edges_of_time(void **state)
{
	struct license_trust trust = vectors.trust;

	(void)state;
	trust.now = ISSUED - 1;
	expect("expired", &trust, RH_OK);
	trust.now = ISSUED;
	expect("expired", &trust, RH_E_LICENSE_EXPIRED);
	trust.now = ISSUED + 86399;
	expect("not-yet", &trust, RH_E_LICENSE_NOT_YET);
	expect("counted", &trust, RH_OK);
	trust.now = ISSUED + 86400;
	expect("not-yet", &trust, RH_OK);
	expect("counted", &trust, RH_E_LICENSE_EXPIRED);
}

static void test_nobody_is_trusted(void **state)
{
	struct license_trust trust = vectors.trust;

	(void)state;
	trust.issuer_count = 0;
	expect("owned", &trust, RH_E_LICENSE_ISSUER);
	trust.moved = true;
	expect("owned", &trust, RH_E_LICENSE_ISSUER);
}

static void test_no_computer(void **state)
{
	struct license_trust trust = vectors.trust;

	(void)state;
	trust.computer = NULL;
	expect("owned", &trust, RH_E_LICENSE_COMPUTER);
	expect("unbound", &trust, RH_OK);
	trust.moved = true;
	expect("owned", &trust, RH_OK);
}

/* A key that only encrypts signs nothing. */
static void test_key_does_not_sign(void **state)
{
	struct license_trust trust = vectors.trust;
	struct license_issuer issuer = vectors.issuer;
	struct jose_set set = vectors.keys;

	(void)state;
	for (size_t i = 0; i < set.count; i++)
		set.keys[i].signs = strcmp(set.keys[i].id, "2026") != 0;
	issuer.keys = &set;
	trust.issuers = &issuer;
	expect("owned", &trust, RH_E_LICENSE_ISSUER);
	expect("old-key", &trust, RH_OK);
}

/* ---- Edits ---- */

/* Each of the ${size} bytes as each of the 255 others. */
static void test_every_byte(void **state)
{
	struct license_trust moved = vectors.trust;
	struct reading reading;
	size_t size;
	char *text = vectors_load("owned-line-feed.jws", &size);

	(void)state;
	moved.moved = true;
	for (size_t i = 0; i < size; i++) {
		char old = text[i];

		for (int value = 0; value < 256; value++) {
			if (value == (unsigned char)old)
				continue;
			text[i] = (char)value;
			reading_make(&reading, text, size, NULL, &moved);
			if (reading.code == RH_OK)
				fail_msg("byte %zu may be %d", i, value);
		}
		text[i] = old;
	}
	reading_make(&reading, text, size, NULL, &moved);
	assert_int_equal(reading.code, RH_OK);
	free(text);
}

/* A byte more or a byte less, anywhere; only the line feed at the end is free. */
static void test_insertions(void **state)
{
	static const char extra[] = " \t\r\n\0.=A-+\xef";
	struct reading reading;
	size_t size;
	char *text = vectors_load("owned.jws", &size), *other = malloc(size + 1);

	(void)state;
	assert_non_null(other);
	for (size_t i = 0; i <= size; i++) {
		memcpy(other, text, i);
		memcpy(other + i + 1, text + i, size - i);
		for (size_t k = 0; k < sizeof extra - 1; k++) {
			other[i] = extra[k];
			reading_make(&reading, other, size + 1, NULL, &vectors.trust);
			if ((reading.code == RH_OK) != (i == size && extra[k] == '\n'))
				fail_msg("byte %d at %zu: %d", extra[k], i, reading.code);
			buffer_free_secret(&reading.secret);
		}
		if (i == size)
			break;
		memcpy(other + i, text + i + 1, size - i - 1);
		reading_make(&reading, other, size - 1, NULL, &vectors.trust);
		assert_int_not_equal(reading.code, RH_OK);
	}
	free(other);
	free(text);
}

/* Cut off anywhere, with and without a look at the signature. */
static void test_cut(void **state)
{
	struct reading reading;
	size_t size;
	char *text = vectors_load("owned.jws", &size);

	(void)state;
	for (size_t i = 0; i < size; i++) {
		reading_make(&reading, text, i, "signed", NULL);
		assert_int_equal(reading.code, RH_E_LICENSE_INVALID);
		reading_make(&reading, text, i, "signed", &vectors.trust);
		assert_int_equal(reading.code, RH_E_LICENSE_INVALID);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_counts_of_record),
	    cmocka_unit_test(test_long_title),
	    cmocka_unit_test(test_secret_is_cleared),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_edges_of_time),
	    cmocka_unit_test(test_nobody_is_trusted),
	    cmocka_unit_test(test_no_computer),
	    cmocka_unit_test(test_key_does_not_sign),
	    cmocka_unit_test(test_every_byte),
	    cmocka_unit_test(test_insertions),
	    cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
