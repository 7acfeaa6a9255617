#include "base/text.h"

#include "fixture.h"

/* Administration, and the log of it. */

static int setup(void **state)
{
	static struct fixture f;

	fixture_open(&f, 4);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fixture_close(*state);
	return 0;
}

/* ---- Policies ---- */

static void test_policy(void **state)
{
	struct fixture *f = *state;
	const struct policy set = {5, 100, 2, POLICY_UNSET, 0};
	struct policy got;

	assert_ok(ledger_policy_get(f->ledger, POLICY_SERVICE, NULL, NULL, &got, error));
	assert_memory_equal(&got, &policy_unset, sizeof got);
	assert_ok(
	    ledger_policy_set(f->ledger, NOW, "a", POLICY_LICENSE, ISSUER, "x", &set, error));
	assert_ok(ledger_policy_get(f->ledger, POLICY_LICENSE, ISSUER, "x", &got, error));
	assert_memory_equal(&got, &set, sizeof got);
	assert_ok(ledger_policy_get(f->ledger, POLICY_ISSUER, ISSUER, NULL, &got, error));
	assert_memory_equal(&got, &policy_unset, sizeof got);
	/* Set anew, it is as if it had never been. */
	assert_ok(ledger_policy_set(
	    f->ledger, NOW, "a", POLICY_LICENSE, ISSUER, "x", &policy_unset, error));
	assert_ok(ledger_policy_get(f->ledger, POLICY_LICENSE, ISSUER, "x", &got, error));
	assert_memory_equal(&got, &policy_unset, sizeof got);
}

