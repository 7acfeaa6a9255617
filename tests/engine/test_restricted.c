/* What is not backed up, and why: every reason with its code and its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "clocks.h"
#include "scene.h"

#define NOW 1795360200 /* 2026-11-22T15:10:00Z */
#define SECRET "Sixteen secrets!"
#define SERVICE "https://licences.example/lms"

struct whole {
	struct scene scene;
	struct issue_keys *service;
};

static int setup(void **state)
{
	struct whole *w = calloc(1, sizeof *w);

	assert_non_null(w);
	setenv("LC_ALL", "C", 1);
	clocks = (struct clocks){NOW, 1000, 1};
	scene_open(&w->scene);
	w->service = issue_keys_new("s1", "ECDH-ES+A256KW");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct whole *w = *state;

	issue_keys_free(w->service);
	scene_close(&w->scene);
	free(w);
	return 0;
}

static struct issue with_secret(const char *id, const char *service)
{
	return (struct issue){.id = id,
	    .actions = "{\"play\":{}}",
	    .service = service,
	    .content_key = SECRET,
	    .content_key_size = strlen(SECRET),
	    .backup = 1};
}

/* Backs up, again and again. */
static void backup(struct whole *w, struct told *told, rh_summary *summary)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	rh_listener listener = scene_listener(told);
	rh_error error;

	options.overwrite = 1;
	if (rh_backup(w->scene.store, w->scene.kit.media, &options, &listener, summary,
		&error) != RH_OK)
		fail_msg("%s", error.text);
}

static void take_header(void *context, const rh_backup_header *header)
{
	rh_backup_header *ret = context;

	*ret = *header;
}

/* What the backup says of itself. */
static rh_backup_header header_of(struct whole *w)
{
	rh_backup_header header;
	rh_inspector inspector = {.on_header = take_header, .context = &header};

	assert_int_equal(
	    rh_inspect(w->scene.store, w->scene.kit.media, NULL, &inspector, NULL), RH_OK);
	return header;
}

static void expect_counts(
    struct whole *w, const rh_summary *summary, unsigned owned, unsigned managed, unsigned out)
{
	rh_backup_header header = header_of(w);

	assert_int_equal(summary->licenses, owned + managed + out);
	assert_int_equal(summary->done, owned + managed);
	assert_int_equal(summary->restricted, out);
	assert_int_equal(summary->failed, 0);
	assert_int_equal(header.owned, owned);
	assert_int_equal(header.managed, managed);
	assert_int_equal(header.restricted, out);
	assert_int_equal(
	    rh_verify(w->scene.store, w->scene.kit.media, NULL, NULL, NULL, NULL), RH_OK);
}

static const struct told_one *restricted(const struct told *told, const char *id, int code)
{
	const struct told_one *one = scene_told(told, id);

	assert_int_equal(one->type, RH_EVENT_RESTRICTED);
	assert_int_equal(one->code, code);
	assert_string_not_equal(one->text, "");
	assert_string_equal(one->next_step, rh_code_next_step(code));
	assert_string_not_equal(one->next_step, "");
	return one;
}

/* ---- Every reason ---- */

static void denied(void **state)
{
	struct whole *w = *state;
	struct issue issue = with_secret("denied", NULL);
	struct told told;
	rh_summary summary;

	issue.backup = 0;
	issue.key_id = "songs";
	issue.title = "{\"en\":\"River songs\",\"de\":\"Flusslieder\"}";
	scene_add(&w->scene, issue);
	scene_add(&w->scene, with_secret("allowed", NULL));
	setenv("LC_ALL", "de_AT.UTF-8", 1);
	backup(w, &told, &summary);
	assert_int_equal(told.count, 1);
	assert_string_equal(restricted(&told, "denied", RH_E_RESTRICTED)->key_id, "songs");
	/* In the user's language. */
	assert_string_equal(scene_told(&told, "denied")->title, "Flusslieder");
	expect_counts(w, &summary, 1, 0, 1);
}

