/* What is believed of a backup that somebody wrote who knows only the public recipient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"

#include "scene.h"

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	assert_non_null(scene);
	setenv("LC_ALL", "C", 1);
	scene_open(scene);
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	scene_close(*state);
	free(*state);
	return 0;
}

static rh_open_options with_recovery(const struct scene *scene)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;

	options.recovery_key = scene->recovery.identity;
	return options;
}

static int count_pin(void *context, const rh_pin *pin)
{
	assert_string_equal(pin->name, SCENE_ISSUER);
	++*(int *)context;
	return 0;
}

/* Somebody's backup of one signed licence, for the owner's public recipient. */
struct forgery {
	const char *document;
	const char *id;
	const char *facts;
	char *issuers;
	const uint8_t *proof_key; /* of the header; frames have none */
	bool no_secret;
	const char *state; /* or NULL */
};

static void forge(struct scene *scene, const struct forgery *forgery)
{
	struct backup_header header = {.owned = 1, .bytes = strlen(forgery->document)};
	struct backup_directory *directory;
	struct backup_writer *writer;
	struct frame_builder *builder;
	const struct backup_frame *frame;
	struct age_recipient recipient;
	uint8_t digest[DIGEST_SIZE], key[KEY_SIZE];
	struct frame_license license = {.component = forgery->id,
	    .document = forgery->document,
	    .document_size = strlen(forgery->document),
	    .digest = digest,
	    .secret = "false",
	    .secret_size = forgery->no_secret ? 0 : 5,
	    .state = forgery->state,
	    .state_size = forgery->state != NULL ? strlen(forgery->state) : 0,
	    .facts = forgery->facts,
	    .facts_size = strlen(forgery->facts)};

	assert_int_equal(
	    age_recipient_parse(&recipient, scene->recovery.recipient, NULL), RH_OK);
	assert_int_equal(
	    sha256(digest, forgery->document, strlen(forgery->document), NULL), RH_OK);
	assert_int_equal(
	    backup_directory_open(scene->kit.media, true, &directory, NULL), RH_OK);
	assert_int_equal(es256_key_generate(key, NULL), RH_OK);
	strcpy(header.computer_id, "somebody");
	header.issuers = forgery->issuers;
	assert_int_equal(backup_writer_new(directory, &header, key, forgery->proof_key,
			     &recipient, 1, 0, &writer, NULL),
	    RH_OK);
	assert_int_equal(frame_builder_new(&builder, NULL), RH_OK);
	assert_int_equal(frame_begin(builder, 0, header.created, NULL), RH_OK);
	assert_int_equal(frame_add(builder, &license, NULL), RH_OK);
	assert_int_equal(frame_finish(builder, &frame, NULL), RH_OK);
	assert_int_equal(backup_writer_append(writer, frame, NULL), RH_OK);
	assert_int_equal(backup_writer_finish(writer, NULL, NULL, NULL), RH_OK);
	assert_int_equal(backup_writer_commit(writer, NULL), RH_OK);
	assert_int_equal(backup_prune(directory, 1, NULL), RH_OK);
	backup_writer_free(writer);
	frame_builder_free(builder);
	backup_directory_close(directory);
}

static char *line_of(const char *id, const char *title)
{
	char *line;

	assert_true(asprintf(&line, "%d\tsigned\t%s\t\t" SCENE_ISSUER "\t%s\t\t1700000000\t\t",
			LICENSE_READERS_VERSION, id, title) > 0);
	return line;
}

static int take_title(void *context, const rh_license *license)
{
	snprintf(context, 64, "%s", license->title);
	return 0;
}

static char *stranger_license(struct issue_keys *stranger, const char *issuer)
{
	return issue_license(stranger, &(struct issue){.id = "gift",
					   .issuer = issuer,
					   .title = "\"A gift\"",
					   .actions = "{\"play\":{}}",
					   .backup = 1});
}