static void test_policy_wrong(void **state)
{
	struct fixture *f = *state;
	static const struct policy wrong[] = {{0, -1, -1, -1, -1}, {-2, -1, -1, -1, -1},
	    {1000001, -1, -1, -1, -1}, {-1, -2, -1, -1, -1}, {-1, -1, -2, -1, -1},
	    {-1, -1, -1, -2, -1}, {-1, -1, -1, -1, INT64_MAX}};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(ledger_policy_set(f->ledger, NOW, "a", POLICY_SERVICE, NULL,
				     NULL, &wrong[i], NULL),
		    RH_E_ARGUMENT);
	assert_int_equal(ledger_policy_set(f->ledger, NOW, "a", POLICY_ISSUER, "other", NULL,
			     &policy_unset, NULL),
	    RH_E_PIN_UNKNOWN);
	assert_int_equal(ledger_policy_set(f->ledger, NOW, "a", POLICY_LICENSE, "other", "x",
			     &policy_unset, NULL),
	    RH_E_PIN_UNKNOWN);
	assert_int_equal(ledger_policy_set(f->ledger, NOW, "a", POLICY_LICENSE, ISSUER, NULL,
			     &policy_unset, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(ledger_policy_set(f->ledger, NOW, "a", POLICY_ISSUER, NULL, NULL,
			     &policy_unset, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(
	    ledger_exception_add(f->ledger, NOW, "a", ISSUER, "x", 0, NEVER, "", NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(
	    ledger_exception_add(f->ledger, NOW, "a", "other", "x", 1, NEVER, "", NULL),
	    RH_E_PIN_UNKNOWN);
	assert_int_equal(
	    ledger_block(f->ledger, NOW, "a", ISSUER, "", true, "", NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    ledger_block(f->ledger, NOW, "a", "other", "x", true, "", NULL), RH_E_PIN_UNKNOWN);
}

/* ---- Issuers ---- */

static int join_issuers(void *context, const struct ledger_issuer *issuer, rh_error *error)
{
	char *text = context;

	(void)error;
	snprintf(text + strlen(text), 700, "%s|%s|%s|%s|%lld\n", issuer->name, issuer->title,
	    issuer->contact, issuer->keys, (long long)issuer->added - NOW);
	return RH_OK;
}

static int stop_issuers(void *context, const struct ledger_issuer *issuer, rh_error *error)
{
	(void)context;
	(void)issuer;
	return error_set(error, RH_E_CANCELED, "enough");
}

static void test_issuers(void **state)
{
	struct fixture *f = *state;
	struct ledger_issuer issuer = {"another", NULL, NULL, "{}", 0};
	int64_t before, after;
	char text[4000] = "";

	assert_ok(ledger_issuers_version(f->ledger, &before, error));
	assert_ok(ledger_issuer_put(f->ledger, NOW + 5, "a", &issuer, error));
	assert_ok(ledger_issuers_version(f->ledger, &after, error));
	assert_int_not_equal(before, after);
	issuer.title = "Title";
	assert_ok(ledger_issuer_put(f->ledger, NOW + 6, "a", &issuer, error));
	assert_ok(ledger_issuer_remove(f->ledger, NOW, "a", ISSUER, error));
	assert_ok(ledger_issuers(f->ledger, join_issuers, text, error));
	assert_string_equal(text, "another|Title||{}|5\n");
	assert_int_equal(ledger_issuers(f->ledger, stop_issuers, NULL, NULL), RH_E_CANCELED);
	assert_ok(ledger_issuers_version(f->ledger, &before, error));
	assert_int_equal(
	    ledger_issuer_remove(f->ledger, NOW, "a", ISSUER, NULL), RH_E_PIN_UNKNOWN);
	assert_ok(ledger_issuers_version(f->ledger, &after, error));
	assert_int_equal(before, after);
	issuer.name = "";
	assert_int_equal(ledger_issuer_put(f->ledger, NOW, "a", &issuer, NULL), RH_E_ARGUMENT);
}

/* ---- Tokens ---- */

static int join_tokens(void *context, const struct ledger_token *token, rh_error *error)
{
	char *text = context;

	(void)error;
	snprintf(text + strlen(text), 700, "%s %u\n", token->name, token->scope);
	return RH_OK;
}

static void test_tokens(void **state)
{
	struct fixture *f = *state;
	struct ledger_token token = {
	    .name = "desk", .scope = TOKEN_READ | TOKEN_WRITE, .expires = NOW + 10};
	struct ledger_token got;
	char *first, *second, text[4000] = "";

	assert_ok(ledger_token_make(f->ledger, NOW, "a", &token, &first, error));
	assert_int_equal(strlen(first), 7 + 43);
	assert_memory_equal(first, "rehost_", 7);
	assert_int_equal(
	    ledger_token_make(f->ledger, NOW, "a", &token, &second, NULL), RH_E_ARGUMENT);
	token = (struct ledger_token){.name = "auditor", .scope = TOKEN_READ, .expires = NEVER};
	assert_ok(ledger_token_make(f->ledger, NOW, "a", &token, &second, error));
	assert_string_not_equal(first, second);
	assert_ok(ledger_tokens(f->ledger, join_tokens, text, error));
	assert_string_equal(text, "auditor 1\ndesk 3\n");

	assert_ok(ledger_token_check(f->ledger, NOW + 9, first, &got, error));
	assert_string_equal(got.name, "desk");
	assert_int_equal(got.scope, 3);
	assert_int_equal(got.created, NOW);
	assert_int_equal(
	    ledger_token_check(f->ledger, NOW + 10, first, &got, NULL), RH_E_NO_RIGHT);
	assert_ok(ledger_token_check(f->ledger, NOW + 900 * DAY, second, &got, error));
	second[20] = second[20] == 'A' ? 'B' : 'A';
	assert_int_equal(ledger_token_check(f->ledger, NOW, second, &got, NULL), RH_E_NO_RIGHT);
	assert_int_equal(ledger_token_check(f->ledger, NOW, "", &got, NULL), RH_E_NO_RIGHT);
	assert_ok(ledger_token_remove(f->ledger, NOW, "a", "desk", error));
	assert_int_equal(ledger_token_check(f->ledger, NOW, first, &got, NULL), RH_E_NO_RIGHT);
	assert_int_equal(
	    ledger_token_remove(f->ledger, NOW, "a", "desk", NULL), RH_E_PIN_UNKNOWN);
	free(first);
	free(second);
}

static void test_tokens_wrong(void **state)
{
	struct fixture *f = *state;
	struct ledger_token token = {.scope = TOKEN_READ, .expires = NEVER}, got;
	char *text, *long_one = malloc(1000);

	assert_int_equal(
	    ledger_token_make(f->ledger, NOW, "a", &token, &text, NULL), RH_E_ARGUMENT);
	memset(token.name, 'x', sizeof token.name);
	assert_int_equal(
	    ledger_token_make(f->ledger, NOW, "a", &token, &text, NULL), RH_E_ARGUMENT);
	snprintf(token.name, sizeof token.name, "x");
	token.scope = 0;
	assert_int_equal(
	    ledger_token_make(f->ledger, NOW, "a", &token, &text, NULL), RH_E_ARGUMENT);
	token.scope = 4;
	assert_int_equal(
	    ledger_token_make(f->ledger, NOW, "a", &token, &text, NULL), RH_E_ARGUMENT);
	assert_non_null(long_one);
	memset(long_one, 'a', 999);
	long_one[999] = '\0';
	assert_int_equal(
	    ledger_token_check(f->ledger, NOW, long_one, &got, NULL), RH_E_NO_RIGHT);
	free(long_one);
}

/* ---- Lists ---- */

static int join_computers(
    void *context, const struct ledger_computer *computer, uint64_t licenses, rh_error *error)
{
	char *text = context;

	(void)error;
	snprintf(text + strlen(text), 700, "%s %s %llu%s%s\n", computer->computer,
	    computer->name, (unsigned long long)licenses, computer->original ? " original" : "",
	    computer->releasing != NEVER ? " releasing" : "");
	return RH_OK;
}

static int join_licenses(void *context, const struct ledger_license *license, rh_error *error)
{
	char *text = context;

	(void)error;
	snprintf(text + strlen(text), 700, "%s %s\n", license->id, license->original);
	return RH_OK;
}

static void test_lists(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l[] = {license_of("b1", "K"), license_of("a", "K"),
	    license_of("b2", "K2"), license_of("%", "K")};
	enum problem problem;
	enum release_state release_state;
	struct head head;
	int64_t effective;
	char text[4000] = "";

	for (size_t i = 0; i < 4; i++) {
		restore_one(f, NOW, "c1", "K", &l[i]);
		restore_one(f, NOW, "c2", NULL, &l[i]);
	}
	assert_ok(
	    ledger_enroll(f->ledger, NOW, "c2", "Lap%top", NULL, "n", &problem, &head, error));
	assert_ok(ledger_release(f->ledger, NOW,
	    &(struct ledger_release){.computer = "c2", .actor = "x"}, &release_state,
	    &effective, &problem, &head, error));
	assert_ok(ledger_computers(f->ledger, "", join_computers, text, error));
	assert_string_equal(text, "c1  1 original\nc2 Lap%top 4 releasing\n");
	*text = '\0';
	assert_ok(ledger_computers(f->ledger, "Lap%", join_computers, text, error));
	assert_string_equal(text, "c2 Lap%top 4 releasing\n");
	*text = '\0';
	assert_ok(ledger_licenses(f->ledger, "b", 10, join_licenses, text, error));
	assert_string_equal(text, "b1 K\nb2 K2\n");
	*text = '\0';
	assert_ok(ledger_licenses(f->ledger, "%", 10, join_licenses, text, error));
	assert_string_equal(text, "% K\n");
	*text = '\0';
	assert_ok(ledger_licenses(f->ledger, "", 2, join_licenses, text, error));
	assert_string_equal(text, "% K\na K\n");
}

/* ---- The log ---- */

static int join_entries(void *context, const struct ledger_entry *entry, rh_error *error)
{
	char *text = context;

	(void)error;
	snprintf(text + strlen(text), 700, "%lld %s %s\n", (long long)entry->seq, entry->kind,
	    entry->actor);
	return RH_OK;
}

static void make_entries(struct fixture *f)
{
	struct ledger_license l = license_of("a", "K");

	set_policy(f, policy_unset);
	restore_one(f, NOW, "c2", NULL, &l);
	assert_ok(ledger_block(
	    f->ledger, NOW, "token:\"desk\"", ISSUER, "a", true, "say \"no\"\n\u00fc", error));
}

static void test_log(void **state)
{
	struct fixture *f = *state;
	struct ledger_counts counts;
	uint64_t entries;
	char text[4000] = "";

	make_entries(f);
	assert_ok(ledger_audit(f->ledger, 2, 3, join_entries, text, error));
	assert_string_equal(text, "2 policy local:test\n3 commit c2\n4 block token:\"desk\"\n");
	*text = '\0';
	assert_ok(ledger_audit(f->ledger, 1, 1, join_entries, text, error));
	assert_string_equal(text, "1 issuer local:test\n");
	assert_ok(ledger_audit_verify(f->ledger, &entries, error));
	assert_int_equal(entries, 4);
	assert_ok(ledger_counts(f->ledger, &counts, error));
	assert_int_equal(counts.entries, 4);
	assert_int_equal(counts.computers, 1);
}

/* As SCHEMA.md says how the hash is made, so that others can. */
static void test_hash(void **state)
{
	char actor[] = "me", body[] = "{}";
	const struct entry entry = {"test", actor, body};
	const uint8_t before[DIGEST_SIZE] = {9};
	uint8_t bytes[DIGEST_SIZE + 5 * 8 + 8] = {9}, *p = bytes + DIGEST_SIZE;
	uint8_t hash[DIGEST_SIZE], expected[DIGEST_SIZE];

	(void)state;
	put_u64be(p, 3);
	put_u64be(p + 8, (uint64_t)-4);
	put_u64be(p + 16, 4);
	memcpy(p + 24, "test", 4);
	put_u64be(p + 28, 2);
	memcpy(p + 36, "me", 2);
	put_u64be(p + 38, 2);
	memcpy(p + 46, "{}", 2);
	assert_ok(sha256(expected, bytes, sizeof bytes, error));
	assert_ok(log_hash(hash, before, 3, -4, &entry, error));
	assert_memory_equal(hash, expected, sizeof hash);
}

/* More than verification reads at once. */
static void test_long_log(void **state)
{
	struct fixture *f = *state;
	uint64_t entries;

	for (int i = 0; i < 999; i++)
		set_policy(f, policy_unset);
	assert_ok(ledger_audit_verify(f->ledger, &entries, error));
	assert_int_equal(entries, 1000);
	set_policy(f, policy_unset);
	assert_ok(ledger_audit_verify(f->ledger, &entries, error));
	assert_int_equal(entries, 1001);
}

static void test_tampered(void **state)
{
	struct fixture *f = *state;
	static const struct statement edits[][2] = {
	    {{"t1", "UPDATE audit SET body = body || ' ' WHERE seq = 2", 0, ""},
		{"u1",
		    "UPDATE audit SET body = substr(body, 1, length(body) - 1) WHERE seq = 2",
		    0, ""}},
	    {{"t2", "UPDATE audit SET actor = 'x' || actor WHERE seq = 2", 0, ""},
		{"u2", "UPDATE audit SET actor = substr(actor, 2) WHERE seq = 2", 0, ""}},
	    {{"t3", "UPDATE audit SET kind = 'x' || kind WHERE seq = 2", 0, ""},
		{"u3", "UPDATE audit SET kind = substr(kind, 2) WHERE seq = 2", 0, ""}},
	    {{"t4", "UPDATE audit SET time = time + 1 WHERE seq = 2", 0, ""},
		{"u4", "UPDATE audit SET time = time - 1 WHERE seq = 2", 0, ""}},
	    {{"t5", "UPDATE audit SET hash = 'x' || hash WHERE seq = 2", 0, ""},
		{"u5", "UPDATE audit SET hash = substr(hash, 2) WHERE seq = 2", 0, ""}},
	    {{"t6", "UPDATE audit SET seq = 20 WHERE seq = 2", 0, ""},
		{"u6", "UPDATE audit SET seq = 2 WHERE seq = 20", 0, ""}},
	    {{"t7", "UPDATE audit SET seq = 20 WHERE seq = 4", 0, ""},
		{"u7", "UPDATE audit SET seq = 4 WHERE seq = 20", 0, ""}},
	    {{"t8", "UPDATE head SET seq = 3 WHERE id = 1", 0, ""},
		{"u8", "UPDATE head SET seq = 4 WHERE id = 1", 0, ""}}};
	uint64_t entries;

	make_entries(f);
	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		rh_error fault = {0};

		tamper(f, &edits[i][0]);
		assert_int_equal(
		    ledger_audit_verify(f->ledger, &entries, &fault), RH_E_STORE_DAMAGED);
		assert_non_null(strstr(fault.text, i >= 6 ? "" : "entry 2"));
		tamper(f, &edits[i][1]);
		assert_ok(ledger_audit_verify(f->ledger, &entries, error));
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_policy), TEST(test_policy_wrong),
	    TEST(test_issuers), TEST(test_tokens), TEST(test_tokens_wrong), TEST(test_lists),
	    TEST(test_log), cmocka_unit_test(test_hash), TEST(test_long_log),
	    TEST(test_tampered)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
