/* Signed licences on their way into a store. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/file.h"
#include "engine/engine.h"

#include "issue.h"
#include "kit.h"

#define ISSUER "https://issuer.example"
#define SECRET "Sixteen secrets!"
#define SECRET_2 "another content key, of a later issue"

struct fixture {
	struct kit kit;
	rh_store *store;
	struct issue_keys *old_key, *key, *stranger;
	const char *computer; /* the JWK */
	char *other; /* another computer's */
};

static void pin(struct fixture *f, struct issue_keys *const *keys, size_t count, int expected)
{
	char path[128], *text = issue_set(keys, count, ISSUER);
	FILE *file;
	rh_error error = {0};

	snprintf(path, sizeof path, "%s/set.json", f->kit.root);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	free(text);
	if (rh_pin_add(f->store, RH_PIN_ISSUER, path, NULL, NULL, NULL, &error) != expected)
		fail_msg("%s", error.text);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	rh_store *other;
	const char *jwk;

	assert_non_null(f);
	kit_open(&f->kit);
	f->store = kit_store(f->kit.store, RH_STORE_CREATE);
	f->old_key = issue_keys_new("2025", "ES256");
	f->key = issue_keys_new("2026", "ES256");
	f->stranger = issue_keys_new("2026", "ES256");
	assert_int_equal(rh_store_computer_jwk(f->store, &f->computer, NULL), RH_OK);
	other = kit_store(f->kit.other, RH_STORE_CREATE);
	assert_int_equal(rh_store_computer_jwk(other, &jwk, NULL), RH_OK);
	f->other = strdup(jwk);
	rh_store_close(other);
	pin(f, &f->key, 1, RH_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	issue_keys_free(f->old_key);
	issue_keys_free(f->key);
	issue_keys_free(f->stranger);
	free(f->other);
	rh_store_close(f->store);
	kit_close(&f->kit);
	free(f);
	return 0;
}

/* A licence with a content key and three plays. */
static struct issue usual(struct fixture *f, const char *id)
{
	return (struct issue){.id = id,
	    .issuer = ISSUER,
	    .key_id = "11111111-2222-3333-4444-555555555555",
	    .actions = "{\"play\":{\"count\":3},\"copy\":{}}",
	    .title = "\"River songs\"",
	    .computer = f->computer,
	    .content_key = SECRET,
	    .content_key_size = strlen(SECRET),
	    .issued = 1700000000,
	    .backup = 1};
}

/* ---- Adding, and what is heard of it ---- */

struct batch {
	char *texts[8];
	char names[8][16];
	size_t count;
	size_t next;
	const char *format;
};

static void batch_put(struct batch *batch, char *text, const char *name)
{
	assert_true(batch->count < 8);
	snprintf(batch->names[batch->count], sizeof *batch->names, "%s", name);
	batch->texts[batch->count++] = text;
}

static int batch_next(void *context, rh_document *ret, rh_error *error)
{
	struct batch *batch = context;

	(void)error;
	if (batch->next == batch->count)
		return 0;
	*ret = (rh_document){.data = batch->texts[batch->next],
	    .size = strlen(batch->texts[batch->next]),
	    .name = batch->names[batch->next],
	    .format = batch->format};
	batch->next++;
	return 1;
}

/* The events about licences. */
struct told {
	size_t count;
	int codes[8];
	char texts[8][400];
	char ids[8][64];
};

static int tell(void *context, const rh_event *event)
{
	struct told *told = context;

	if (event->type != RH_EVENT_LICENSE)
		return 0;
	assert_true(told->count < 8);
	told->codes[told->count] = event->code;
	snprintf(told->texts[told->count], sizeof *told->texts, "%s", event->text);
	snprintf(told->ids[told->count], sizeof *told->ids, "%s",
	    event->license != NULL ? event->license->id : "");
	assert_string_equal(event->next_step, rh_code_next_step(event->code));
	told->count++;
	return 0;
}

static void add(struct fixture *f, struct batch *batch, struct told *told, rh_summary *summary)
{
	rh_listener listener = {tell, NULL, told};
	rh_error error;

	memset(told, 0, sizeof *told);
	if (rh_add(f->store, batch_next, batch, &listener, summary, &error) != RH_OK)
		fail_msg("%s", error.text);
	for (size_t i = 0; i < batch->count; i++)
		free(batch->texts[i]);
	memset(batch, 0, sizeof *batch);
}

/* Adds one licence: the code that is told, RH_OK if nothing is. */
static int add_one(struct fixture *f, const struct issue_keys *keys, const struct issue *issue)
{
	struct batch batch = {0};
	struct told told;
	rh_summary summary;

	batch_put(&batch, issue_license(keys, issue), "one");
	add(f, &batch, &told, &summary);
	assert_int_equal(summary.licenses, 1);
	assert_int_equal(told.count, summary.done == 0);
	return told.count > 0 ? told.codes[0] : RH_OK;
}

/* What the store keeps of a licence.  Free with store_content_free. */
static void open_row(
    struct fixture *f, const char *id, struct store_row *row, struct store_content *content)
{
	struct store_sealer *sealer;

	memset(row, 0, sizeof *row);
	memset(content, 0, sizeof *content);
	assert_int_equal(store_sealer_new(f->store->store, &sealer, NULL), RH_OK);
	assert_int_equal(store_get(f->store->store, id, row, NULL), RH_OK);
	assert_int_equal(store_open_row(sealer, row, content, NULL), RH_OK);
	store_sealer_free(sealer);
}

static void assert_secret(struct fixture *f, const char *id, const char *expected)
{
	struct store_content content;
	struct store_row row;

	open_row(f, id, &row, &content);
	assert_int_equal(row.has_secret, expected[0] != '\0');
	assert_int_equal(content.secret.size, strlen(expected));
	if (content.secret.size > 0)
		assert_memory_equal(content.secret.data, expected, content.secret.size);
	store_content_free(&content);
	store_row_free(&row);
}

/* What is left of "play" by the state; -1: the state does not say. */
static int left(struct fixture *f, const char *id)
{
	struct store_content content;
	struct store_row row;
	int found = -1;

	open_row(f, id, &row, &content);
	for (size_t i = 0; i < content.state.count_count; i++)
		if (strcmp(content.state.counts[i].action, "play") == 0)
			found = (int)content.state.counts[i].remaining;
	store_content_free(&content);
	store_row_free(&row);
	return found;
}

static void assert_bound(struct fixture *f, const char *id, const char *computer)
{
	struct store_content content;
	struct store_row row;

	open_row(f, id, &row, &content);
	assert_string_equal(content.state.computer, computer);
	assert_int_equal(row.has_state, computer[0] != '\0');
	store_content_free(&content);
	store_row_free(&row);
}

static void use(struct fixture *f, const char *id)
{
	rh_error error;

	if (rh_license_use(f->store, id, "play", NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
}

/* ---- The tests ---- */

static void secrets_are_kept(void **state)
{
	struct fixture *f = *state;
	char *thumbprint = issue_thumbprint(f->computer);
	struct issue issue = usual(f, "a");
	uint8_t large[JOSE_SECRET_MAX];
	struct store_content content;
	struct store_row row;
	void *secret;
	size_t size;

	assert_int_equal(add_one(f, f->key, &issue), RH_OK);
	assert_secret(f, "a", SECRET);
	assert_bound(f, "a", thumbprint);
	assert_int_equal(left(f, "a"), -1);
	assert_int_equal(rh_license_secret(f->store, "a", "play", &secret, &size, NULL), RH_OK);
	assert_int_equal(size, strlen(SECRET));
	assert_memory_equal(secret, SECRET, size);
	rh_free_secret_bytes(secret, size);

	/* Nothing to use up, and no content key; then the largest one. */
	issue = usual(f, "b");
	issue.actions = "{\"play\":{}}";
	issue.content_key_size = 0;
	assert_int_equal(add_one(f, f->key, &issue), RH_OK);
	assert_secret(f, "b", "");
	assert_bound(f, "b", "");

	for (size_t i = 0; i < sizeof large; i++)
		large[i] = (uint8_t)(i * 7);
	issue = usual(f, "c");
	issue.content_key = large;
	issue.content_key_size = sizeof large;
	assert_int_equal(add_one(f, f->key, &issue), RH_OK);
	open_row(f, "c", &row, &content);
	assert_int_equal(content.secret.size, sizeof large);
	assert_memory_equal(content.secret.data, large, sizeof large);
	store_content_free(&content);
	store_row_free(&row);
	free(thumbprint);
}

/* A secret stays with its licence: those behind it in a batch do not inherit it. */
static void batches(void **state)
{
	struct fixture *f = *state;
	struct issue issues[4];
	struct batch batch = {0};
	struct told told;
	rh_summary summary;

	for (size_t i = 0; i < 4; i++) {
		static const char *const ids[] = {"a", "b", "c", "d"};

		issues[i] = usual(f, ids[i]);
	}
	issues[1].content_key_size = 0;
	issues[2].content_key = SECRET_2;
	issues[2].content_key_size = strlen(SECRET_2);
	batch_put(&batch, issue_license(f->key, &issues[0]), "a");
	batch_put(&batch, kit_license(1, 0), "xml");
	batch_put(&batch, issue_license(f->key, &issues[1]), "b");
	batch_put(&batch, issue_license(f->stranger, &issues[3]), "d");
	batch_put(&batch, kit_license(2, 0), "xml");
	batch_put(&batch, issue_license(f->key, &issues[2]), "c");
	add(f, &batch, &told, &summary);
	assert_int_equal(summary.done, 5);
	assert_int_equal(summary.failed, 1);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.codes[0], RH_E_LICENSE_SIGNATURE);
	assert_secret(f, "a", SECRET);
	assert_secret(f, "b", "");
	assert_secret(f, "c", SECRET_2);
	assert_secret(f, "00000001-0000-4000-8000-000000000000", "");
	assert_secret(f, "00000002-0000-4000-8000-000000000000", "");
	assert_int_equal(rh_store_check(f->store, NULL, &summary, NULL), RH_OK);
}

static void refuse(struct fixture *f, struct batch *batch, int code, const char *word)
{
	struct issue issue = usual(f, "before");
	struct told told;
	rh_summary summary;

	/* Between two good ones, which are added all the same. */
	batch_put(batch, issue_license(f->key, &issue), "before");
	issue.id = "behind";
	batch_put(batch, issue_license(f->key, &issue), "behind");
	char *bad = batch->texts[0];

	batch->texts[0] = batch->texts[1];
	batch->texts[1] = bad;
	snprintf(batch->names[0], sizeof *batch->names, "good");
	snprintf(batch->names[1], sizeof *batch->names, "bad");
	add(f, batch, &told, &summary);
	assert_int_equal(summary.licenses, 3);
	assert_int_equal(summary.done, 2);
	assert_int_equal(summary.failed, 1);
	assert_int_equal(told.count, 1);
	if (told.codes[0] != code || strstr(told.texts[0], word) == NULL ||
	    strncmp(told.texts[0], "bad: ", 5) != 0)
		fail_msg("%s: %s", rh_code_name(told.codes[0]), told.texts[0]);
	assert_null(strstr(told.texts[0], SECRET));
	assert_int_equal(kit_count(f->store, NULL), 2);
	assert_int_equal(rh_remove(f->store, "before", NULL), RH_OK);
	assert_int_equal(rh_remove(f->store, "behind", NULL), RH_OK);
}

static void refuse_issue(struct fixture *f, const struct issue_keys *keys,
    const struct issue *issue, int code, const char *word)
{
	struct batch batch = {0};

	batch_put(&batch, issue_license(keys, issue), "bad");
	refuse(f, &batch, code, word);
}

static void refusals(void **state)
{
	struct fixture *f = *state;
	struct issue issue = usual(f, "x");
	char *sealed = issue_seal(f->other, SECRET, strlen(SECRET)), *more;
	int64_t now = (int64_t)time(NULL);

	issue.issuer = "https://nobody.example";
	refuse_issue(f, f->key, &issue, RH_E_LICENSE_ISSUER, "not trusted here");
	issue = usual(f, "x");
	refuse_issue(f, f->old_key, &issue, RH_E_LICENSE_ISSUER, "kid");
	refuse_issue(f, f->stranger, &issue, RH_E_LICENSE_SIGNATURE, "signature");
	issue.computer = f->other;
	refuse_issue(f, f->key, &issue, RH_E_LICENSE_COMPUTER, "another computer");
	issue = usual(f, "x");
	issue.not_after = now - 1;
	refuse_issue(f, f->key, &issue, RH_E_LICENSE_EXPIRED, "expired");
	issue = usual(f, "x");
	issue.not_before = now + 3600;
	refuse_issue(f, f->key, &issue, RH_E_LICENSE_NOT_YET, "not valid yet");
	issue = usual(f, "x");
	issue.more = "{\"crit\":[\"watermark\"],\"watermark\":1}";
	refuse_issue(f, f->key, &issue, RH_E_LICENSE_CRITICAL, "crit");
	issue = usual(f, "x");
	issue.content_key_size = 0;
	assert_true(asprintf(&more, "{\"content_key\":\"%s\"}", sealed) > 0);
	issue.more = more;
	refuse_issue(f, f->key, &issue, RH_E_LICENSE_CONTENT_KEY, "content_key");
	issue = usual(f, "x");
	issue.more = "{\"backup\":\"yes\"}";
	refuse_issue(f, f->key, &issue, RH_E_LICENSE_INVALID, "backup");
	free(more);
	free(sealed);
}

/* Any one byte that differs is refused. */
static void edited(void **state)
{
	struct fixture *f = *state;
	struct issue issue = usual(f, "a");
	char *good = issue_license(f->key, &issue);
	size_t size = strlen(good);
	rh_summary summary;

	for (size_t i = 0; i < size; i++) {
		char saved = good[i];

		good[i] = saved == 'A' ? 'B' : 'A';
		assert_int_equal(
		    kit_add_document(f->store, good, size, "x", "signed", &summary), RH_OK);
		if (summary.failed != 1)
			fail_msg("byte %zu of %zu", i, size);
		good[i] = saved;
	}
	assert_int_equal(kit_count(f->store, NULL), 0);
	assert_int_equal(kit_add_document(f->store, good, size, "x", NULL, &summary), RH_OK);
	assert_int_equal(summary.done, 1);
	free(good);
}

static void added_again(void **state)
{
	struct fixture *f = *state;
	struct issue issue = usual(f, "a");
	char *text = issue_license(f->key, &issue);
	struct batch batch = {0};
	struct told told;
	rh_summary summary;

	for (int i = 0; i < 3; i++)
		batch_put(&batch, strdup(text), "again");
	add(f, &batch, &told, &summary);
	assert_int_equal(summary.done, 1);
	assert_int_equal(summary.already_here, 2);
	assert_int_equal(told.codes[0], RH_S_ALREADY_HERE);
	assert_string_equal(told.ids[0], "a");
	assert_secret(f, "a", SECRET);

	/* What it spent comes back with it, and is taken out only once. */
	use(f, "a");
	use(f, "a");
	assert_int_equal(left(f, "a"), 1);
	assert_int_equal(rh_remove(f->store, "a", NULL), RH_OK);
	batch_put(&batch, strdup(text), "again");
	add(f, &batch, &told, &summary);
	assert_int_equal(summary.updated, 1);
	assert_int_equal(told.codes[0], RH_S_STATE_MERGED);
	assert_string_equal(told.texts[0], "again");
	assert_int_equal(left(f, "a"), 1);
	assert_secret(f, "a", SECRET);
	use(f, "a");
	assert_int_equal(rh_license_use(f->store, "a", "play", NULL, NULL), RH_E_RIGHT_SPENT);
	assert_int_equal(rh_remove(f->store, "a", NULL), RH_OK);
	batch_put(&batch, strdup(text), "again");
	add(f, &batch, &told, &summary);
	assert_int_equal(left(f, "a"), 0);
	assert_int_equal(rh_store_check(f->store, NULL, NULL, NULL), RH_OK);
	free(text);
}

/* A later issue: the state stays, the secret is the new one. */
static void later_issues(void **state)
{
	struct fixture *f = *state;
	struct issue issue = usual(f, "a");

	assert_int_equal(add_one(f, f->key, &issue), RH_OK);
	use(f, "a");
	issue.issued++;
	issue.content_key = SECRET_2;
	issue.content_key_size = strlen(SECRET_2);
	assert_int_equal(add_one(f, f->key, &issue), RH_S_UPDATED);
	assert_int_equal(left(f, "a"), 2);
	assert_secret(f, "a", SECRET_2);
	issue.issued -= 2;
	assert_int_equal(add_one(f, f->key, &issue), RH_S_OLDER);
	assert_secret(f, "a", SECRET_2);
	issue.issued++;
	issue.issued++;
	issue.content_key_size = 3;
	assert_int_equal(add_one(f, f->key, &issue), RH_E_LICENSE_CONFLICT);

	issue.issued++;
	issue.content_key_size = 0;
	assert_int_equal(add_one(f, f->key, &issue), RH_S_UPDATED);
	assert_int_equal(left(f, "a"), 2);
	assert_secret(f, "a", "");
	assert_int_equal(rh_store_check(f->store, NULL, NULL, NULL), RH_OK);
}

/* Who proves himself by a signature is not replaced by anybody else. */
static void issues_of_others(void **state)
{
	struct fixture *f = *state;
	struct issue issue = usual(f, "a");
	char path[128], *set = issue_set(&f->stranger, 1, "another issuer");
	FILE *file;

	snprintf(path, sizeof path, "%s/other.json", f->kit.root);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(set, file);
	assert_int_equal(fclose(file), 0);
	free(set);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, path, NULL, NULL, NULL, NULL), RH_OK);
	assert_int_equal(add_one(f, f->key, &issue), RH_OK);
	issue.issued++;
	issue.issuer = "another issuer";
	assert_int_equal(add_one(f, f->stranger, &issue), RH_E_LICENSE_CONFLICT);
	issue.issuer = ISSUER;
	issue.id = "00000001-0000-4000-8000-000000000000";
	issue.issued = 1000000;
	assert_int_equal(add_one(f, f->key, &issue), RH_OK);
	struct batch batch = {0};
	struct told told;
	rh_summary summary;

	batch_put(&batch, kit_license(1, 0), "xml");
	add(f, &batch, &told, &summary);
	assert_int_equal(told.codes[0], RH_E_LICENSE_CONFLICT);
	assert_secret(f, issue.id, SECRET);
}

