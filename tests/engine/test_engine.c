#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kit.h"

static int setup(void **state)
{
	struct kit *kit = calloc(1, sizeof *kit);

	assert_non_null(kit);
	kit_open(kit);
	*state = kit;
	return 0;
}

static int teardown(void **state)
{
	kit_close(*state);
	free(*state);
	return 0;
}

static int backup(rh_store *store, struct kit *kit, int overwrite, unsigned keep,
    struct heard *heard, rh_summary *summary, rh_error *error)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	rh_listener listener = {0};

	if (heard != NULL)
		listener = kit_listener(heard);
	options.overwrite = overwrite;
	options.keep = keep;
	return rh_backup(store, kit->media, &options, &listener, summary, error);
}

/* Path of the n-th *.age file by name, sorted; "" if there is none. */
static void age_file(struct kit *kit, int n, char path[300])
{
	struct dirent **names;
	int count = scandir(kit->media, &names, NULL, alphasort), seen = 0;

	path[0] = '\0';
	assert_true(count >= 0);
	for (int i = 0; i < count; i++) {
		const char *dot = strrchr(names[i]->d_name, '.');

		if (dot != NULL && strcmp(dot, ".age") == 0 &&
		    strncmp(names[i]->d_name, "licenses-", 9) == 0 && seen++ == n)
			snprintf(path, 300, "%s/%.180s", kit->media, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

static void flip(const char *path, long offset)
{
	FILE *file = fopen(path, "r+b");
	int byte;

	assert_non_null(file);
	assert_int_equal(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
	byte = fgetc(file);
	fseek(file, -1, SEEK_CUR);
	fputc(byte ^ 1, file);
	fclose(file);
}

static void keep_key(rh_store *store, char text[128])
{
	rh_recovery_key key;

	assert_int_equal(rh_recovery_show(store, &key, NULL), RH_OK);
	snprintf(text, 128, "%s", key.code);
	rh_recovery_free(&key);
	assert_null(key.code);
}

static void main_job(void **state)
{
	struct kit *kit = *state;
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	rh_store *old = kit_store(kit->store, RH_STORE_CREATE), *new;
	struct heard heard;
	rh_listener listener;
	rh_summary summary;
	char key[128];
	rh_error error;
	size_t first;

	kit_add(old, 0, 3000, 100);
	assert_int_equal(backup(old, kit, 0, 1, &heard, &summary, &error), RH_OK);
	assert_int_equal(summary.done, 2970);
	assert_int_equal(summary.restricted, 30);
	assert_int_equal(heard.ends, 1);
	assert_int_equal(heard.types[0], RH_EVENT_MEDIUM);
	/* On a machine with one disk there is a word about that. */
	first = heard.types[1] == RH_EVENT_NOTICE ? 2 : 1;
	assert_int_equal(heard.types[first], RH_EVENT_BEGIN);
	assert_int_equal(heard.types[first + 1], RH_EVENT_RECOVERY_KEY);
	assert_int_equal(heard.types[first + 2], RH_EVENT_TOTALS);
	assert_int_equal(kit_heard(&heard, RH_EVENT_RESTRICTED), 30);
	assert_int_equal(heard.codes[heard.count - 1], RH_OK);
	keep_key(old, key);

	kit_be(kit, "b");
	new = kit_store(kit->other, RH_STORE_CREATE);
	listener = kit_listener(&heard);
	assert_int_equal(rh_restore(new, kit->media, &open, &listener, &summary, &error),
	    RH_E_SECRET_NEEDED);
	assert_int_equal(heard.types[1], RH_EVENT_CONNECTING);
	assert_int_equal(heard.codes[heard.count - 1], RH_E_SECRET_NEEDED);
	open.recovery_key = key;
	listener = kit_listener(&heard);
	assert_int_equal(
	    rh_restore(new, kit->media, &open, &listener, &summary, &error), RH_OK);
	assert_int_equal(summary.done, 2970);
	assert_int_equal(heard.types[1], RH_EVENT_CONNECTING);
	assert_int_equal(heard.types[2], RH_EVENT_DISCONNECTING);
	assert_int_equal(heard.types[3], RH_EVENT_BEGIN);
	assert_int_equal(heard.types[4], RH_EVENT_TOTALS);
	assert_int_equal(kit_heard(&heard, RH_EVENT_LICENSE), 0);
	assert_int_equal(heard.ends, 1);
	assert_true(kit_same(old, new));

	/* Once more: everything is here already, nothing is added. */
	assert_int_equal(rh_restore(new, kit->media, &open, NULL, &summary, &error), RH_OK);
	assert_int_equal(summary.done, 0);
	assert_int_equal(summary.already_here, 2970);
	assert_int_equal(kit_count(new, NULL), 2970);
	rh_store_close(new);
	rh_store_close(old);
}

/* Whether the database of ${directory} is in its write-ahead mode (SQLite file format, 1.3). */
static bool has_log(const char *directory)
{
	char path[200];
	unsigned char header[20];
	FILE *file;

	snprintf(path, sizeof path, "%s/licenses.db", directory);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(header, 1, sizeof header, file), sizeof header);
	fclose(file);
	return header[18] == 2 && header[19] == 2;
}

/* An empty store is filled alike, whether somebody else has it open or not. */
static void filling_an_empty_store(void **state)
{
	struct kit *kit = *state;
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	rh_store *old = kit_store(kit->store, RH_STORE_CREATE), *new, *reader;
	char key[128], second[120];
	rh_error error;

	kit_add(old, 0, 2000, 0);
	assert_int_equal(backup(old, kit, 0, 1, NULL, NULL, &error), RH_OK);
	keep_key(old, key);
	open.recovery_key = key;
	new = kit_store(kit->other, RH_STORE_CREATE);
	assert_int_equal(rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_OK);
	assert_true(kit_same(old, new));
	rh_store_close(new);
	assert_true(has_log(kit->other));

	snprintf(second, sizeof second, "%s/second", kit->root);
	new = kit_store(second, RH_STORE_CREATE);
	reader = kit_store(second, RH_STORE_READ_ONLY);
	assert_int_equal(kit_count(reader, NULL), 0);
	assert_int_equal(rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_OK);
	assert_int_equal(kit_count(reader, NULL), 2000);
	rh_store_close(reader);
	rh_store_close(new);
	assert_true(has_log(second));
	rh_store_close(old);
}

static void own_computer_needs_no_key(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	rh_summary summary;
	char path[200];

	kit_add(store, 0, 10, 0);
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	rh_store_close(store);
	/* The database is lost, the computer is the same. */
	snprintf(path, sizeof path, "%s/licenses.db", kit->store);
	assert_int_equal(unlink(path), 0);
	store = kit_store(kit->store, RH_STORE_CREATE);
	assert_int_equal(rh_restore(store, kit->media, NULL, NULL, &summary, NULL), RH_OK);
	assert_int_equal(summary.done, 10);
	rh_store_close(store);
}

static void plan_changes_nothing(void **state)
{
	struct kit *kit = *state;
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	struct heard heard;
	rh_listener listener = kit_listener(&heard);
	rh_summary summary;
	char key[128];

	kit_add(store, 0, 20, 0);
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	keep_key(store, key);
	for (int i = 0; i < 5; i++) {
		char id[64];
		snprintf(id, sizeof id, "%08x-0000-4000-8000-000000000000", i);
		assert_int_equal(rh_remove(store, id, NULL), RH_OK);
	}
	assert_int_equal(rh_remove(store, "nothing", NULL), RH_E_LICENSE_UNKNOWN);
	open.plan = 1;
	assert_int_equal(
	    rh_restore(store, kit->media, &open, &listener, &summary, NULL), RH_OK);
	assert_int_equal(summary.done, 5);
	assert_int_equal(summary.already_here, 15);
	assert_int_equal(kit_heard(&heard, RH_EVENT_LICENSE), 20);
	assert_int_equal(kit_count(store, NULL), 15);
	rh_store_close(store);

	/* A plan for a computer that has no store yet. */
	open.recovery_key = key;
	assert_int_equal(rh_restore(NULL, kit->media, &open, NULL, &summary, NULL), RH_OK);
	assert_int_equal(summary.done, 20);
	open.plan = 0;
	assert_int_equal(
	    rh_restore(NULL, kit->media, &open, NULL, &summary, NULL), RH_E_ARGUMENT);
}

/* Of the backup ${path}. */
static void remove_parity(const char *path)
{
	char parity[320];

	snprintf(
	    parity, sizeof parity, "%.*s.parity", (int)(strlen(path) - strlen(".age")), path);
	assert_int_equal(unlink(parity), 0);
}

static void generations(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	struct heard heard;
	rh_summary summary;
	char first[300], second[300], third[300];

	kit_add(store, 0, 10, 0);
	assert_int_equal(rh_backup_exists(kit->media, NULL), RH_OK);
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	age_file(kit, 0, first);
	assert_int_equal(rh_backup_exists(kit->media, NULL), RH_E_BACKUP_EXISTS);
	assert_int_equal(backup(store, kit, 0, 1, &heard, NULL, NULL), RH_E_BACKUP_EXISTS);
	assert_int_equal(heard.count, 1);
	assert_int_equal(heard.codes[0], RH_E_BACKUP_EXISTS);

	kit_add(store, 10, 20, 0);
	sleep(1);
	assert_int_equal(backup(store, kit, 1, 2, NULL, NULL, NULL), RH_OK);
	age_file(kit, 1, second);
	age_file(kit, 0, third);
	assert_string_equal(first, third);

	/* The newest is damaged, and beyond repair: the one before it is used, and that is
	 * said. */
	remove_parity(second);
	flip(second, -1000);
	struct heard told;
	rh_listener listener = kit_listener(&told);
	rh_store *new = kit_store(kit->other, RH_STORE_CREATE);
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	char key[128];
	keep_key(store, key);
	open.recovery_key = key;
	assert_int_equal(rh_restore(new, kit->media, &open, &listener, &summary, NULL), RH_OK);
	assert_int_equal(summary.done, 10);
	assert_int_equal(kit_heard(&told, RH_EVENT_NOTICE), 1);
	assert_int_equal(kit_heard(&told, RH_EVENT_BEGIN), 1);
	assert_int_equal(
	    rh_verify(store, kit->media, NULL, NULL, NULL, NULL), RH_E_BACKUP_CORRUPT);

	/* Keep one: the old ones go. */
	sleep(1);
	assert_int_equal(backup(store, kit, 1, 1, NULL, NULL, NULL), RH_OK);
	age_file(kit, 1, third);
	assert_string_equal(third, "");
	assert_int_equal(rh_verify(store, kit->media, NULL, NULL, &summary, NULL), RH_OK);
	assert_int_equal(summary.done, 20);
	rh_store_close(new);
	rh_store_close(store);
}

/* None is whole: the newest has the most, and what is lost of it is told. */
static void all_damaged(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE), *new;
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	rh_listener listener;
	struct heard heard;
	struct stat status;
	rh_summary summary;
	char key[128], path[300];
	rh_error error;

	kit_add(store, 0, 2000, 0);
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	kit_add(store, 2000, 8000, 0);
	assert_int_equal(backup(store, kit, 1, 2, NULL, NULL, NULL), RH_OK);
	keep_key(store, key);
	open.recovery_key = key;
	for (int i = 0; i < 2; i++) {
		age_file(kit, i, path);
		remove_parity(path);
		flip(path, 90000);
	}
	for (int times = 0; times < 2; times++) {
		new = kit_store(kit->other, RH_STORE_CREATE);
		listener = kit_listener(&heard);
		assert_int_equal(
		    rh_restore(new, kit->media, &open, &listener, &summary, &error),
		    RH_E_NOT_ALL_STORED);
		assert_int_equal(error.code, RH_E_NOT_ALL_STORED);
		assert_int_equal(summary.licenses, 8000);
		assert_int_equal(summary.done + summary.already_here + summary.failed, 8000);
		assert_true(summary.done + summary.already_here > 2000);
		assert_int_equal(kit_heard(&heard, RH_EVENT_BEGIN), 1);
		assert_int_equal(heard.ends, 1);
		rh_store_close(new);
	}
	/* Nothing at all of the newest can be read any more: then the one before it,
	 * of which only a manifest is lost. */
	age_file(kit, 1, path);
	assert_int_equal(stat(path, &status), 0);
	flip(path, 90000);
	for (long at = 2000; at < (long)status.st_size; at += 65536)
		flip(path, at);
	flip(path, -10);
	new = kit_store(kit->other, 0);
	assert_int_equal(rh_restore(new, kit->media, &open, NULL, &summary, &error), RH_OK);
	assert_int_equal(error.code, RH_OK);
	assert_int_equal(summary.licenses, 2000);
	assert_true(summary.already_here > 0);
	rh_store_close(new);
	rh_store_close(store);
}

static void damaged_restore(void **state)
{
	struct kit *kit = *state;
	rh_summary summary, verified;
	struct stat status;
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE), *new;
	struct heard heard;
	rh_listener listener = kit_listener(&heard);
	char key[128], path[300];
	rh_error error;

	kit_add(store, 0, 20000, 0);
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	keep_key(store, key);
	age_file(kit, 0, path);
	assert_int_equal(stat(path, &status), 0);
	flip(path, -(long)status.st_size / 2);
	new = kit_store(kit->other, RH_STORE_CREATE);
	kit_add(new, 90000, 90001, 0);
	open.recovery_key = key;

	/* The parity mends it, in memory alone. */
	open.plan = 1;
	assert_int_equal(rh_restore(new, kit->media, &open, NULL, &summary, &error), RH_OK);
	assert_int_equal(summary.done, 20000);
	open.filter = "title=nothing";
	assert_int_equal(
	    rh_restore(new, kit->media, &open, &listener, &summary, &error), RH_OK);
	assert_int_equal(kit_heard(&heard, RH_EVENT_CONDITION), 1);
	open.filter = NULL;
	assert_int_equal(
	    rh_verify(store, kit->media, NULL, NULL, NULL, &error), RH_E_BACKUP_MENDABLE);
	open.plan = 0;

	/* Without it those that are whole come, and each other one is told of. */
	remove_parity(path);
	listener = kit_listener(&heard);
	assert_int_equal(rh_restore(new, kit->media, &open, &listener, &summary, &error),
	    RH_E_NOT_ALL_STORED);
	assert_int_equal(heard.codes[heard.count - 1], RH_E_NOT_ALL_STORED);
	assert_int_equal(summary.licenses, 20000);
	assert_true(summary.failed > 0 && summary.failed < 4000);
	assert_int_equal(summary.done + summary.failed, 20000);
	assert_int_equal(kit_heard(&heard, RH_EVENT_LICENSE), summary.failed);
	assert_int_equal(kit_heard(&heard, RH_EVENT_CONDITION), 1);
	assert_int_equal(kit_count(new, NULL), 1 + summary.done);
	assert_int_equal(rh_store_check(new, NULL, NULL, &error), RH_OK);
	assert_int_equal(
	    rh_verify(store, kit->media, NULL, NULL, &verified, &error), RH_E_BACKUP_CORRUPT);
	assert_int_equal(verified.failed, summary.failed);

	/* Nothing is whole. */
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(
	    rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_E_BACKUP_CORRUPT);
	assert_int_equal(kit_count(new, NULL), 1 + summary.done);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(
	    rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_E_BACKUP_MISSING);
	rh_store_close(new);
	rh_store_close(store);
}

static void secrets(void **state)
{
	struct kit *kit = *state;
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE), *new;
	rh_recovery_key key;
	char *recipient, typed[128];
	rh_error error;

	assert_int_equal(rh_recovery_show(store, &key, &error), RH_E_SECRET_NEEDED);
	kit_add(store, 0, 3, 0);
	options.passphrase = "correct horse";
	assert_int_equal(rh_backup(store, kit->media, &options, NULL, NULL, &error), RH_OK);
	assert_int_equal(rh_recovery_make(store, &error), RH_S_ALREADY_HERE);
	assert_int_equal(rh_recovery_show(store, &key, &error), RH_OK);
	assert_int_equal(rh_recovery_check(store, key.identity, &recipient, &error), RH_OK);
	assert_string_equal(recipient, key.recipient);
	rh_free(recipient);
	snprintf(typed, sizeof typed, "%s", key.code);
	typed[7] = typed[7] == '7' ? '8' : '7';
	assert_int_equal(
	    rh_recovery_check(store, typed, &recipient, &error), RH_E_SECRET_TYPED);
	assert_non_null(strstr(error.text, "group 2"));

	kit_be(kit, "b");
	new = kit_store(kit->other, RH_STORE_CREATE);
	open.recovery_key = typed;
	assert_int_equal(
	    rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_E_SECRET_TYPED);
	assert_int_equal(rh_recovery_make(new, NULL), RH_OK);
	rh_recovery_key wrong;
	assert_int_equal(rh_recovery_show(new, &wrong, NULL), RH_OK);
	open.recovery_key = wrong.identity;
	assert_int_equal(
	    rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_E_SECRET_WRONG);
	assert_int_equal(
	    rh_recovery_check(store, wrong.code, &recipient, &error), RH_E_SECRET_WRONG);
	open.recovery_key = NULL;
	open.passphrase = "wrong";
	assert_int_equal(
	    rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_E_SECRET_WRONG);
	open.passphrase = "correct horse";
	assert_int_equal(rh_restore(new, kit->media, &open, NULL, NULL, &error), RH_OK);
	assert_int_equal(kit_count(new, NULL), 3);
	rh_recovery_free(&wrong);

	assert_int_equal(rh_recovery_forget(store, &error), RH_OK);
	rh_recovery_free(&key);
	assert_int_equal(rh_recovery_show(store, &key, &error), RH_OK);
	assert_null(key.identity);
	assert_non_null(key.recipient);
	rh_recovery_free(&key);
	options.overwrite = 1;
	assert_int_equal(
	    rh_backup(store, kit->media, &options, NULL, NULL, &error), RH_E_SECRET_FORGOTTEN);
	options.passphrase = NULL;
	assert_int_equal(rh_backup(store, kit->media, &options, NULL, NULL, &error), RH_OK);
	rh_store_close(new);
	rh_store_close(store);
}

