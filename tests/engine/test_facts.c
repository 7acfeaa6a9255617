/*
 * Facts that travel in a backup: believed by a restore of the same version of the readers,
 * compared with the document by a verification, and passed over otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backup/backup.h"
#include "license/license.h"

#include "kit.h"

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)
#define READERS TEXT(LICENSE_READERS_VERSION)
#define ID "00000001-0000-4000-8000-000000000000"

/* A backup of licence 1 whose line of facts is ${facts}, for the owner of ${store}. */
static void write_backup(struct kit *kit, rh_store *store, const char *facts)
{
	struct backup_directory *directory;
	struct backup_header header = {.owned = 1};
	struct backup_writer *writer;
	struct frame_builder *builder;
	const struct backup_frame *frame;
	struct age_recipient recipient;
	uint8_t digest[DIGEST_SIZE], key[KEY_SIZE];
	char *document = kit_license(1, 0);
	rh_recovery_key recovery;
	rh_error error;

	assert_int_equal(rh_recovery_show(store, &recovery, NULL), RH_OK);
	assert_int_equal(age_recipient_parse(&recipient, recovery.recipient, NULL), RH_OK);
	rh_recovery_free(&recovery);
	assert_int_equal(sha256(digest, document, strlen(document), NULL), RH_OK);
	struct frame_license license = {.component = ID,
	    .document = document,
	    .document_size = strlen(document),
	    .digest = digest,
	    .facts = facts,
	    .facts_size = strlen(facts)};

	assert_int_equal(backup_directory_open(kit->media, true, &directory, &error), RH_OK);
	assert_int_equal(es256_key_generate(key, NULL), RH_OK);
	header.bytes = strlen(document);
	snprintf(header.generator, sizeof header.generator, "a test");
	snprintf(
	    header.computer_id, sizeof header.computer_id, "%s", rh_store_computer_id(store));
	assert_int_equal(
	    backup_writer_new(directory, &header, key, NULL, &recipient, 1, 0, &writer, &error),
	    RH_OK);
	assert_int_equal(frame_builder_new(&builder, NULL), RH_OK);
	assert_int_equal(frame_begin(builder, 0, header.created, NULL), RH_OK);
	assert_int_equal(frame_add(builder, &license, &error), RH_OK);
	assert_int_equal(frame_finish(builder, &frame, NULL), RH_OK);
	assert_int_equal(backup_writer_append(writer, frame, NULL), RH_OK);
	assert_int_equal(backup_writer_finish(writer, NULL, NULL, &error), RH_OK);
	assert_int_equal(backup_writer_commit(writer, &error), RH_OK);
	assert_int_equal(backup_prune(directory, 1, NULL), RH_OK);
	backup_writer_free(writer);
	frame_builder_free(builder);
	backup_header_free(&header);
	backup_directory_close(directory);
	free(document);
}

static int take_title(void *context, const rh_license *license)
{
	snprintf(context, 64, "%s", license->title);
	return 0;
}

/* Restores into the kit's other store, gives the title found there, and what verify says. */
static int restore_and_verify(
    struct kit *kit, rh_store *store, const char *facts, char title[64])
{
	rh_store *new;
	char command[200];
	rh_error error;
	int code;

	write_backup(kit, store, facts);
	snprintf(command, sizeof command, "rm -rf %s", kit->other);
	assert_int_equal(system(command), 0);
	rh_recovery_key key;
	assert_int_equal(rh_recovery_show(store, &key, NULL), RH_OK);
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	open.recovery_key = key.identity;
	new = kit_store(kit->other, RH_STORE_CREATE);
	assert_int_equal(rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_OK);
	assert_int_equal(rh_get(new, ID, take_title, title, &error), RH_OK);
	code = rh_verify(store, kit->media, &open, NULL, NULL, &error);
	rh_recovery_free(&key);
	rh_store_close(new);
	return code;
}

static void facts_travel(void **state)
{
	struct kit kit;
	rh_store *store;
	char title[64];

	(void)state;
	kit_open(&kit);
	store = kit_store(kit.store, RH_STORE_CREATE);
	assert_int_equal(rh_recovery_make(store, NULL), RH_OK);

	/* A line that says something else: the restore believes it, verify does not. */
	assert_int_equal(restore_and_verify(&kit, store,
			     READERS "\twmdrm\t" ID "\t\tHarmonia\tAnother\t\t\t\t", title),
	    RH_E_BACKUP_CORRUPT);
	assert_string_equal(title, "Another");
	/* Of other readers, of another licence, or no line at all: the document tells. */
	assert_int_equal(restore_and_verify(&kit, store,
			     "1\twmdrm\t" ID "\t\tHarmonia\tAnother\t\t\t\t", title),
	    RH_OK);
	assert_string_equal(title, "Track 1");
	assert_int_equal(restore_and_verify(
			     &kit, store, READERS "\twmdrm\tother\t\t\tAnother\t\t\t\t", title),
	    RH_E_BACKUP_CORRUPT);
	assert_string_equal(title, "Track 1");
	/* Words that no licence has: they would speak to the terminal. */
	assert_int_equal(
	    restore_and_verify(&kit, store,
		READERS "\twmdrm\t" ID "\t\tHarmonia\tAnother\x1b[2J\t\t\t\t", title),
	    RH_OK);
	assert_string_equal(title, "Track 1");
	assert_int_equal(restore_and_verify(&kit, store, "", title), RH_OK);
	assert_string_equal(title, "Track 1");
	rh_store_close(store);
	kit_close(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(facts_travel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