/* Who knows only the recipient: his issuers are not trusted, his words not believed. */
static void forged(void **state)
{
	struct scene *scene = *state;
	struct issue_keys *stranger = issue_keys_new("2026", "ES256");
	rh_open_options options = with_recovery(scene);
	char *set = issue_set(&stranger, 1, "https://stranger.example");
	char *document = stranger_license(stranger, "https://stranger.example");
	char *line = line_of("gift", "Another");
	struct forgery forgery = {.document = document, .id = "gift", .facts = line};
	uint8_t wrong[KEY_SIZE] = "nobody's";
	struct told told;
	rh_listener listener = scene_listener(&told);
	rh_summary summary;
	rh_error error;
	rh_store *new = kit_store(scene->kit.other, RH_STORE_CREATE);
	int pins = 0;

	assert_true(asprintf(&forgery.issuers,
			"[{\"name\":\"https://stranger.example\",\"source\":\"x\",\"added\":1,"
			"\"keys\":%s]",
			strchr(set, '[')) > 0);
	for (int proof = 0; proof < 2; proof++) {
		forgery.proof_key = proof ? wrong : NULL;
		forge(scene, &forgery);
		listener = scene_listener(&told);
		assert_int_equal(
		    rh_restore(new, scene->kit.media, &options, &listener, &summary, &error),
		    RH_E_NOT_ALL_STORED);
		assert_int_equal(summary.failed, 1);
		assert_int_equal(told.list[0].code, RH_E_LICENSE_ISSUER);
		assert_int_equal(kit_count(new, NULL), 0);
		assert_int_equal(
		    rh_pin_list(new, RH_PIN_ISSUER, count_pin, &pins, NULL), RH_OK);
		assert_int_equal(pins, 0);
		assert_int_equal(rh_verify(new, scene->kit.media, &options, NULL, NULL, NULL),
		    RH_E_LICENSE_ISSUER);
		/* Without a store nobody can tell, and that is said; once. */
		listener = scene_listener(&told);
		options.plan = 1;
		assert_int_equal(
		    rh_restore(NULL, scene->kit.media, &options, &listener, &summary, &error),
		    RH_OK);
		options.plan = 0;
		assert_int_equal(told.notices, 1);
		assert_non_null(strstr(told.notice, "signatures"));
	}
	rh_store_close(new);
	free(forgery.issuers);
	free(document);
	free(line);
	free(set);
	issue_keys_free(stranger);
}

/* A true licence with false words beside it: the words are not believed without a proof. */
static void false_words(void **state)
{
	struct scene *scene = *state;
	rh_open_options options = with_recovery(scene);
	char *document = stranger_license(scene->issuer, SCENE_ISSUER);
	char *line = line_of("gift", "Another"), title[64];
	struct forgery forgery = {.document = document, .id = "gift", .facts = line};
	struct age_identity identity;
	uint8_t key[KEY_SIZE];
	rh_store *new;

	assert_int_equal(age_identity_parse(&identity, scene->recovery.identity, NULL), RH_OK);
	assert_int_equal(backup_proof_key(&identity, key, NULL), RH_OK);
	new = kit_store(scene->kit.other, RH_STORE_CREATE);
	scene_pin(scene, new, RH_PIN_ISSUER, scene->issuer, SCENE_ISSUER);
	/* A header with a proof is not enough: it may be taken from another backup. */
	for (int proof = 0; proof < 2; proof++) {
		forgery.proof_key = proof ? key : NULL;
		forge(scene, &forgery);
		assert_int_equal(
		    rh_restore(new, scene->kit.media, &options, NULL, NULL, NULL), RH_OK);
		assert_int_equal(rh_get(new, "gift", take_title, title, NULL), RH_OK);
		assert_string_equal(title, "A gift");
		assert_int_equal(rh_verify(new, scene->kit.media, &options, NULL, NULL, NULL),
		    RH_E_BACKUP_CORRUPT);
		assert_int_equal(rh_remove(new, "gift", NULL), RH_OK);
	}
	rh_store_close(new);
	free(document);
	free(line);
}

/* A licence whose signature is wrong, from a backup that nobody proves. */
static void false_signature(void **state)
{
	struct scene *scene = *state;
	struct issue_keys *stranger = issue_keys_new("2026", "ES256");
	rh_open_options options = with_recovery(scene);
	char *document = stranger_license(stranger, SCENE_ISSUER);
	struct forgery forgery = {.document = document, .id = "gift", .facts = ""};
	struct told told;
	rh_listener listener = scene_listener(&told);
	rh_store *new = kit_store(scene->kit.other, RH_STORE_CREATE);

	scene_pin(scene, new, RH_PIN_ISSUER, scene->issuer, SCENE_ISSUER);
	forge(scene, &forgery);
	assert_int_equal(rh_restore(new, scene->kit.media, &options, &listener, NULL, NULL),
	    RH_E_NOT_ALL_STORED);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.list[0].code, RH_E_LICENSE_SIGNATURE);
	assert_int_equal(kit_count(new, NULL), 0);
	assert_int_equal(
	    rh_verify(new, scene->kit.media, &options, NULL, NULL, NULL), RH_E_BACKUP_CORRUPT);
	rh_store_close(new);
	free(document);
	issue_keys_free(stranger);
}

/* The same, and beside it words that call it another kind of licence, which proves nothing. */
static void false_kind(void **state)
{
	struct scene *scene = *state;
	struct issue_keys *stranger = issue_keys_new("2026", "ES256");
	rh_open_options options = with_recovery(scene);
	char *document = stranger_license(stranger, SCENE_ISSUER), *line = NULL;
	struct forgery forgery = {.document = document, .id = "gift"};
	struct told told;
	rh_listener listener = scene_listener(&told);
	rh_store *new = kit_store(scene->kit.other, RH_STORE_CREATE);

	scene_pin(scene, new, RH_PIN_ISSUER, scene->issuer, SCENE_ISSUER);
	assert_true(
	    asprintf(&line, "%d\tlcp\tgift\t\t\tAnother\t\t\t\t", LICENSE_READERS_VERSION) > 0);
	forgery.facts = line;
	forge(scene, &forgery);
	assert_int_equal(rh_restore(new, scene->kit.media, &options, &listener, NULL, NULL),
	    RH_E_NOT_ALL_STORED);
	assert_int_equal(scene_told(&told, "")->code, RH_E_LICENSE_SIGNATURE);
	assert_int_equal(kit_count(new, NULL), 0);
	rh_store_close(new);
	free(document);
	free(line);
	issue_keys_free(stranger);
}