static void adding(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	char *text = kit_license(1, 0), *date;
	rh_summary summary;
	size_t size = strlen(text);

	assert_int_equal(kit_add_document(store, text, size, "a.xml", NULL, &summary), RH_OK);
	assert_int_equal(summary.done, 1);
	assert_int_equal(kit_add_document(store, text, size, "b.xml", NULL, &summary), RH_OK);
	assert_int_equal(summary.already_here, 1);
	date = strstr(text, "20060623");
	memcpy(date, "20050623", 8);
	assert_int_equal(kit_add_document(store, text, size, "a.xml", NULL, &summary), RH_OK);
	assert_int_equal(summary.already_here, 1);
	memcpy(date, "20070623", 8);
	assert_int_equal(kit_add_document(store, text, size, "a.xml", NULL, &summary), RH_OK);
	assert_int_equal(summary.updated, 1);
	*strstr(text, "Track 1") = 'B';
	assert_int_equal(kit_add_document(store, text, size, "a.xml", NULL, &summary), RH_OK);
	assert_int_equal(summary.failed, 1);
	assert_int_equal(kit_count(store, NULL), 1);

	assert_int_equal(kit_add_document(store, "what", 4, "x", NULL, &summary), RH_OK);
	assert_int_equal(summary.failed, 1);
	assert_int_equal(
	    kit_add_document(store, "what", 4, "dir/my.lic", "opaque", &summary), RH_OK);
	assert_int_equal(summary.done, 1);
	assert_int_equal(kit_count(store, "format=opaque,title=my.lic"), 1);
	assert_int_equal(
	    kit_add_document(store, text, RH_LICENSE_MAX + 1u, "x", NULL, &summary), RH_OK);
	assert_int_equal(summary.failed, 1);

	/* An opaque licence keeps its name through a backup. */
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	rh_store *new = kit_store(kit->other, RH_STORE_CREATE);
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	char key[128];
	keep_key(store, key);
	open.recovery_key = key;
	assert_int_equal(rh_restore(new, kit->media, &open, NULL, &summary, NULL), RH_OK);
	assert_int_equal(kit_count(new, "title=MY.*"), 1);
	assert_true(kit_same(store, new));
	rh_store_close(new);
	rh_store_close(store);
	free(text);
}

