/*
 * Managed licences on a new computer: what their service grants, refuses, or fails to say.
 */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "authority/message.h"
#include "engine/engine.h"

#include "fake_service.h"
#include "scene.h"

#define MANAGED 520 /* more than go into one message */
#define OWNED 3
#define COUNTED 7 /* the managed licence with a counted action */

static struct scene scene;
static struct fake *fake, *shut;
static char closed_media[128], shut_media[128];
static int stores; /* made so far */

static void license_id(char id[32], int i)
{
	snprintf(id, 32, "managed-%03d", i);
}

static void secret_of(char secret[25], int i)
{
	memcpy(secret, "secret of number ..., so", 25);
	secret[17] = (char)('0' + i / 100);
	secret[18] = (char)('0' + i / 10 % 10);
	secret[19] = (char)('0' + i % 10);
}

static void add(int i, const char *service)
{
	char id[32], secret[25];

	license_id(id, i);
	secret_of(secret, i);
	scene_add(
	    &scene, (struct issue){.id = id,
			.key_id = id,
			.actions = i == COUNTED ? "{\"play\":{\"count\":3}}" : "{\"play\":{}}",
			.title = "\"River songs\"",
			.service = service,
			.computers = FAKE_LIMIT,
			.content_key = secret,
			.content_key_size = 24,
			.backup = 1});
}

