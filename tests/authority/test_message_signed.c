/* Signed statements and grants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/merkle.h"
#include "authority/message.h"

#define SERVICE "https://licences.example/lms"
#define COMPUTER "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define OTHER "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
/* PROTOCOL.md: of the recovery key 00 01 ... 1f at this service. */
#define RELEASE_THUMBPRINT "YF0SqlHeKB17t96y2zx-8AsEwAeIA_IX_pYYdyAsjHg"
#define NONCE "nonce-1"

static struct jose_key *service_key, *computer_key;
static struct jose_set keys, no_keys;
static uint8_t leaves[5][DIGEST_SIZE];
#define LEAVES ((const uint8_t(*)[DIGEST_SIZE])leaves)

static int make_keys(void **state)
{
	uint8_t secret[KEY_SIZE] = {1};
	char set[1024];

	(void)state;
	if (jose_key_private(secret, &service_key, NULL) != RH_OK)
		return -1;
	secret[0] = 2;
	if (jose_key_private(secret, &computer_key, NULL) != RH_OK)
		return -1;
	snprintf(set, sizeof set, "{\"keys\":[%s,%s]}", jose_key_jwk(computer_key),
	    jose_key_jwk(service_key));
	for (size_t i = 0; i < 5; i++)
		leaves[i][0] = (uint8_t)i;
	return jose_set_read(&keys, set, strlen(set), NULL, NULL);
}

static int free_keys(void **state)
{
	(void)state;
	jose_key_free(service_key);
	jose_key_free(computer_key);
	jose_set_free(&keys);
	return 0;
}

/* ---- Every statement, signed and checked ---- */

struct asked { /* what a check is asked for */
	const char *service;
	const char *computer;
	const char *nonce;
	const struct jose_set *keys;
};
static const struct asked right = {SERVICE, COMPUTER, NONCE, &keys};

static int sign_certificate(char **ret)
{
	return certificate_sign(service_key, SERVICE, COMPUTER, 1700000000, ret, NULL);
}

static int check_certificate(const char *text, const struct asked *asked, rh_error *error)
{
	return certificate_check(text, asked->keys, asked->service, asked->computer, error);
}

static int sign_head(char **ret)
{
	static const struct head head = {5, {7}, 9, 0};

	return head_sign(service_key, SERVICE, &head, ret, NULL);
}

static int check_head(const char *text, const struct asked *asked, rh_error *error)
{
	struct head head = {0};
	int code = head_check(text, asked->keys, asked->service, &head, error);

	assert_true(head.seq == (code == RH_OK ? 5 : 0));
	assert_true(head.hash[0] == (code == RH_OK ? 7 : 0));
	assert_true(head.time == (code == RH_OK ? 9 : 0));
	return code;
}

static int sign_grants(char **ret)
{
	return grants_sign(service_key, SERVICE, COMPUTER, 1700000000, LEAVES, 5, ret, NULL);
}

static int check_grants(const char *text, const struct asked *asked, rh_error *error)
{
	return grants_check(
	    text, asked->keys, asked->service, asked->computer, LEAVES, 5, error);
}

static int sign_claim(char **ret)
{
	return claim_sign(computer_key, SERVICE, COMPUTER, ret, NULL);
}

/* A thumbprint is told if the statement is good, and is not touched else. */
static int told(int code, const char *thumbprint, const char *expected)
{
	assert_string_equal(thumbprint, code == RH_OK ? expected : "");
	return code;
}

static int check_claim(const char *text, const struct asked *asked, rh_error *error)
{
	char who[JOSE_THUMBPRINT_SIZE] = "";
	int code = claim_check(text, asked->service, asked->computer, who, error);

	return told(code, who, jose_key_thumbprint(computer_key));
}

static int sign_owner(char **ret)
{
	return owner_sign(computer_key, SERVICE, OTHER, ret, NULL);
}

static int check_owner(const char *text, const struct asked *asked, rh_error *error)
{
	char who[JOSE_THUMBPRINT_SIZE] = "", release[JOSE_THUMBPRINT_SIZE] = "";
	int code = owner_check(text, asked->service, who, release, error);

	told(code, release, OTHER);
	return told(code, who, jose_key_thumbprint(computer_key));
}

static int sign_release(char **ret)
{
	return release_sign(computer_key, SERVICE, COMPUTER, NONCE, ret, NULL);
}