static int failing_source(void *context, rh_document *ret, rh_error *error)
{
	int *calls = context;
	static char text[] = "<LICENSE";

	if ((*calls)++ == 0) {
		*ret = (rh_document){.data = text, .size = 8, .name = "x"};
		return 1;
	}
	error->code = RH_E_READ;
	snprintf(error->text, sizeof error->text, "the cable is gone");
	return -1;
}

static void source_gives_up(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	struct heard heard;
	rh_listener listener = kit_listener(&heard);
	rh_error error;
	int calls = 0;

	assert_int_equal(
	    rh_add(store, failing_source, &calls, &listener, NULL, &error), RH_E_READ);
	assert_string_equal(error.text, "the cable is gone");
	assert_int_equal(heard.ends, 1);
	rh_store_close(store);
}

static void filters(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	rh_error error;
	size_t count = 0;

	kit_add(store, 0, 30, 10);
	assert_int_equal(kit_count(store, ""), 30);
	assert_int_equal(kit_count(store, "issuer=harmonia"), 10);
	assert_int_equal(kit_count(store, "issuer=harmonia,title=*1"), 1);
	assert_int_equal(kit_count(store, "class=restricted"), 3);
	assert_int_equal(kit_count(store, "title=Track\\, 1"), 0);
	assert_int_equal(
	    rh_enumerate(store, "colour=red", NULL, &count, &error), RH_E_ARGUMENT);
	assert_int_equal(kit_count(store, "id=0000001?-*"), 14);
	rh_store_close(store);
}

