/*
 * Signed licences in backups: managed secrets that only their service can open, and what a
 * second computer gets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "authority/message.h"
#include "crypto/managed.h"
#include "engine/engine.h"

#include "scene.h"
#include "seen.h"

#define SERVICES 3 /* of these the last is not known here */
#define PER_SERVICE 4
#define OWNED 5
#define SECRET_SIZE 24

struct whole {
	struct scene scene;
	struct issue_keys *keys[SERVICES];
};

static void service_name(char name[64], int service)
{
	snprintf(name, 64, "https://service-%d.example/lms", service);
}

/* Number ${i} of ${service}; -1: owned. */
static void license_id(char id[32], int service, int i)
{
	if (service < 0)
		snprintf(id, 32, "owned-%d", i);
	else
		snprintf(id, 32, "managed-%d-%d", service, i);
}

static void secret_of(char secret[SECRET_SIZE + 1], int service, int i)
{
	memcpy(secret, "secret of ? by ?, not ?!", SECRET_SIZE + 1);
	secret[10] = (char)('0' + i);
	secret[15] = (char)('A' + service + 1);
	secret[22] = (char)('a' + i * 3 + service + 1);
}

static void add(struct whole *w, int service, int i)
{
	char id[32], address[64], secret[SECRET_SIZE + 1];

	license_id(id, service, i);
	service_name(address, service);
	secret_of(secret, service, i);
	scene_add(&w->scene, (struct issue){.id = id,
				 .key_id = id,
				 .actions = "{\"play\":{\"count\":3},\"copy\":{}}",
				 .title = "{\"en\":\"River songs\",\"de\":\"Flusslieder\"}",
				 .service = service < 0 ? NULL : address,
				 .computers = service < 0 ? 0 : 4,
				 .content_key = secret,
				 .content_key_size = SECRET_SIZE,
				 .backup = 1});
}

static void backup(struct whole *w)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	rh_summary summary;
	rh_error error;

	options.overwrite = 1;
	if (rh_backup(w->scene.store, w->scene.kit.media, &options, NULL, &summary, &error) !=
	    RH_OK)
		fail_msg("%s", error.text);
	assert_int_equal(summary.done, OWNED + (SERVICES - 1) * PER_SERVICE);
	assert_int_equal(summary.restricted, PER_SERVICE);
}

static int setup(void **state)
{
	struct whole *w = calloc(1, sizeof *w);
	char address[64];

	assert_non_null(w);
	setenv("LC_ALL", "C", 1);
	scene_open(&w->scene);
	for (int service = -1; service < SERVICES; service++)
		for (int i = 0; i < (service < 0 ? OWNED : PER_SERVICE); i++)
			add(w, service, i);
	for (int service = 0; service < SERVICES; service++) {
		w->keys[service] = issue_keys_new("s1", "ECDH-ES+A256KW");
		service_name(address, service);
		if (service < SERVICES - 1)
			scene_pin(&w->scene, w->scene.store, RH_PIN_SERVICE, w->keys[service],
			    address);
	}
	backup(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct whole *w = *state;

	for (int service = 0; service < SERVICES; service++)
		issue_keys_free(w->keys[service]);
	scene_close(&w->scene);
	free(w);
	return 0;
}

static rh_open_options with_recovery(const struct whole *w)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;

	options.recovery_key = w->scene.recovery.identity;
	return options;
}

/* ---- Nothing reveals a managed secret ---- */

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char command[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	assert_int_equal(system(command), 0);
}