static int check_release(const char *text, const struct asked *asked, rh_error *error)
{
	char who[JOSE_THUMBPRINT_SIZE] = "";
	int code =
	    release_check(text, asked->service, asked->computer, asked->nonce, who, error);

	return told(code, who, jose_key_thumbprint(computer_key));
}

static const struct statement {
	const char *type;
	bool service; /* signed by the service */
	bool computer, nonce; /* whether it names one */
	int (*sign)(char **ret);
	int (*check)(const char *text, const struct asked *asked, rh_error *error);
} statements[] = {
    {TYPE_COMPUTER, true, true, false, sign_certificate, check_certificate},
    {TYPE_HEAD, true, false, false, sign_head, check_head},
    {TYPE_GRANTS, true, true, false, sign_grants, check_grants},
    {TYPE_CLAIM, false, true, false, sign_claim, check_claim},
    {TYPE_OWNER, false, false, false, sign_owner, check_owner},
    {TYPE_RELEASE, false, true, true, sign_release, check_release},
};
#define STATEMENTS (sizeof statements / sizeof *statements)

static char *signed_text(const struct statement *statement)
{
	char *text = NULL;

	assert_int_equal(statement->sign(&text), RH_OK);
	return text;
}

static void assert_code(
    const struct statement *statement, const char *text, struct asked asked, int expected)
{
	rh_error error = {0};
	int code = statement->check(text, &asked, &error);

	if (code != expected || error.code != code)
		fail_msg("%s: %d %s", statement->type, code, error.text);
}

static void test_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct statement *s = &statements[i];
		char *text = signed_text(s);
		struct asked asked = right;

		assert_code(s, text, right, RH_OK);
		asked.service = "https://licences.example/lms2";
		assert_code(s, text, asked, RH_E_LICENSE_INVALID);
		asked = right;
		asked.computer = OTHER;
		assert_code(s, text, asked, s->computer ? RH_E_LICENSE_INVALID : RH_OK);
		asked = right;
		asked.nonce = "nonce-2";
		assert_code(s, text, asked, s->nonce ? RH_E_LICENSE_INVALID : RH_OK);
		asked = right;
		asked.keys = &no_keys;
		assert_code(s, text, asked, s->service ? RH_E_LICENSE_ISSUER : RH_OK);
		free(text);
	}
}

/* Keys of a set that have ids, and one that may not sign. */
static void test_key_ids(void **state)
{
	struct jose_set set;
	struct asked asked = right;
	char json[1024], *text = signed_text(&statements[0]), *named = NULL;
	struct jws jws = {0};

	(void)state;
	for (int signs = 0; signs < 2; signs++) {
		snprintf(json, sizeof json, "{\"kid\":\"2026\",\"use\":\"%s\",%s",
		    signs ? "sig" : "enc", jose_key_jwk(service_key) + 1);
		assert_int_equal(jose_set_read(&set, json, strlen(json), NULL, NULL), RH_OK);
		asked.keys = &set;
		assert_code(&statements[0], text, asked, signs ? RH_OK : RH_E_LICENSE_ISSUER);
		jose_set_free(&set);
	}
	assert_int_equal(jose_set_read(&set, json, strlen(json), NULL, NULL), RH_OK);
	assert_int_equal(jws_read(&jws, text, strlen(text), TYPE_COMPUTER, NULL), RH_OK);
	assert_int_equal(
	    jws_sign(service_key, TYPE_COMPUTER, "2026", jws.claims, &named, NULL), RH_OK);
	assert_code(&statements[0], named, asked, RH_OK);
	assert_code(&statements[0], named, right, RH_E_LICENSE_ISSUER);
	jose_set_free(&set);
	jws_free(&jws);
	free(named);
	free(text);
}

static void test_other_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		char *text = signed_text(&statements[i]);

		for (size_t j = 0; j < STATEMENTS; j++)
			assert_code(
			    &statements[j], text, right, i == j ? RH_OK : RH_E_LICENSE_INVALID);
		free(text);
	}
}

static void test_every_edit(void **state)
{
	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		char *text = signed_text(&statements[i]);

		for (char *p = text; *p != '\0'; p++) {
			char was = *p;
			int code;

			*p = was == 'A' ? 'B' : 'A';
			code = statements[i].check(text, &right, NULL);
			if (code != RH_E_LICENSE_INVALID && code != RH_E_LICENSE_ISSUER)
				assert_int_equal(code, RH_E_LICENSE_SIGNATURE);
			*p = was;
		}
		assert_code(&statements[i], text, right, RH_OK);
		free(text);
	}
}