/* A cancel at every poll: nothing changes, or everything is done. */
static void cancel_everywhere(void **state)
{
	struct kit *kit = *state;
	rh_open_options open = RH_OPEN_OPTIONS_INIT;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE), *new;
	struct heard heard;
	rh_listener listener;
	char path[300], key[128];
	int code = RH_E_CANCELED;
	long polls;

	kit_add(store, 0, 40, 7);
	for (polls = 0; code == RH_E_CANCELED; polls++) {
		listener = kit_listener(&heard);
		heard.polls_left = polls;
		code = rh_backup(store, kit->media, NULL, &listener, NULL, NULL);
		assert_int_equal(heard.ends, 1);
		assert_int_equal(heard.codes[heard.count - 1], code);
		age_file(kit, 0, path);
		assert_int_equal(code == RH_OK, path[0] != '\0');
	}
	assert_int_equal(code, RH_OK);
	assert_true(polls > 40);
	keep_key(store, key);
	open.recovery_key = key;
	new = kit_store(kit->other, RH_STORE_CREATE);
	code = RH_E_CANCELED;
	for (polls = 0; code == RH_E_CANCELED; polls++) {
		listener = kit_listener(&heard);
		heard.polls_left = polls;
		code = rh_restore(new, kit->media, &open, &listener, NULL, NULL);
		assert_int_equal(heard.ends, 1);
		assert_int_equal(kit_count(new, NULL), code == RH_OK ? 34 : 0);
	}
	assert_int_equal(code, RH_OK);
	assert_true(polls > 30);

	/* A callback's return stops as well. */
	listener = kit_listener(&heard);
	heard.stop_at_type = RH_EVENT_RESTRICTED;
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	options.overwrite = 1;
	assert_int_equal(
	    rh_backup(store, kit->media, &options, &listener, NULL, NULL), RH_E_CANCELED);
	rh_store_close(new);
	rh_store_close(store);
}