/* Exports, and opens the backup with the ordinary tools; sees all of it. */
static void see_everything(struct whole *w)
{
	rh_open_options options = with_recovery(w);
	char target[160], key[160];
	rh_summary summary;
	FILE *file;

	snprintf(target, sizeof target, "%s/export", w->scene.kit.root);
	assert_int_equal(
	    rh_export(NULL, w->scene.kit.media, target, &options, NULL, &summary, NULL), RH_OK);
	assert_int_equal(summary.done, OWNED + (SERVICES - 1) * PER_SERVICE);
	snprintf(key, sizeof key, "%s/KEY", w->scene.kit.root);
	file = fopen(key, "w");
	assert_non_null(file);
	fprintf(file, "%s\n", w->scene.recovery.identity);
	fclose(file);
	run("age -d -i %s %s/licenses-*.age | zstd -qd >%s/tar && rm %s", key,
	    w->scene.kit.media, target, key);
	run("mkdir %s/opened && tar xf %s/tar -C %s/opened", target, target, target);
	seen_clear();
	seen_tree(target);
}

/* The scan itself finds a secret, whatever stands around it. */
static void scan_finds(void **state)
{
	static const char *const texts[] = {"..c2VjcmV0IG9mIDAgYnkgQiwgbm90IGIhfg==",
	    "eHNlY3JldCBvZiAwIGJ5IEIsIG5vdCBiIX4=", "eHlzZWNyZXQgb2YgMCBieSBCLCBub3QgYiF+",
	    "x736563726574206f66203020627920422c206e6f74206221",
	    "x736563726574206F66203020627920422C206E6F74206221", "xsecret of 0 by B, not b!x"};
	char secret[SECRET_SIZE + 1];

	(void)state;
	secret_of(secret, 0, 0);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		seen_clear();
		seen_text("secret of 0 by B, not c!");
		assert_false(seen_secret(secret, SECRET_SIZE));
		seen_text(texts[i]);
		assert_true(seen_secret(secret, SECRET_SIZE));
	}
	seen_clear();
}

static void nothing_is_revealed(void **state)
{
	struct whole *w = *state;
	char secret[SECRET_SIZE + 1], path[256], id[32];

	see_everything(w);
	for (int service = 0; service < SERVICES; service++)
		for (int i = 0; i < PER_SERVICE; i++) {
			secret_of(secret, service, i);
			assert_false(seen_secret(secret, SECRET_SIZE));
		}
	/* The scan finds what is there: the owner's own secrets, here and in both ways. */
	for (int i = 0; i < OWNED; i++) {
		secret_of(secret, -1, i);
		assert_true(seen_bytes(secret, SECRET_SIZE));
		license_id(id, -1, i);
		snprintf(
		    path, sizeof path, "%s/export/licenses/%s/secret", w->scene.kit.root, id);
		assert_true(access(path, F_OK) == 0);
	}
	for (int i = 0; i < PER_SERVICE; i++) {
		license_id(id, 0, i);
		snprintf(
		    path, sizeof path, "%s/export/licenses/%s/secret", w->scene.kit.root, id);
		assert_int_equal(access(path, F_OK), -1);
		snprintf(path, sizeof path, "%s/export/licenses/%s/secret.sealed",
		    w->scene.kit.root, id);
		assert_int_equal(access(path, F_OK), 0);
	}
	seen_clear();
}

/* ---- What the service does ---- */

static struct backup_reader *open_backup(struct whole *w, struct backup_directory **directory)
{
	struct backup_generation *generations;
	struct backup_reader *reader;
	struct age_identity identity;
	struct age_keys keys = {&identity, 1, NULL};
	rh_error error;
	size_t count;

	assert_int_equal(
	    age_identity_parse(&identity, w->scene.recovery.identity, NULL), RH_OK);
	assert_int_equal(
	    backup_directory_open(w->scene.kit.media, false, directory, &error), RH_OK);
	assert_int_equal(backup_list(*directory, &generations, &count, &error), RH_OK);
	assert_int_equal(count, 1);
	assert_int_equal(
	    backup_reader_new(*directory, generations[0].file, &keys, false, &reader, &error),
	    RH_OK);
	free(generations);
	return reader;
}

struct opened {
	const char *service;
	uint8_t key[KEY_SIZE];
	int number;
	unsigned count;
};