/* The same claims, by a key that may not. */
static void test_wrong_signer(void **state)
{
	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct statement *s = &statements[i];
		char *text = signed_text(s), *forged = NULL;
		struct jws jws = {0};

		assert_int_equal(jws_read(&jws, text, strlen(text), s->type, NULL), RH_OK);
		/* A service's with a key that it brings; another's that brings none. */
		assert_int_equal(jws_sign(s->service ? computer_key : service_key, s->type,
				     s->service ? NULL : jose_key_thumbprint(service_key),
				     jws.claims, &forged, NULL),
		    RH_OK);
		assert_code(s, forged, right, RH_E_LICENSE_INVALID);
		free(forged);
		if (s->service) {
			assert_int_equal(
			    jws_sign(computer_key, s->type, jose_key_thumbprint(service_key),
				jws.claims, &forged, NULL),
			    RH_OK);
			assert_code(s, forged, right, RH_E_LICENSE_SIGNATURE);
			free(forged);
		}
		jws_free(&jws);
		free(text);
	}
}

/* Each claim in turn missing, or of another form. */
static void test_claims(void **state)
{
	(void)state;
	for (size_t i = 0; i < STATEMENTS; i++) {
		const struct statement *s = &statements[i];
		char *text = signed_text(s), *forged = NULL;
		const struct jose_key *key = s->service ? service_key : computer_key;
		const char *id = s->service ? jose_key_thumbprint(key) : NULL, *name;
		struct jws jws = {0};
		json_t *value, *changed;

		assert_int_equal(jws_read(&jws, text, strlen(text), s->type, NULL), RH_OK);
		json_object_foreach(jws.claims, name, value)
		{
			for (int how = 0; how < 4; how++) {
				changed = json_copy(jws.claims);
				if (how == 0)
					json_object_del(changed, name);
				else
					json_object_set_new(changed, name,
					    how == 1   ? json_array()
					    : how == 2 ? json_string("x")
						       : json_integer(-1));
				assert_int_equal(
				    jws_sign(key, s->type, id, changed, &forged, NULL), RH_OK);
				assert_code(s, forged, right, RH_E_LICENSE_INVALID);
				free(forged);
				json_decref(changed);
			}
		}
		/* A claim more does no harm. */
		json_object_set_new(jws.claims, "later", json_true());
		assert_int_equal(jws_sign(key, s->type, id, jws.claims, &forged, NULL), RH_OK);
		assert_code(s, forged, right, RH_OK);
		free(forged);
		jws_free(&jws);
		free(text);
	}
}

/* ---- Grants ---- */

static const struct grant grant = {
    "music.example", "river-songs-1", COMPUTER, 2, 4, 1700000000};

/* seq, hash, time of signing, time of resolving. */
static void test_head_follows(void **state)
{
	static const struct head kept = {5, {7}, 100, 0};
	static const struct {
		struct head head;
		bool follows;
	} cases[] = {
	    {{5, {7}, 101, 0}, true},
	    {{5, {8}, 101, 0}, false},
	    {{6, {8}, 101, 0}, true},
	    {{4, {7}, 101, 0}, false},
	    {{0, {0}, 101, 0}, false},
	    {{4, {7}, 101, 99}, false},
	    {{4, {7}, 101, 100}, true},
	    {{5, {8}, 101, 101}, true},
	    {{4, {7}, 101, -1}, false},
	};

	char *text;
	struct head head;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(head_follows(&cases[i].head, &kept), cases[i].follows);
		assert_int_equal(
		    head_sign(service_key, SERVICE, &cases[i].head, &text, NULL), RH_OK);
		assert_int_equal(head_check(text, &keys, SERVICE, &head, NULL), RH_OK);
		assert_int_equal(
		    head.resolved, cases[i].head.resolved > 0 ? cases[i].head.resolved : 0);
		memset(&head, 0, sizeof head);
		assert_int_equal(head_read(text, &head, NULL), RH_OK);
		assert_int_equal(head.seq, cases[i].head.seq);
		free(text);
	}
}