static void stores_refused(void **state)
{
	struct kit *kit = *state;
	rh_store *store = NULL;
	char command[400];
	rh_error error;

	assert_int_equal(rh_store_open(kit->store, 0, &store, &error), RH_E_STORE_MISSING);
	store = kit_store(kit->store, RH_STORE_CREATE);
	kit_add(store, 0, 3, 0);
	rh_store_close(store);
	kit_be(kit, "b");
	assert_int_equal(
	    rh_store_open(kit->store, 0, &store, &error), RH_E_STORE_OTHER_COMPUTER);
	/* Copied without its key, or beside the key of another computer. */
	snprintf(command, sizeof command, "mkdir %s && cp %s/licenses.db %s", kit->other,
	    kit->store, kit->other);
	assert_int_equal(system(command), 0);
	assert_int_equal(rh_store_open(kit->other, RH_STORE_CREATE, &store, &error),
	    RH_E_STORE_OTHER_COMPUTER);
	snprintf(command, sizeof command, "%s/third", kit->root);
	rh_store_close(kit_store(command, RH_STORE_CREATE));
	snprintf(command, sizeof command, "cp %s/third/computer.key %s", kit->root, kit->other);
	assert_int_equal(system(command), 0);
	assert_int_equal(
	    rh_store_open(kit->other, 0, &store, &error), RH_E_STORE_OTHER_COMPUTER);
	kit_be(kit, "a");
	snprintf(command, sizeof command, "%s/licenses.db", kit->store);
	assert_int_equal(truncate(command, 3000), 0);
	assert_int_equal(rh_store_open(kit->store, 0, &store, &error), RH_E_STORE_DAMAGED);
	assert_int_equal(rh_store_open(kit->store, 64, &store, &error), RH_E_ARGUMENT);
	setenv("REHOST_MACHINE_ID_FILE", "/nonexistent", 1);
	snprintf(command, sizeof command, "%s/fourth", kit->root);
	assert_int_equal(
	    rh_store_open(command, RH_STORE_CREATE, &store, &error), RH_E_COMPUTER_ID);
}