static void unknown(void **state)
{
	static const char clearkey[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":"
				       "\"AAECAwQFBgcICQoLDA0ODw\",\"k\":"
				       "\"EBESExQVFhcYGRobHB0eHw\"}],\"type\":\"odd\"}";
	struct whole *w = *state;
	struct told told;
	rh_summary summary;

	assert_int_equal(kit_add_document(w->scene.store, clearkey, strlen(clearkey), "keys",
			     "clearkey", &summary),
	    RH_OK);
	assert_int_equal(summary.done, 1);
	backup(w, &told, &summary);
	assert_int_equal(told.count, 1);
	restricted(&told, told.list[0].id, RH_E_RIGHTS_UNKNOWN);
	expect_counts(w, &summary, 0, 0, 1);
}

/* From the second on at which it ends; an unsigned one is its owner's for ever. */
static void expired(void **state)
{
	struct whole *w = *state;
	struct issue issue = with_secret("ending", NULL);
	struct told told;
	rh_summary summary;

	issue.not_after = NOW + 100;
	scene_add(&w->scene, issue);
	issue = with_secret("ending-managed", SERVICE);
	issue.not_after = NOW + 100;
	scene_add(&w->scene, issue);
	scene_pin(&w->scene, w->scene.store, RH_PIN_SERVICE, w->service, SERVICE);
	clocks_pass(99);
	backup(w, &told, &summary);
	assert_int_equal(told.count, 0);
	expect_counts(w, &summary, 1, 1, 0);
	clocks_pass(1);
	backup(w, &told, &summary);
	assert_non_null(strstr(
	    restricted(&told, "ending", RH_E_LICENSE_EXPIRED)->text, "2026-11-22T15:11:40Z"));
	restricted(&told, "ending-managed", RH_E_LICENSE_EXPIRED);
	expect_counts(w, &summary, 0, 0, 2);
}

static void service_unknown(void **state)
{
	struct whole *w = *state;
	struct told told;
	rh_summary summary;

	scene_add(&w->scene, with_secret("owned", NULL));
	scene_add(&w->scene, with_secret("managed", SERVICE));
	scene_add(&w->scene, with_secret("other", SERVICE "/2"));
	backup(w, &told, &summary);
	assert_int_equal(told.count, 2);
	assert_non_null(
	    strstr(restricted(&told, "managed", RH_E_SERVICE_KEYS)->text, SERVICE " "));
	assert_non_null(strstr(scene_told(&told, "managed")->text, "rehost service add"));
	assert_non_null(
	    strstr(restricted(&told, "other", RH_E_SERVICE_KEYS)->text, SERVICE "/2 "));
	expect_counts(w, &summary, 1, 0, 2);

	/* With the keys it goes in. */
	scene_pin(&w->scene, w->scene.store, RH_PIN_SERVICE, w->service, SERVICE);
	backup(w, &told, &summary);
	assert_int_equal(told.count, 1);
	restricted(&told, "other", RH_E_SERVICE_KEYS);
	expect_counts(w, &summary, 1, 1, 1);
}

/* ---- Secrets that do not open ---- */

/* Changes the last byte of the licence's secret with another tool. */
static void spoil(struct whole *w, const char *id)
{
	sqlite3 *database;
	sqlite3_stmt *update;
	char path[160];

	rh_store_close(w->scene.store);
	snprintf(path, sizeof path, "%s/licenses.db", w->scene.kit.store);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(database,
		"UPDATE licenses SET secret = CAST(substr(secret, 1, length(secret) - 1)"
		" || CASE substr(secret, -1) WHEN x'41' THEN x'42' ELSE x'41' END AS BLOB)"
		" WHERE id = ?1",
		-1, &update, NULL),
	    SQLITE_OK);
	sqlite3_bind_text(update, 1, id, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(update), SQLITE_DONE);
	assert_int_equal(sqlite3_changes(database), 1);
	sqlite3_finalize(update);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
	w->scene.store = kit_store(w->scene.kit.store, 0);
	assert_int_equal(
	    rh_store_computer_jwk(w->scene.store, &w->scene.computer, NULL), RH_OK);
}

static void secret_lost(void **state)
{
	struct whole *w = *state;
	struct told told;
	rh_summary summary;

	scene_pin(&w->scene, w->scene.store, RH_PIN_SERVICE, w->service, SERVICE);
	for (int i = 0; i < 6; i++) {
		char id[16];

		snprintf(id, sizeof id, "%s-%d", i % 2 ? "managed" : "owned", i);
		scene_add(&w->scene, with_secret(id, i % 2 ? SERVICE : NULL));
	}
	struct issue issue = with_secret("denied", NULL);
	issue.backup = 0;
	scene_add(&w->scene, issue);
	spoil(w, "owned-2");
	spoil(w, "managed-3");
	spoil(w, "managed-5");
	/* Of what stays here anyway the secret is not asked for. */
	spoil(w, "denied");
	backup(w, &told, &summary);
	/* Each is told once, though the backup was written twice. */
	assert_int_equal(told.count, 4);
	assert_non_null(strstr(restricted(&told, "owned-2", RH_E_NO_SECRET)->text, "secret"));
	restricted(&told, "managed-3", RH_E_NO_SECRET);
	restricted(&told, "managed-5", RH_E_NO_SECRET);
	restricted(&told, "denied", RH_E_RESTRICTED);
	expect_counts(w, &summary, 2, 1, 4);
}

/* The only one, so that nothing at all is left. */
static void only_secret_lost(void **state)
{
	struct whole *w = *state;
	struct told told;
	rh_summary summary;

	scene_add(&w->scene, with_secret("alone", NULL));
	spoil(w, "alone");
	backup(w, &told, &summary);
	assert_int_equal(told.count, 1);
	restricted(&told, "alone", RH_E_NO_SECRET);
	expect_counts(w, &summary, 0, 0, 1);
}

int main(void)
{
#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    WITH_SCENE(denied),
	    WITH_SCENE(unknown),
	    WITH_SCENE(expired),
	    WITH_SCENE(service_unknown),
	    WITH_SCENE(secret_lost),
	    WITH_SCENE(only_secret_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