static int open_sealed(void *context, const struct frame_license *license, rh_error *error)
{
	struct opened *opened = context;
	struct buffer found = {0};
	char secret[SECRET_SIZE + 1];
	int service, i;

	(void)error;
	if (sscanf(license->component, "managed-%d-%d", &service, &i) != 2 ||
	    service != opened->number)
		return RH_OK;
	assert_true(license->sealed);
	assert_int_equal(managed_open(opened->key, opened->service, license->component,
			     license->secret, license->secret_size, &found, NULL),
	    RH_OK);
	secret_of(secret, service, i);
	assert_int_equal(found.size, SECRET_SIZE);
	assert_memory_equal(found.data, secret, SECRET_SIZE);
	buffer_free_secret(&found);
	opened->count++;
	return RH_OK;
}

static void service_opens(void **state)
{
	struct whole *w = *state;

	for (int service = 0; service < SERVICES - 1; service++) {
		struct opened opened = {.number = service};
		struct backup_directory *directory;
		struct backup_reader *reader = open_backup(w, &directory);
		const struct backup_header *header = backup_reader_header(reader);
		struct frame_parser *parser;
		struct backup_frame frame = {0};
		size_t size;
		void *key;

		assert_int_equal(header->format_version, 3);
		assert_int_equal(header->service_count, SERVICES - 1);
		opened.service = header->services[service].service;
		/* With its own key and no other's. */
		assert_null(
		    issue_open(w->keys[SERVICES - 1], header->services[service].key, &size));
		key = issue_open(w->keys[service], header->services[service].key, &size);
		assert_non_null(key);
		assert_int_equal(size, KEY_SIZE);
		memcpy(opened.key, key, KEY_SIZE);
		free(key);
		assert_int_equal(frame_parser_new(&parser, NULL), RH_OK);
		assert_int_equal(backup_reader_next(reader, &frame, NULL), RH_OK);
		assert_int_equal(
		    frame_parse(parser, &frame, open_sealed, NULL, &opened, NULL), RH_OK);
		assert_int_equal(opened.count, PER_SERVICE);
		frame_parser_free(parser);
		backup_frame_free(&frame);
		backup_reader_free(reader);
		backup_directory_close(directory);
	}
}

/* Who may release this computer, as long as its recovery key is known. */
static void owner_is_named(void **state)
{
	struct whole *w = *state;
	char license_key[JOSE_THUMBPRINT_SIZE], release[JOSE_THUMBPRINT_SIZE], address[64];
	char *computer = issue_thumbprint(w->scene.computer);
	struct backup_directory *directory;
	struct backup_reader *reader = open_backup(w, &directory);
	const struct backup_header *header = backup_reader_header(reader);
	struct age_identity identity;
	struct jose_key *key;

	assert_int_equal(
	    age_identity_parse(&identity, w->scene.recovery.identity, NULL), RH_OK);
	for (int service = 0; service < SERVICES - 1; service++) {
		service_name(address, service);
		assert_string_equal(header->services[service].service, address);
		assert_non_null(header->services[service].owner);
		assert_int_equal(owner_check(header->services[service].owner, address,
				     license_key, release, NULL),
		    RH_OK);
		assert_string_equal(license_key, computer);
		assert_int_equal(release_key(identity.secret, address, &key, NULL), RH_OK);
		assert_string_equal(release, jose_key_thumbprint(key));
		jose_key_free(key);
	}
	backup_reader_free(reader);
	backup_directory_close(directory);
	assert_int_equal(rh_recovery_forget(w->scene.store, NULL), RH_OK);
	backup(w);
	reader = open_backup(w, &directory);
	assert_null(backup_reader_header(reader)->services[0].owner);
	backup_reader_free(reader);
	backup_directory_close(directory);
	free(computer);
}