static void pin_service(rh_store *store, const struct fake *service, const char *name)
{
	char path[128];
	rh_error error;

	snprintf(path, sizeof path, "%s/service.json", scene.kit.root);
	fake_keys(service, path);
	if (rh_pin_add(store, RH_PIN_SERVICE, path, name, NULL, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
}

static void backup(const char *directory)
{
	rh_error error;

	mkdir(directory, 0700);
	if (rh_backup(scene.store, directory, NULL, NULL, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
}

static int setup(void **state)
{
	char id[32];

	(void)state;
	setenv("LC_ALL", "C", 1);
	fake = fake_open();
	shut = fake_open();
	scene_open(&scene);
	/* Two services, one licence each; one that is named otherwise than it is asked at. */
	snprintf(shut_media, sizeof shut_media, "%s/shut", scene.kit.root);
	snprintf(closed_media, sizeof closed_media, "%s/elsewhere", scene.kit.root);
	pin_service(scene.store, fake, fake->address);
	pin_service(scene.store, shut, shut->address);
	add(900, fake->address);
	add(901, shut->address);
	backup(shut_media);
	assert_int_equal(rh_remove(scene.store, "managed-900", NULL), RH_OK);
	assert_int_equal(rh_remove(scene.store, "managed-901", NULL), RH_OK);
	pin_service(scene.store, fake, "https://licences.example/lms");
	add(902, "https://licences.example/lms");
	backup(closed_media);
	assert_int_equal(rh_remove(scene.store, "managed-902", NULL), RH_OK);
	for (int i = 0; i < MANAGED; i++)
		add(i, fake->address);
	for (int i = 0; i < OWNED; i++) {
		snprintf(id, sizeof id, "owned-%d", i);
		scene_add(&scene,
		    (struct issue){
			.id = id, .key_id = id, .actions = "{\"play\":{}}", .backup = 1});
	}
	backup(scene.kit.media);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_close(fake);
	fake_close(shut);
	scene_close(&scene);
	return 0;
}

/* ---- What is heard ---- */

struct noticed {
	int codes[256]; /* LICENSE events by code */
	char text[256][200]; /* the last one of each */
	char order[64]; /* events: C D B T E, I individualize, N needs it */
	size_t limits;
	char page[200];
	char privacy[200];
	int stop_after; /* LICENSE events; 0: never */
	int licenses;
	bool stop_when_it_hangs;
	uint64_t done;
	int end_code;
	const char *rots; /* a file of which a byte rots once it was read; NULL: none */
};

static void note(struct noticed *heard, char letter)
{
	size_t size = strlen(heard->order);

	if (size > 0 && heard->order[size - 1] == letter)
		return;
	assert_true(size + 1 < sizeof heard->order);
	heard->order[size] = letter;
	heard->order[size + 1] = '\0';
}

static void rot(const char *path)
{
	FILE *file = fopen(path, "r+b");
	int byte;

	assert_non_null(file);
	assert_int_equal(fseek(file, 100000, SEEK_SET), 0);
	byte = fgetc(file);
	assert_int_not_equal(byte, EOF);
	assert_int_equal(fseek(file, 100000, SEEK_SET), 0);
	fputc(byte ^ 1, file);
	fclose(file);
}

static int on_event(void *context, const rh_event *event)
{
	static const char letters[] = {[RH_EVENT_BEGIN] = 'B',
	    [RH_EVENT_END] = 'E',
	    [RH_EVENT_CONNECTING] = 'C',
	    [RH_EVENT_DISCONNECTING] = 'D',
	    [RH_EVENT_TOTALS] = 'T',
	    [RH_EVENT_NEEDS_INDIVIDUALIZATION] = 'N',
	    [RH_EVENT_INDIVIDUALIZE] = 'I'};
	struct noticed *heard = context;

	if (event->type < (int)sizeof letters && letters[event->type] != '\0')
		note(heard, letters[event->type]);
	heard->done = event->licenses_done;
	if (event->type == RH_EVENT_PROGRESS && heard->rots != NULL) {
		rot(heard->rots);
		heard->rots = NULL;
	}
	if (event->type == RH_EVENT_END)
		heard->end_code = event->code;
	if (event->type == RH_EVENT_NEEDS_INDIVIDUALIZATION)
		snprintf(heard->privacy, sizeof heard->privacy, "%s", event->text);
	if (event->type == RH_EVENT_LIMIT) {
		heard->limits++;
		snprintf(heard->page, sizeof heard->page, "%s", event->text);
		assert_non_null(event->license);
	}
	if (event->type != RH_EVENT_LICENSE)
		return 0;
	assert_non_null(event->license);
	assert_in_range(event->code, 0, 255);
	heard->codes[event->code]++;
	snprintf(heard->text[event->code], sizeof heard->text[0], "%s", event->text);
	return ++heard->licenses == heard->stop_after;
}

static int should_stop(void *context)
{
	struct noticed *heard = context;

	return heard->stop_when_it_hangs && fake->hanging;
}

/* ---- Restoring ---- */

struct
try {
	const char *media; /* NULL: the kit's */
	bool refuse; /* no consent */
	bool plan;
	const char *filter;
	const char *asked_at;
	int stop_after;
	bool stop_when_it_hangs;
	const char *rots;
};

static int restore(
    rh_store *store, const struct try *try, struct noticed *heard, rh_summary *summary)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	rh_listener listener = {on_event, should_stop, heard};
	rh_error error;
	int code;

	*heard = (struct noticed){.stop_after = try->stop_after,
	    .stop_when_it_hangs = try->stop_when_it_hangs,
	    .rots = try->rots};
	options.recovery_key = scene.recovery.identity;
	options.individualize = !try->refuse;
	options.plan = try->plan;
	options.filter = try->filter;
	options.service_url = try->asked_at;
	code = rh_restore(store, try->media != NULL ? try->media : scene.kit.media, &options,
	    &listener, summary, &error);
	assert_int_equal(error.code, code);
	assert_int_equal(heard->end_code, code);
	return code;
}

/* A new computer. */
static rh_store *new_store(void)
{
	char directory[160];

	kit_be(&scene.kit, "b");
	snprintf(directory, sizeof directory, "%s/new-%d", scene.kit.root, stores++);
	return kit_store(directory, RH_STORE_CREATE);
}

static void close_store(rh_store *store)
{
	rh_store_close(store);
	kit_be(&scene.kit, "a");
}

/* The licence can be used, and proves that it may. */
static void expect_usable(rh_store *store, int i, unsigned number)
{
	char id[32], secret[25];
	rh_grant grant;
	rh_error error;
	unsigned denied;
	size_t size;
	void *found;

	license_id(id, i);
	secret_of(secret, i);
	assert_int_equal(rh_query_action_allowed(store, id, "play", &denied, NULL), RH_OK);
	assert_int_equal(denied, i == COUNTED ? RH_DENIED_SPENT : 0);
	if (i != COUNTED) {
		if (rh_license_secret(store, id, "play", &found, &size, &error) != RH_OK)
			fail_msg("%s: %s", id, error.text);
		assert_int_equal(size, 24);
		assert_memory_equal(found, secret, 24);
		rh_free_secret_bytes(found, size);
	}
	if (rh_license_verify_grant(store, id, &grant, &error) != RH_OK)
		fail_msg("%s: %s", id, error.text);
	assert_int_equal(grant.number, number);
	assert_int_equal(grant.limit, FAKE_LIMIT);
	assert_int_equal(grant.since, 1700000000);
	assert_string_equal(grant.service, fake->address);
}

static void expect_summary(
    const rh_summary *summary, unsigned done, unsigned here, unsigned failed)
{
	assert_int_equal(summary->licenses, MANAGED + OWNED);
	assert_int_equal(summary->done, done);
	assert_int_equal(summary->already_here + summary->updated, here);
	assert_int_equal(summary->failed, failed);
}

/* ---- Tests ---- */

static void without_consent(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	assert_int_equal(restore(store, &(struct try){.refuse = true}, &heard, &summary),
	    RH_E_INDIVIDUALIZE);
	assert_string_equal(heard.order, "CDBTNE");
	assert_int_equal(heard.codes[RH_E_INDIVIDUALIZE], MANAGED);
	assert_non_null(strstr(heard.privacy, "/v1/privacy"));
	assert_int_equal(strncmp(heard.privacy, fake->address, strlen(fake->address)), 0);
	expect_summary(&summary, OWNED, 0, MANAGED);
	assert_int_equal(heard.done, MANAGED + OWNED);
	assert_int_equal(fake->requests, 0);
	/* A plan with and without a store is the same. */
	assert_int_equal(
	    restore(NULL, &(struct try){.plan = true}, &heard, &summary), RH_E_INDIVIDUALIZE);
	expect_summary(&summary, OWNED, 0, MANAGED);
	assert_int_equal(
	    restore(store, &(struct try){.plan = true, .refuse = true}, &heard, &summary),
	    RH_E_INDIVIDUALIZE);
	expect_summary(&summary, 0, OWNED, MANAGED);
	assert_int_equal(heard.codes[RH_E_INDIVIDUALIZE], MANAGED);
	assert_int_equal(fake->requests, 0);
	close_store(store);
}

static void all_granted(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	assert_int_equal(restore(store, &(struct try){.plan = true}, &heard, &summary), RH_OK);
	assert_string_equal(heard.order, "CIDBTE");
	assert_int_equal(heard.codes[RH_S_COSTS], MANAGED);
	assert_string_equal(heard.text[RH_S_COSTS], "computer 2 of 4");
	expect_summary(&summary, MANAGED + OWNED, 0, 0);
	assert_int_equal(fake_charged(fake), 0);
	assert_int_equal(fake->plans, 2);
	assert_int_equal(kit_count(store, NULL), 0);

	assert_int_equal(restore(store, &(struct try){.media = NULL}, &heard, &summary), RH_OK);
	assert_string_equal(heard.order, "CDBTE");
	assert_int_equal(heard.codes[RH_S_GRANTED], MANAGED);
	expect_summary(&summary, MANAGED + OWNED, 0, 0);
	assert_int_equal(heard.done, MANAGED + OWNED);
	assert_int_equal(fake->commits, 2);
	assert_int_equal(fake->computers, 1);
	assert_false(fake->claimed);
	assert_true(fake->owned);
	assert_int_equal(fake_charged(fake), MANAGED);
	for (int i = 0; i < MANAGED; i += i < 20 ? 1 : 37)
		expect_usable(store, i, 2);
	expect_usable(store, MANAGED - 1, 2);
	assert_int_equal(rh_store_check(store, NULL, NULL, NULL), RH_OK);

	/* What is here is not asked for; what was removed is free. */
	assert_int_equal(restore(store, &(struct try){.media = NULL}, &heard, &summary), RH_OK);
	expect_summary(&summary, 0, MANAGED + OWNED, 0);
	assert_int_equal(fake->commits, 2);
	assert_int_equal(rh_remove(store, "managed-003", NULL), RH_OK);
	assert_int_equal(
	    restore(store, &(struct try){.plan = true, .refuse = true}, &heard, &summary),
	    RH_OK);
	assert_int_equal(heard.codes[RH_S_FREE], 1);
	assert_int_equal(
	    restore(store, &(struct try){.refuse = true}, &heard, &summary), RH_OK);
	assert_int_equal(heard.codes[RH_S_FREE], 1);
	assert_string_equal(heard.text[RH_S_FREE], "computer 2 of 4");
	assert_int_equal(fake->commits, 3);
	assert_int_equal(fake_charged(fake), MANAGED);
	expect_usable(store, 3, 2);
	close_store(store);
}

/* A counted licence comes without its counts, which the words say. */
static void counts_stay(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	assert_int_equal(
	    restore(store, &(struct try){.filter = "id=managed-007"}, &heard, &summary), RH_OK);
	assert_int_equal(heard.codes[RH_S_GRANTED], 1);
	assert_non_null(strstr(heard.text[RH_S_GRANTED], "computer 2 of 4; its counts stay"));
	/* Only what was chosen was asked for. */
	assert_int_equal(fake->count, 1);
	assert_int_equal(summary.licenses, 1);
	expect_usable(store, COUNTED, 2);
	close_store(store);
}

static void limit_reached(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	strcpy(fake->limited, "-01");
	strcpy(fake->refused, "-02");
	assert_int_equal(
	    restore(store, &(struct try){.plan = true}, &heard, &summary), RH_E_LIMIT_REACHED);
	assert_int_equal(heard.codes[RH_E_LIMIT_REACHED], 10);
	assert_int_equal(heard.limits, 10);
	/* What no browser should be given is not told. */
	strcpy(fake->page, "javascript:alert(1)");
	assert_int_equal(
	    restore(store, &(struct try){.plan = true}, &heard, &summary), RH_E_LIMIT_REACHED);
	assert_int_equal(heard.codes[RH_E_LIMIT_REACHED], 10);
	assert_int_equal(heard.limits, 0);
	strcpy(fake->page, "https://licences.example/cases/one");
	assert_int_equal(
	    restore(store, &(struct try){.media = NULL}, &heard, &summary), RH_E_LIMIT_REACHED);
	assert_int_equal(heard.codes[RH_E_LIMIT_REACHED], 10);
	assert_string_equal(heard.text[RH_E_LIMIT_REACHED], "It is on four computers.");
	assert_int_equal(heard.codes[RH_E_SERVICE_REFUSED], 10);
	assert_string_equal(heard.text[RH_E_SERVICE_REFUSED], "It was blocked.");
	assert_int_equal(heard.limits, 10);
	assert_string_equal(heard.page, "https://licences.example/cases/one");
	expect_summary(&summary, MANAGED + OWNED - 20, 0, 20);
	assert_int_equal(heard.codes[RH_S_GRANTED], MANAGED - 20);
	expect_usable(store, 9, 2);
	/* Places of grants are counted without those that were refused. */
	expect_usable(store, 30, 2);
	fake->limited[0] = '\0';
	assert_int_equal(restore(store, &(struct try){.media = NULL}, &heard, &summary),
	    RH_E_NOT_ALL_STORED);
	assert_int_equal(heard.codes[RH_E_SERVICE_REFUSED], 10);
	assert_int_equal(heard.codes[RH_S_GRANTED], 10);
	expect_usable(store, 11, 2);
	close_store(store);
}

/* The service goes after its first batch, in one way or another. */
static void service_fails(void **state)
{
	static const struct {
		enum fake_mode mode;
		int code;
		bool charged; /* for the second batch, too */
	} cases[] = {
	    {FAKE_BUSY, RH_E_SERVICE_UNAVAILABLE, false},
	    {FAKE_RUBBISH, RH_E_SERVICE_REPLY, false},
	    {FAKE_REFUSES, RH_E_SERVICE_REFUSED, false},
	    {FAKE_ROLLED_BACK, RH_E_SERVICE_ROLLED_BACK, false},
	    {FAKE_HALF, RH_E_SERVICE_UNAVAILABLE, true},
	    {FAKE_OTHER_SECRET, RH_E_SERVICE_REPLY, true},
	    {FAKE_OTHER_GRANTS, RH_E_SERVICE_REPLY, true},
	    {FAKE_OTHER_LICENSE, RH_E_SERVICE_REPLY, true},
	    {FAKE_FEWER, RH_E_SERVICE_REPLY, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		rh_store *store = new_store();
		struct noticed heard;
		rh_summary summary;
		unsigned rest;

		fake_forget(fake);
		fake->mode = cases[i].mode;
		fake->after = 1;
		assert_int_equal(restore(store, &(struct try){.media = NULL}, &heard, &summary),
		    RH_E_NOT_ALL_STORED);
		rest = MANAGED - fake->first;
		assert_in_range(rest, 1, MANAGED - 100);
		if (heard.codes[cases[i].code] != (int)rest)
			fail_msg("case %zu: %d, not told %u times", i, cases[i].code, rest);
		assert_string_not_equal(heard.text[cases[i].code], "");
		expect_summary(&summary, fake->first + OWNED, 0, rest);
		assert_int_equal(heard.done, MANAGED + OWNED);
		assert_int_equal(
		    fake_charged(fake), fake->first + (cases[i].charged ? rest : 0));
		expect_usable(store, 0, 2);
		/* Again, and everything is here; nothing was charged twice. */
		fake->mode = FAKE_WORKS;
		assert_int_equal(
		    restore(store, &(struct try){.media = NULL}, &heard, &summary), RH_OK);
		assert_int_equal(
		    heard.codes[cases[i].charged ? RH_S_FREE : RH_S_GRANTED], rest);
		assert_int_equal(fake_charged(fake), MANAGED);
		expect_usable(store, MANAGED - 1, 2);
		close_store(store);
	}
}

/* One service is not there at all: the other gives what it has. */
static void other_service(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	fake_forget(shut);
	/* First it is busy, then away. */
	shut->mode = FAKE_BUSY;
	assert_int_equal(restore(store, &(struct try){.media = shut_media}, &heard, &summary),
	    RH_E_NOT_ALL_STORED);
	assert_int_equal(heard.codes[RH_S_GRANTED], 1);
	assert_int_equal(heard.codes[RH_E_SERVICE_UNAVAILABLE], 1);
	assert_int_equal(summary.done, 1);
	expect_usable(store, 900, 2);
	fake_close(shut);
	shut = NULL;
	assert_int_equal(restore(store, &(struct try){.media = shut_media}, &heard, &summary),
	    RH_E_NOT_ALL_STORED);
	assert_int_equal(heard.codes[RH_E_SERVICE_UNAVAILABLE], 1);
	assert_int_equal(summary.already_here, 1);
	close_store(store);
}

/* Asked somewhere else than licences say. */
static void asked_elsewhere(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;
	rh_grant grant;
	rh_error error;

	(void)state;
	fake_forget(fake);
	strcpy(fake->name, "https://licences.example/lms");
	if (restore(store, &(struct try){.media = closed_media, .asked_at = fake->address},
		&heard, &summary) != RH_OK)
		for (int i = 100; i < 200; i++)
			if (heard.codes[i] > 0)
				fail_msg("%s", heard.text[i]);
	assert_int_equal(heard.codes[RH_S_GRANTED], 1);
	if (rh_license_verify_grant(store, "managed-902", &grant, &error) != RH_OK)
		fail_msg("%s", error.text);
	assert_string_equal(grant.service, "https://licences.example/lms");
	close_store(store);
}

static void canceled(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	fake->mode = FAKE_HANGS;
	fake->after = 1;
	assert_int_equal(
	    restore(store, &(struct try){.stop_when_it_hangs = true}, &heard, &summary),
	    RH_E_CANCELED);
	assert_int_equal(kit_count(store, NULL), fake->first + OWNED);
	expect_usable(store, 1, 2);
	close_store(store);
	/* The service is still asleep. */
	fake_close(fake);
	fake = NULL;
}

/* Canceled by the listener when it hears of the first licence. */
static void canceled_between(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	strcpy(fake->refused, "-000");
	assert_int_equal(
	    restore(store, &(struct try){.stop_after = 1}, &heard, &summary), RH_E_CANCELED);
	/* What the service was at meanwhile may have been cut off, and is made good. */
	assert_true(fake_charged(fake) >= kit_count(store, "class=managed"));
	assert_true(kit_count(store, "class=managed") > 0);
	fake->refused[0] = '\0';
	assert_int_equal(restore(store, &(struct try){.media = NULL}, &heard, &summary), RH_OK);
	assert_int_equal(kit_count(store, NULL), MANAGED + OWNED);
	assert_int_equal(fake_charged(fake), MANAGED);
	close_store(store);
}

/* Killed between the charge and the storing. */
static void killed(void **state)
{
	rh_store *store = new_store();
	struct noticed heard;
	rh_summary summary;
	int status;
	pid_t child;

	(void)state;
	fake_forget(fake);
	fake->mode = FAKE_KILLS;
	fake->after = 1;
	child = fork();
	if (child == 0) {
		char directory[160];

		snprintf(directory, sizeof directory, "%s", rh_store_directory(store));
		fake->victim = getpid();
		store = kit_store(directory, 0);
		restore(store, &(struct try){.media = NULL}, &heard, &summary);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(fake_charged(fake), MANAGED);
	assert_int_equal(kit_count(store, NULL), OWNED);
	fake->mode = FAKE_WORKS;
	assert_int_equal(
	    restore(store, &(struct try){.refuse = true}, &heard, &summary), RH_OK);
	assert_int_equal(heard.codes[RH_S_FREE], MANAGED);
	assert_int_equal(fake_charged(fake), MANAGED);
	assert_int_equal(kit_count(store, NULL), MANAGED + OWNED);
	expect_usable(store, 0, 2);
	close_store(store);
}

/* What cannot be stored was charged, and is free the next time. */
static void no_room(void **state)
{
	rh_store *store = new_store();
	struct rlimit limit, small;
	struct noticed heard;
	rh_summary summary;
	int code;

	(void)state;
	fake_forget(fake);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(
	    restore(store, &(struct try){.filter = "id=managed-000"}, &heard, &summary), RH_OK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 256 * 1024;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	code = restore(store, &(struct try){.filter = "class=managed"}, &heard, &summary);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	if (code != RH_E_STORE_WRITE && code != RH_E_FULL)
		fail_msg("%s", rh_code_name(code));
	assert_int_equal(fake_charged(fake), MANAGED);
	assert_int_equal(kit_count(store, NULL), 1);
	assert_int_equal(
	    restore(store, &(struct try){.refuse = true}, &heard, &summary), RH_OK);
	assert_int_equal(heard.codes[RH_S_FREE], MANAGED - 1);
	assert_int_equal(fake_charged(fake), MANAGED);
	close_store(store);
}

/* The computer that they were issued to says so, and is not counted. */
static void original(void **state)
{
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	assert_int_equal(rh_remove(scene.store, "managed-004", NULL), RH_OK);
	assert_int_equal(
	    restore(scene.store, &(struct try){.media = NULL}, &heard, &summary), RH_OK);
	assert_true(fake->claimed);
	assert_int_equal(heard.codes[RH_S_FREE], 1);
	assert_string_equal(heard.text[RH_S_FREE], "computer 1 of 4");
	assert_int_equal(fake_charged(fake), 0);
	expect_usable(scene.store, 4, 1);
}

/* The backup's only file, without its parity. */
static void only_file(const char *directory, char path[300])
{
	DIR *names = opendir(directory);
	const struct dirent *entry;

	assert_non_null(names);
	path[0] = '\0';
	while ((entry = readdir(names)) != NULL) {
		char found[300];

		snprintf(found, sizeof found, "%s/%.100s", directory, entry->d_name);
		if (strstr(found, ".parity") != NULL)
			assert_int_equal(unlink(found), 0);
		else if (strstr(found, ".age") != NULL)
			memcpy(path, found, sizeof found);
	}
	closedir(names);
	assert_string_not_equal(path, "");
}

/* A backup is read twice: what rots in between is not missing in silence. */
static void rots_between(void **state)
{
	rh_store *store = new_store();
	char directory[160], path[300];
	struct noticed heard;
	rh_summary summary;

	(void)state;
	fake_forget(fake);
	kit_be(&scene.kit, "a");
	snprintf(directory, sizeof directory, "%s/rots", scene.kit.root);
	backup(directory);
	only_file(directory, path);
	kit_be(&scene.kit, "b");
	assert_int_equal(
	    restore(store, &(struct try){.media = directory, .rots = path}, &heard, &summary),
	    RH_E_READ);
	assert_true(summary.done >= OWNED);
	assert_true(summary.done < MANAGED + OWNED);
	/* Once it is known to be so, it is told one by one. */
	assert_int_equal(restore(store, &(struct try){.media = directory}, &heard, &summary),
	    RH_E_NOT_ALL_STORED);
	assert_int_equal(summary.licenses, MANAGED + OWNED);
	assert_true(heard.codes[RH_E_LICENSE_DAMAGED] > 0);
	close_store(store);
}

/* A grant that was moved, or is another computer's, proves nothing. */
static void grants_prove(void **state)
{
	rh_store *store = new_store();
	struct store_row row = {0};
	struct store_grant grant;
	struct noticed heard;
	rh_summary summary;
	rh_grant found;
	int64_t batch;

	(void)state;
	fake_forget(fake);
	assert_int_equal(
	    restore(store, &(struct try){.filter = "id=managed-00*"}, &heard, &summary), RH_OK);
	expect_usable(store, 1, 2);
	assert_int_equal(
	    rh_license_verify_grant(store, "managed", &found, NULL), RH_E_LICENSE_UNKNOWN);
	assert_int_equal(rh_license_verify_grant(NULL, "x", &found, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_license_verify_grant(store, "", &found, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_license_verify_grant(scene.store, "managed-001", &found, NULL), RH_E_GRANT);
	/* Number, place, leaves, root, computer: each of them is proven. */
	for (int edit = 0; edit < 6; edit++) {
		assert_int_equal(
		    store_grant_get(store->store, "managed-001", &grant, NULL), RH_OK);
		assert_int_equal(store_get(store->store, "managed-001", &row, NULL), RH_OK);
		grant.number += edit == 0;
		grant.position += edit == 1;
		grant.leaves[2][5] ^= edit == 2;
		grant.root[strlen(grant.root) - 3] ^= edit == 3;
		grant.computer[3] ^= edit == 4;
		grant.since += edit == 5;
		assert_int_equal(store_begin(store->store, NULL), RH_OK);
		assert_int_equal(store_grants_add(store->store, &grant, &batch, NULL), RH_OK);
		assert_int_equal(
		    store_grant_put(store->store, row.number, batch, &grant, NULL), RH_OK);
		assert_int_equal(
		    rh_license_verify_grant(store, "managed-001", &found, NULL), RH_E_GRANT);
		store_rollback(store->store);
		store_grant_free(&grant);
		expect_usable(store, 1, 2);
	}
	store_row_free(&row);
	/* Without the service's keys nothing is proven. */
	assert_int_equal(rh_pin_remove(store, RH_PIN_SERVICE, fake->address, NULL), RH_OK);
	assert_int_equal(
	    rh_license_verify_grant(store, "managed-001", &found, NULL), RH_E_GRANT);
	close_store(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_consent), cmocka_unit_test(all_granted),
	    cmocka_unit_test(counts_stay), cmocka_unit_test(limit_reached),
	    cmocka_unit_test(service_fails), cmocka_unit_test(other_service),
	    cmocka_unit_test(asked_elsewhere), cmocka_unit_test(canceled_between),
	    cmocka_unit_test(killed), cmocka_unit_test(no_room), cmocka_unit_test(original),
	    cmocka_unit_test(rots_between), cmocka_unit_test(grants_prove),
	    cmocka_unit_test(canceled), /* the last one: the service hangs */
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