static void paths_refused(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	char path[200];
	rh_error error;

	kit_add(store, 0, 3, 0);
	snprintf(path, sizeof path, "%s/none", kit->root);
	assert_int_equal(rh_backup(store, path, NULL, NULL, NULL, &error), RH_E_NO_DIRECTORY);
	assert_int_equal(rh_restore(store, path, NULL, NULL, NULL, &error), RH_E_NO_DIRECTORY);
	assert_int_equal(
	    rh_backup(store, kit->machine_id, NULL, NULL, NULL, &error), RH_E_NOT_DIRECTORY);
	assert_int_equal(
	    rh_restore(store, kit->media, NULL, NULL, NULL, &error), RH_E_BACKUP_MISSING);
	assert_int_equal(rh_backup(store, "", NULL, NULL, NULL, &error), RH_E_ARGUMENT);
	assert_int_equal(rh_backup(NULL, kit->media, NULL, NULL, NULL, &error), RH_E_ARGUMENT);
	rh_backup_options options = {0};
	assert_int_equal(
	    rh_backup(store, kit->media, &options, NULL, NULL, &error), RH_E_ARGUMENT);
	const char *recipients[] = {"age1nonsense"};
	options = (rh_backup_options)RH_BACKUP_OPTIONS_INIT;
	options.recipients = recipients;
	options.recipient_count = 1;
	assert_int_equal(
	    rh_backup(store, kit->media, &options, NULL, NULL, &error), RH_E_RECIPIENT);
	rh_store_close(store);
}

