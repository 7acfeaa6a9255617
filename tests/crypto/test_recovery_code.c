#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "crypto/recovery_code.h"

#define GROUPS RECOVERY_CODE_GROUPS
#define LENGTH (GROUPS * 5)

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* The code without its dashes. */
static void plain_code(char text[LENGTH + 1], const struct age_identity *identity)
{
	char code[RECOVERY_CODE_SIZE];

	recovery_code_format(code, identity);
	assert_int_equal(strlen(code), RECOVERY_CODE_SIZE - 1);
	for (size_t group = 0; group < GROUPS; group++) {
		memcpy(text + group * 5, code + group * 6, 5);
		assert_int_equal(code[group * 6 + 5], group < GROUPS - 1 ? '-' : '\0');
	}
	text[LENGTH] = '\0';
}

static void assert_parses(const char *text, const struct age_identity *identity)
{
	struct age_identity read;
	rh_error error = {0};

	assert_int_equal(recovery_code_parse(&read, text, &error), RH_OK);
	assert_memory_equal(&read, identity, sizeof read);
}

static void assert_typing_error(const char *text, const char *words)
{
	struct age_identity read;
	rh_error error = {0};

	assert_int_equal(recovery_code_parse(&read, text, &error), RH_E_SECRET_TYPED);
	assert_int_equal(error.code, RH_E_SECRET_TYPED);
	assert_string_equal(error.text, words);
}

static void assert_bad_group(const char *text, size_t group)
{
	char words[80];

	snprintf(words, sizeof words, "the recovery code has a typing error in group %zu",
	    group + 1);
	assert_typing_error(text, words);
}

static void assert_bad_groups(const char *text, size_t first, size_t second)
{
	char words[80];

	snprintf(words, sizeof words, "the recovery code has a typing error in groups %zu, %zu",
	    first + 1, second + 1);
	assert_typing_error(text, words);
}

/* Frozen: a code on paper must be readable for ever. */
static void test_known(void **state)
{
	struct age_identity identity;
	uint8_t secret[AGE_KEY_SIZE];
	char code[RECOVERY_CODE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof secret; i++)
		secret[i] = (uint8_t)(i * 7 + 1);
	assert_int_equal(age_identity_from_secret(&identity, secret, NULL), RH_OK);
	recovery_code_format(code, &identity);
	assert_string_equal(code,
	    "0440R-Y5GX0-4GNKJ-4EA08-8X752-AQ33K-D9RQA-GZW6X-HPA9G-Q8N90-P2VV8-XHECP-TFD03");
	assert_parses(code, &identity);

	memset(secret, 0, sizeof secret);
	assert_int_equal(age_identity_from_secret(&identity, secret, NULL), RH_OK);
	recovery_code_format(code, &identity);
	/* Only alpha^(8 + group) is left. */
	assert_string_equal(code,
	    "0000D-0000T-0000H-00007-0000E-0000W-0000X-0000Z-0000V-0000K-00003-00006-0000C");
}

static void test_round_trip(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct age_identity identity;
		char code[RECOVERY_CODE_SIZE];

		assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
		recovery_code_format(code, &identity);
		assert_parses(code, &identity);
	}
}

static void test_lenient(void **state)
{
	struct age_identity identity;
	char code[LENGTH + 1], text[1000] = "";

	(void)state;
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	/* One that has zeros and ones to write otherwise. */
	identity.secret[3] = 0x02;
	identity.secret[4] = 0x10;
	assert_int_equal(age_identity_from_secret(&identity, identity.secret, NULL), RH_OK);
	plain_code(code, &identity);
	assert_parses(code, &identity);

	for (size_t i = 0; i < LENGTH; i++) {
		static const char *const between[] = {" ", "-", "\n", "\t", "  - ", "", "\r\n",
		    "\xe2\x80\x93", "\xc2\xa0", "\xe2\x88\x92"};
		char c = code[i];

		if (c == '0')
			c = i % 2 ? 'o' : 'O';
		else if (c == '1')
			c = "iIlL"[i % 4];
		else if (c >= 'A' && i % 2)
			c = (char)(c - 'A' + 'a');
		strcat(text, between[i % 10]);
		strncat(text, &c, 1);
	}
	assert_parses(text, &identity);
}

static void test_single_errors(void **state)
{
	struct age_identity identity;
	char code[LENGTH + 1];

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
		plain_code(code, &identity);
		for (size_t i = 0; i < LENGTH; i++) {
			char right = code[i];

			for (const char *p = alphabet; *p != '\0'; p++) {
				code[i] = *p;
				if (*p != right)
					assert_bad_group(code, i / 5);
			}
			for (const char *p = "Uu!\x01\x7f"; *p != '\0'; p++) {
				code[i] = *p;
				assert_bad_group(code, i / 5);
			}
			code[i] = right;
		}
		assert_parses(code, &identity);
	}
}