/* Every backup has keys of its own. */
static void keys_are_new(void **state)
{
	struct whole *w = *state;
	struct backup_directory *directory;
	struct backup_reader *reader = open_backup(w, &directory);
	char *first = strdup(backup_reader_header(reader)->services[0].key);
	size_t size, again;
	void *one, *other;

	backup_reader_free(reader);
	backup_directory_close(directory);
	backup(w);
	reader = open_backup(w, &directory);
	one = issue_open(w->keys[0], first, &size);
	other = issue_open(w->keys[0], backup_reader_header(reader)->services[0].key, &again);
	assert_non_null(one);
	assert_non_null(other);
	assert_memory_not_equal(one, other, KEY_SIZE);
	free(one);
	free(other);
	free(first);
	backup_reader_free(reader);
	backup_directory_close(directory);
}

/* ---- On a second computer ---- */

static int count_pin(void *context, const rh_pin *pin)
{
	assert_string_equal(pin->name, SCENE_ISSUER);
	++*(int *)context;
	return 0;
}

static void expect_secret(rh_store *store, int service, int i)
{
	char id[32], secret[SECRET_SIZE + 1];
	rh_error error;
	size_t size;
	void *found;

	license_id(id, service, i);
	secret_of(secret, service, i);
	if (rh_license_secret(store, id, "copy", &found, &size, &error) != RH_OK)
		fail_msg("%s: %s", id, error.text);
	assert_int_equal(size, SECRET_SIZE);
	assert_memory_equal(found, secret, SECRET_SIZE);
	rh_free_secret_bytes(found, size);
}

/* What of each licence becomes of it on a new computer. */
static void expect_told(const struct told *told)
{
	char id[32], address[64];

	assert_int_equal(told->count, OWNED + (SERVICES - 1) * PER_SERVICE);
	for (int service = -1; service < SERVICES - 1; service++)
		for (int i = 0; i < (service < 0 ? OWNED : PER_SERVICE); i++) {
			const struct told_one *one;

			license_id(id, service, i);
			one = scene_told(told, id);
			assert_int_equal(one->type, RH_EVENT_LICENSE);
			assert_string_equal(one->title, "River songs");
			if (service < 0) {
				assert_int_equal(one->code, RH_S_COUNTS_STAY);
				continue;
			}
			service_name(address, service);
			assert_int_equal(one->code, RH_E_INDIVIDUALIZE);
			assert_non_null(strstr(one->text, address));
			assert_string_not_equal(one->next_step, "");
		}
	/* Once a service, however many licences it has. */
	assert_int_equal(told->needs, SERVICES - 1);
	service_name(address, SERVICES - 2);
	assert_non_null(strstr(told->privacy, address));
}

static void second_computer(void **state)
{
	struct whole *w = *state;
	rh_open_options options = with_recovery(w);
	struct told told;
	rh_listener listener = scene_listener(&told);
	rh_summary summary;
	rh_error error;
	rh_store *new;
	int pins = 0;

	kit_be(&w->scene.kit, "b");
	new = kit_store(w->scene.kit.other, RH_STORE_CREATE);
	/* The plan tells the same, and does nothing. */
	options.plan = 1;
	assert_int_equal(
	    rh_restore(NULL, w->scene.kit.media, &options, &listener, &summary, &error),
	    RH_E_INDIVIDUALIZE);
	expect_told(&told);
	listener = scene_listener(&told);
	assert_int_equal(
	    rh_restore(new, w->scene.kit.media, &options, &listener, &summary, &error),
	    RH_E_INDIVIDUALIZE);
	expect_told(&told);
	assert_int_equal(kit_count(new, NULL), 0);
	assert_int_equal(rh_pin_list(new, RH_PIN_ISSUER, count_pin, &pins, NULL), RH_OK);
	assert_int_equal(pins, 0);

	options.plan = 0;
	listener = scene_listener(&told);
	assert_int_equal(
	    rh_restore(new, w->scene.kit.media, &options, &listener, &summary, &error),
	    RH_E_INDIVIDUALIZE);
	expect_told(&told);
	assert_int_equal(told.notices, 1);
	assert_non_null(strstr(told.notice, SCENE_ISSUER));
	assert_int_equal(summary.done, OWNED);
	assert_int_equal(summary.failed, (SERVICES - 1) * PER_SERVICE);
	assert_int_equal(kit_count(new, NULL), OWNED);
	/* The issuer came along, and so the licences can be used at once. */
	assert_int_equal(rh_pin_list(new, RH_PIN_ISSUER, count_pin, &pins, NULL), RH_OK);
	assert_int_equal(pins, 1);
	for (int i = 0; i < OWNED; i++)
		expect_secret(new, -1, i);
	assert_int_equal(
	    rh_license_use(new, "owned-0", "play", NULL, &error), RH_E_RIGHT_SPENT);
	rh_store_close(new);
	kit_be(&w->scene.kit, "a");
}