static void exporting(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	char target[200], command[600];
	rh_summary summary;
	rh_error error;

	kit_add(store, 0, 50, 10);
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	snprintf(target, sizeof target, "%s/out", kit->root);
	assert_int_equal(
	    rh_export(store, kit->media, target, NULL, NULL, &summary, &error), RH_OK);
	assert_int_equal(summary.done, 45);
	snprintf(command, sizeof command, "test $(ls %s/licenses | wc -l) = 45", target);
	assert_int_equal(system(command), 0);
	assert_int_equal(
	    rh_export(store, kit->media, target, NULL, NULL, &summary, &error), RH_E_ARGUMENT);
	rh_store_close(store);
}

struct inspection {
	size_t generations;
	size_t licenses;
	uint64_t owned;
	uint64_t restricted;
};

static void on_generation(void *context, const rh_generation *generation)
{
	assert_true(generation->whole);
	((struct inspection *)context)->generations++;
}

static void on_header(void *context, const rh_backup_header *header)
{
	((struct inspection *)context)->owned = header->owned;
	((struct inspection *)context)->restricted = header->restricted;
}

static int on_license(void *context, const rh_license *license)
{
	assert_int_equal(license->license_class, RH_CLASS_OWNED);
	return ++((struct inspection *)context)->licenses == 3;
}