static void swap(char *a, char *b)
{
	char c = *a;

	*a = *b;
	*b = c;
}

/* All pairs of values at all pairs of places, so also those that are not adjacent. */
static void test_transpositions(void **state)
{
	struct age_identity identity;
	char code[LENGTH + 1];

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
		plain_code(code, &identity);
		for (size_t a = 0; a < LENGTH; a++) {
			for (size_t b = a + 1; b < LENGTH; b++) {
				if (code[a] == code[b])
					continue;
				swap(&code[a], &code[b]);
				if (a / 5 == b / 5)
					assert_bad_group(code, a / 5);
				else
					assert_bad_groups(code, a / 5, b / 5);
				swap(&code[a], &code[b]);
			}
		}
	}
}

/* Every group of every value is found at every wrong place. */
static void test_swapped_groups(void **state)
{
	struct age_identity identity;
	char code[LENGTH + 1], swapped[LENGTH + 1];

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
		plain_code(code, &identity);
		for (size_t a = 0; a < GROUPS; a++) {
			for (size_t b = a + 1; b < GROUPS; b++) {
				memcpy(swapped, code, sizeof code);
				memcpy(swapped + a * 5, code + b * 5, 5);
				memcpy(swapped + b * 5, code + a * 5, 5);
				assert_bad_groups(swapped, a, b);
			}
		}
	}
}

static void test_length(void **state)
{
	struct age_identity identity;
	char code[LENGTH + 3];

	(void)state;
	assert_typing_error("", "the recovery code has 0 characters rather than 65");
	assert_typing_error(" - ", "the recovery code has 0 characters rather than 65");
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	plain_code(code, &identity);
	strcat(code, "7");
	assert_typing_error(code, "the recovery code has 66 characters rather than 65");
	code[LENGTH - 1] = '\0';
	assert_typing_error(code, "the recovery code has 64 characters rather than 65");
	/* A character of more than one byte is one character, and a wrong one. */
	strcat(code, "\xc3\xa4");
	assert_bad_group(code, GROUPS - 1);
}

static void assert_key(const char *text, const struct age_identity *identity)
{
	struct age_identity read;

	assert_int_equal(recovery_key_parse(&read, text, NULL), RH_OK);
	assert_memory_equal(&read, identity, sizeof read);
}

static void test_recovery_key(void **state)
{
	struct age_identity identity, read;
	char key[AGE_TEXT_SIZE], code[RECOVERY_CODE_SIZE], text[400];

	(void)state;
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	age_identity_format(key, &identity);
	recovery_code_format(code, &identity);
	assert_key(key, &identity);
	assert_key(code, &identity);
	snprintf(text, sizeof text, "# created: 2026\r\n# public key: age1\r\n  %s\r\n", key);
	assert_key(text, &identity);
	snprintf(text, sizeof text, "\n# mine\n%s\n# end", key);
	assert_key(text, &identity);
	snprintf(text, sizeof text, "# paper\n%s\n", code);
	assert_key(text, &identity);

	snprintf(text, sizeof text, "%s\n%s\n", key, key);
	assert_int_equal(recovery_key_parse(&read, text, NULL), RH_E_SECRET_TYPED);
	snprintf(text, sizeof text, "%sQ", key);
	assert_int_equal(recovery_key_parse(&read, text, NULL), RH_E_SECRET_TYPED);
	key[20] = key[20] == 'Q' ? 'P' : 'Q';
	assert_int_equal(recovery_key_parse(&read, key, NULL), RH_E_SECRET_TYPED);
	assert_int_equal(recovery_key_parse(&read, "", NULL), RH_E_SECRET_TYPED);
	assert_int_equal(recovery_key_parse(&read, "# only this", NULL), RH_E_SECRET_TYPED);
	assert_int_equal(recovery_key_parse(&read, "age-secret-key-", NULL), RH_E_SECRET_TYPED);
}

/* What was typed stays out of the sentence. */
static void test_no_secret_in_text(void **state)
{
	struct age_identity identity, read;
	char code[RECOVERY_CODE_SIZE];
	rh_error error = {0};

	(void)state;
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	recovery_code_format(code, &identity);
	code[0] = code[0] == '7' ? '8' : '7';
	assert_int_equal(recovery_key_parse(&read, code, &error), RH_E_SECRET_TYPED);
	for (size_t group = 0; group < GROUPS; group++) {
		char part[6] = "";

		memcpy(part, code + group * 6, 5);
		assert_null(strstr(error.text, part));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_lenient),
	    cmocka_unit_test(test_single_errors),
	    cmocka_unit_test(test_transpositions),
	    cmocka_unit_test(test_swapped_groups),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_recovery_key),
	    cmocka_unit_test(test_no_secret_in_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