/* Counts that stay with their computer, and a state that says they are another one's. */
static void false_computer(void **state)
{
	struct scene *scene = *state;
	rh_open_options options = with_recovery(scene);
	rh_store *new = kit_store(scene->kit.other, RH_STORE_CREATE);
	char *document = issue_license(scene->issuer, &(struct issue){.id = "gift",
							  .issuer = SCENE_ISSUER,
							  .computer = scene->computer,
							  .actions = "{\"play\":{\"count\":3}}",
							  .backup = 1});
	char *thumbprint, *words = NULL;
	struct forgery forgery = {.document = document, .id = "gift", .facts = ""};
	struct told told;
	rh_listener listener = scene_listener(&told);
	const char *jwk;

	scene_pin(scene, new, RH_PIN_ISSUER, scene->issuer, SCENE_ISSUER);
	assert_int_equal(rh_store_computer_jwk(new, &jwk, NULL), RH_OK);
	thumbprint = issue_thumbprint(jwk);
	assert_true(
	    asprintf(&words, "{\"counts\":{\"play\":3},\"computer\":\"%s\"}", thumbprint) > 0);
	forgery.state = words;
	forge(scene, &forgery);
	assert_int_equal(
	    rh_restore(new, scene->kit.media, &options, &listener, NULL, NULL), RH_OK);
	assert_int_equal(scene_told(&told, "gift")->code, RH_S_COUNTS_STAY);
	assert_int_equal(rh_license_use(new, "gift", "play", NULL, NULL), RH_E_RIGHT_SPENT);
	rh_store_close(new);
	free(document);
	free(thumbprint);
	free(words);
}

/* A licence that may not be backed up, in a backup all the same. */
static void restricted(void **state)
{
	struct scene *scene = *state;
	rh_open_options options = with_recovery(scene);
	rh_store *new = kit_store(scene->kit.other, RH_STORE_CREATE);
	char *document = issue_license(scene->issuer,
	    &(struct issue){.id = "gift", .issuer = SCENE_ISSUER, .actions = "{\"play\":{}}"});
	struct forgery forgery = {.document = document, .id = "gift", .facts = ""};
	struct told told;
	rh_listener listener = scene_listener(&told);

	scene_pin(scene, new, RH_PIN_ISSUER, scene->issuer, SCENE_ISSUER);
	forge(scene, &forgery);
	assert_int_equal(rh_restore(new, scene->kit.media, &options, &listener, NULL, NULL),
	    RH_E_NOT_ALL_STORED);
	assert_int_equal(scene_told(&told, "gift")->code, RH_E_RESTRICTED);
	assert_int_equal(kit_count(new, NULL), 0);
	assert_int_equal(
	    rh_verify(new, scene->kit.media, &options, NULL, NULL, NULL), RH_E_BACKUP_CORRUPT);
	rh_store_close(new);
	free(document);
}

/* A licence of another kind with the id of a signed one, and nothing left in its state. */
static void foreign_state(void **state)
{
	static const char document[] =
	    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA>"
	    "<LID>{00000001-0000-4000-8000-000000000000}</LID><KID>AAAAAAAAAAAAAAAAAAAAAA==</"
	    "KID>"
	    "<ONACTION type=\"Backup\"><CONDITION>1</CONDITION></ONACTION>"
	    "</DATA></LICENSORINFO></LICENSE>";
	struct scene *scene = *state;
	struct forgery forgery = {.document = document,
	    .id = "00000001-0000-4000-8000-000000000000",
	    .facts = "",
	    .no_secret = true,
	    .state = "{\"counts\":{\"play\":0}}"};
	rh_open_options options = with_recovery(scene);
	rh_summary summary;
	rh_use use;

	scene_add(
	    scene, (struct issue){
		       .id = forgery.id, .actions = "{\"play\":{\"count\":3}}", .backup = 1});
	forge(scene, &forgery);
	assert_int_equal(
	    rh_restore(scene->store, scene->kit.media, &options, NULL, &summary, NULL), RH_OK);
	assert_int_equal(summary.already_here, 1);
	assert_int_equal(rh_license_use(scene->store, forgery.id, "play", &use, NULL), RH_OK);
	assert_int_equal(use.remaining, 2);
}

int main(void)
{
#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    WITH_SCENE(forged),
	    WITH_SCENE(false_words),
	    WITH_SCENE(false_signature),
	    WITH_SCENE(false_kind),
	    WITH_SCENE(false_computer),
	    WITH_SCENE(restricted),
	    WITH_SCENE(foreign_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