/* Where they are already, managed licences stay, and nothing fails. */
static void same_computer(void **state)
{
	struct whole *w = *state;
	struct told told;
	rh_listener listener = scene_listener(&told);
	rh_summary summary;
	rh_use use;

	assert_int_equal(
	    rh_license_use(w->scene.store, "managed-1-2", "play", &use, NULL), RH_OK);
	assert_int_equal(use.remaining, 2);
	assert_int_equal(
	    rh_restore(w->scene.store, w->scene.kit.media, NULL, &listener, &summary, NULL),
	    RH_OK);
	assert_int_equal(summary.already_here, OWNED + (SERVICES - 1) * PER_SERVICE);
	for (int service = -1; service < SERVICES; service++)
		for (int i = 0; i < (service < 0 ? OWNED : PER_SERVICE); i++)
			expect_secret(w->scene.store, service, i);
	/* One that was removed comes back as it was spent, not as it was backed up. */
	for (unsigned left = 2; left > 0; left--)
		assert_int_equal(
		    rh_license_use(w->scene.store, "owned-1", "play", &use, NULL), RH_OK);
	assert_int_equal(rh_remove(w->scene.store, "owned-1", NULL), RH_OK);
	listener = scene_listener(&told);
	assert_int_equal(
	    rh_restore(w->scene.store, w->scene.kit.media, NULL, &listener, &summary, NULL),
	    RH_OK);
	assert_int_equal(summary.done, 1);
	assert_int_equal(rh_license_use(w->scene.store, "owned-1", "play", &use, NULL), RH_OK);
	assert_int_equal(use.remaining, 0);
	assert_int_equal(
	    rh_license_use(w->scene.store, "owned-1", "play", &use, NULL), RH_E_RIGHT_SPENT);
	expect_secret(w->scene.store, -1, 1);
}

/* ---- Who wrote it ---- */

static void forgotten_key_still_proves(void **state)
{
	struct whole *w = *state;
	rh_open_options options = with_recovery(w);
	rh_summary summary;
	rh_store *new;
	int pins = 0;

	assert_int_equal(rh_recovery_forget(w->scene.store, NULL), RH_OK);
	backup(w);
	assert_int_equal(
	    rh_verify(w->scene.store, w->scene.kit.media, NULL, NULL, &summary, NULL), RH_OK);
	assert_int_equal(summary.done, OWNED + (SERVICES - 1) * PER_SERVICE);
	assert_int_equal(
	    rh_verify(NULL, w->scene.kit.media, &options, NULL, &summary, NULL), RH_OK);
	new = kit_store(w->scene.kit.other, RH_STORE_CREATE);
	assert_int_equal(rh_restore(new, w->scene.kit.media, &options, NULL, &summary, NULL),
	    RH_E_INDIVIDUALIZE);
	assert_int_equal(rh_pin_list(new, RH_PIN_ISSUER, count_pin, &pins, NULL), RH_OK);
	assert_int_equal(pins, 1);
	rh_store_close(new);
}

int main(void)
{
#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(scan_finds),
	    WITH_SCENE(nothing_is_revealed),
	    WITH_SCENE(service_opens),
	    WITH_SCENE(owner_is_named),
	    WITH_SCENE(keys_are_new),
	    WITH_SCENE(second_computer),
	    WITH_SCENE(same_computer),
	    WITH_SCENE(forgotten_key_still_proves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