static void issuers_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct issue_keys *both[] = {f->old_key, f->key};
	struct issue issue = usual(f, "a");

	/* Rotation: the old key verifies beside the new one, until it is gone. */
	assert_int_equal(add_one(f, f->old_key, &issue), RH_E_LICENSE_ISSUER);
	pin(f, both, 2, RH_S_UPDATED);
	assert_int_equal(add_one(f, f->old_key, &issue), RH_OK);
	issue.id = "b";
	assert_int_equal(add_one(f, f->key, &issue), RH_OK);
	pin(f, &f->key, 1, RH_S_UPDATED);
	issue.id = "c";
	assert_int_equal(add_one(f, f->old_key, &issue), RH_E_LICENSE_ISSUER);
	assert_int_equal(add_one(f, f->key, &issue), RH_OK);

	assert_int_equal(rh_pin_remove(f->store, RH_PIN_ISSUER, ISSUER, NULL), RH_OK);
	issue.id = "d";
	assert_int_equal(add_one(f, f->key, &issue), RH_E_LICENSE_ISSUER);
	assert_int_equal(kit_count(f->store, NULL), 3);
	assert_secret(f, "c", SECRET);
}

/* Whether a file of the directory holds the secret. */
static bool found(const char *directory, const char *secret)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fdopendir(fd);
	struct dirent *entry;
	bool hit = false;
	size_t files = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		struct buffer bytes = {0};

		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(
		    file_read_whole(fd, entry->d_name, 1u << 30, &bytes, "", NULL), RH_OK);
		hit |= memmem(bytes.data, bytes.size, secret, strlen(secret)) != NULL;
		buffer_free(&bytes);
		files++;
	}
	closedir(folder);
	assert_true(files >= 2);
	return hit;
}

static void nothing_in_clear(void **state)
{
	struct fixture *f = *state;
	struct issue issue = usual(f, "SixteenCharsOfId");

	assert_int_equal(add_one(f, f->key, &issue), RH_OK);
	issue.issued++;
	issue.content_key = SECRET_2;
	issue.content_key_size = strlen(SECRET_2);
	assert_int_equal(add_one(f, f->key, &issue), RH_S_UPDATED);
	assert_true(found(f->kit.store, issue.id));
	assert_false(found(f->kit.store, SECRET));
	assert_false(found(f->kit.store, SECRET_2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(secrets_are_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(batches, setup, teardown),
	    cmocka_unit_test_setup_teardown(refusals, setup, teardown),
	    cmocka_unit_test_setup_teardown(edited, setup, teardown),
	    cmocka_unit_test_setup_teardown(added_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(later_issues, setup, teardown),
	    cmocka_unit_test_setup_teardown(issues_of_others, setup, teardown),
	    cmocka_unit_test_setup_teardown(issuers_come_and_go, setup, teardown),
	    cmocka_unit_test_setup_teardown(nothing_in_clear, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