static void test_grant_leaf(void **state)
{
	static const char text[] =
	    "rehost grant 1\nmusic.example\nriver-songs-1\n" COMPUTER "\n2\n4\n1700000000\n";
	struct grant changed[] = {grant, grant, grant, grant, grant};
	uint8_t expected[DIGEST_SIZE], leaf[DIGEST_SIZE];

	(void)state;
	assert_int_equal(merkle_leaf(expected, text, sizeof text - 1, NULL), RH_OK);
	assert_int_equal(grant_leaf(&grant, leaf, NULL), RH_OK);
	assert_memory_equal(leaf, expected, DIGEST_SIZE);
	changed[0].issuer = "music.example\nriver-songs-1";
	changed[1].license = "1\n";
	changed[2].computer = "\n";
	changed[3].since = -1;
	changed[4].since = 253402300800;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(grant_leaf(&changed[i], leaf, NULL), RH_E_LICENSE_INVALID);
	assert_memory_equal(leaf, expected, DIGEST_SIZE);
}

/* The example of PROTOCOL.md. */
static void test_grants_vector(void **state)
{
	struct grant three[] = {grant, grant, grant};
	uint8_t hashes[3][DIGEST_SIZE], root[DIGEST_SIZE];
	char text[2 * DIGEST_SIZE + 1];

	(void)state;
	three[1].license = "river-songs-2";
	three[1].number = 3;
	three[2].license = "river-songs-3";
	three[2].number = 1;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(grant_leaf(&three[i], hashes[i], NULL), RH_OK);
	text_hex(text, hashes[0], DIGEST_SIZE);
	assert_string_equal(
	    text, "be04979e2896cb2aa857e506809dc3a7637666a0fde6f89c9e52699b236f12e6");
	assert_int_equal(
	    merkle_root(root, (const uint8_t(*)[DIGEST_SIZE])hashes, 3, NULL), RH_OK);
	text_hex(text, root, DIGEST_SIZE);
	assert_string_equal(
	    text, "7082cd911ba6fbd6b0de14f6100c229284613fcf6deb42310a6a2746882c80b0");
}

static void test_other_leaves(void **state)
{
	uint8_t many[6][DIGEST_SIZE] = {{0}};
	char *text = NULL;

	(void)state;
	assert_int_equal(sign_grants(&text), RH_OK);
	memcpy(many, leaves, sizeof leaves);
	for (size_t count = 0; count <= 6; count++)
		assert_int_equal(grants_check(text, &keys, SERVICE, COMPUTER,
				     (const uint8_t(*)[DIGEST_SIZE])many, count, NULL),
		    count == 5 ? RH_OK : RH_E_LICENSE_INVALID);
	memcpy(many[0], leaves[1], DIGEST_SIZE);
	memcpy(many[1], leaves[0], DIGEST_SIZE);
	assert_int_equal(grants_check(text, &keys, SERVICE, COMPUTER,
			     (const uint8_t(*)[DIGEST_SIZE])many, 5, NULL),
	    RH_E_LICENSE_INVALID);
	free(text);
	text = NULL;
	assert_int_equal(grants_sign(service_key, SERVICE, COMPUTER, 1, LEAVES, 0, &text, NULL),
	    RH_E_ARGUMENT);
	assert_null(text);
}

/* ---- The release key ---- */

static void test_release_key(void **state)
{
	uint8_t recovery[KEY_SIZE];
	struct jose_key *key = NULL, *again = NULL;

	(void)state;
	for (uint8_t i = 0; i < KEY_SIZE; i++)
		recovery[i] = i;
	assert_int_equal(release_key(recovery, SERVICE, &key, NULL), RH_OK);
	assert_string_equal(jose_key_thumbprint(key), RELEASE_THUMBPRINT);
	assert_int_equal(release_key(recovery, SERVICE, &again, NULL), RH_OK);
	assert_string_equal(jose_key_thumbprint(key), jose_key_thumbprint(again));
	jose_key_free(again);
	assert_int_equal(release_key(recovery, "https://other.example", &again, NULL), RH_OK);
	assert_string_not_equal(jose_key_thumbprint(key), jose_key_thumbprint(again));
	jose_key_free(again);
	jose_key_free(key);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_checked),
	    cmocka_unit_test(test_key_ids),
	    cmocka_unit_test(test_other_type),
	    cmocka_unit_test(test_every_edit),
	    cmocka_unit_test(test_wrong_signer),
	    cmocka_unit_test(test_claims),
	    cmocka_unit_test(test_head_follows),
	    cmocka_unit_test(test_grant_leaf),
	    cmocka_unit_test(test_grants_vector),
	    cmocka_unit_test(test_other_leaves),
	    cmocka_unit_test(test_release_key),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