static void inspecting(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	struct inspection seen = {0};
	rh_inspector inspector = {on_generation, on_header, on_license, &seen};
	rh_summary summary;
	rh_error error;

	kit_add(store, 0, 50, 10);
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	assert_int_equal(rh_inspect(store, kit->media, NULL, &inspector, &error), RH_OK);
	assert_int_equal(seen.generations, 1);
	assert_int_equal(seen.owned, 45);
	assert_int_equal(seen.restricted, 5);
	assert_int_equal(seen.licenses, 3);
	/* Without a key: the generations, and what is missing. */
	assert_int_equal(
	    rh_inspect(NULL, kit->media, NULL, &inspector, &error), RH_E_SECRET_NEEDED);
	assert_int_equal(seen.generations, 2);
	assert_int_equal(rh_verify(NULL, kit->media, NULL, NULL, &summary, &error), RH_OK);
	assert_int_equal(summary.done, 0);
	assert_int_equal(rh_verify(store, kit->media, NULL, NULL, &summary, &error), RH_OK);
	assert_int_equal(summary.done, 45);
	rh_store_close(store);
}

static void empty_store(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	struct heard heard;
	rh_summary summary;

	assert_int_equal(backup(store, kit, 0, 1, &heard, &summary, NULL), RH_OK);
	assert_int_equal(summary.licenses, 0);
	assert_int_equal(rh_restore(store, kit->media, NULL, NULL, &summary, NULL), RH_OK);
	assert_int_equal(rh_verify(store, kit->media, NULL, NULL, &summary, NULL), RH_OK);
	rh_store_close(store);
}

/* The end that a listener hears is the result. */
static int verify_deep(rh_store *store, const struct kit *kit)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	struct heard heard;
	rh_listener listener = kit_listener(&heard);
	rh_error error;
	int code;

	options.deep = 1;
	code = rh_verify(store, kit->media, &options, &listener, NULL, &error);
	assert_int_equal(heard.ends, 1);
	assert_int_equal(heard.types[heard.count - 1], RH_EVENT_END);
	assert_int_equal(heard.codes[heard.count - 1], code);
	return code;
}

static void insisting_on_a_key(void **state)
{
	struct kit *kit = *state;
	rh_store *store = kit_store(kit->store, RH_STORE_CREATE);
	struct stat status;
	char path[300];

	/* A backup of nothing opens too. */
	assert_int_equal(backup(store, kit, 0, 1, NULL, NULL, NULL), RH_OK);
	assert_int_equal(verify_deep(store, kit), RH_OK);
	assert_int_equal(verify_deep(NULL, kit), RH_E_SECRET_NEEDED);

	kit_add(store, 0, 2000, 0);
	assert_int_equal(backup(store, kit, 1, 1, NULL, NULL, NULL), RH_OK);
	assert_int_equal(verify_deep(store, kit), RH_OK);
	assert_int_equal(verify_deep(NULL, kit), RH_E_SECRET_NEEDED);
	age_file(kit, 0, path);
	assert_int_equal(stat(path, &status), 0);
	flip(path, -(long)status.st_size / 2);
	assert_int_equal(verify_deep(store, kit), RH_E_BACKUP_MENDABLE);
	assert_int_equal(verify_deep(NULL, kit), RH_E_SECRET_NEEDED);
	/* What is lost no key gives back. */
	for (long at = status.st_size / 2; at < status.st_size; at += 4096)
		flip(path, at);
	assert_int_equal(verify_deep(NULL, kit), RH_E_BACKUP_CORRUPT);
	rh_store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(main_job),
	    TEST(filling_an_empty_store),
	    TEST(own_computer_needs_no_key),
	    TEST(plan_changes_nothing),
	    TEST(generations),
	    TEST(all_damaged),
	    TEST(damaged_restore),
	    TEST(secrets),
	    TEST(adding),
	    TEST(source_gives_up),
	    TEST(filters),
	    TEST(cancel_everywhere),
	    TEST(stores_refused),
	    TEST(paths_refused),
	    TEST(exporting),
	    TEST(inspecting),
	    TEST(empty_store),
	    TEST(insisting_on_a_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
