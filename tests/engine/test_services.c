/*
 * Services as rehost.h has them: listed, individualized at, asked, and told of lost computers;
 * over a service that does as the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "engine/link_private.h"
#include "failing.h"
#include "fake_session.h"
#include "scene.h"

#define OTHER_SERVICE "https://lms.example/b"

struct fixture {
	struct scene scene;
	rh_store *store;
	const char *license_key; /* thumbprint of this computer's */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	const struct jose_key *key;

	assert_non_null(f);
	setenv("LC_ALL", "C", 1);
	fake_open();
	scene_open(&f->scene);
	f->store = f->scene.store;
	assert_int_equal(computer_license_key(f->store->computer, &key, NULL), RH_OK);
	f->license_key = jose_key_thumbprint(key);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scene_close(&f->scene);
	fake_close();
	free(f);
	return 0;
}

/* Licences on their way into the store, as the fake service knows them. */
struct maker {
	struct fixture *f;
	const char *service;
	const char *computer; /* JWK; NULL: issued to none */
	int next, end;
	char *text;
	char id[32];
};

static int make(void *context, rh_document *ret, rh_error *error)
{
	struct maker *maker = context;
	char *id = maker->id;

	(void)error;
	free(maker->text);
	maker->text = NULL;
	if (maker->next == maker->end)
		return 0;
	snprintf(
	    id, sizeof maker->id, "%s-%05d", maker->service != NULL ? "m" : "o", maker->next++);
	maker->text = issue_license(maker->f->scene.issuer,
	    &(struct issue){.id = id,
		.issuer = SCENE_ISSUER,
		.key_id = id,
		.actions =
		    maker->computer != NULL ? "{\"play\":{\"count\":3}}" : "{\"play\":{}}",
		.title = "\"a title\"",
		.service = maker->service,
		.computer = maker->computer,
		.computers = maker->service != NULL ? 4 : 0,
		.content_key = maker->computer != NULL ? "sixteen bytes..." : NULL,
		.content_key_size = maker->computer != NULL ? 16 : 0,
		.backup = 1});
	*ret = (rh_document){
	    .data = maker->text, .size = strlen(maker->text), .name = id, .format = "signed"};
	return 1;
}

static void add(
    struct fixture *f, const char *service, const char *computer, int first, int end)
{
	struct maker maker = {f, service, computer, first, end, NULL, ""};
	struct told told;
	rh_listener listener = scene_listener(&told);
	rh_summary summary;
	rh_error error = {0};

	if (rh_add(f->store, make, &maker, &listener, &summary, &error) != RH_OK)
		fail_msg("%s", error.text);
	if (told.count > 0)
		fail_msg("%s", told.list[0].text);
	assert_int_equal(summary.done, end - first);
}

static int individualize(struct fixture *f, const char *name)
{
	return rh_service_individualize(f->store, FAKE_SERVICE, name, NULL, NULL);
}

/* ---- The list ---- */

struct listed {
	size_t count;
	int stop;
	struct {
		char address[64], computer[64], name[64], privacy[64];
		int64_t since, head;
		uint64_t licenses;
	} list[4];
};

static int on_service(void *context, const rh_service *service)
{
	struct listed *listed = context;
	size_t i = listed->count++;

	assert_true(i < 4);
	snprintf(listed->list[i].address, 64, "%s", service->address);
	snprintf(listed->list[i].computer, 64, "%s", service->computer);
	snprintf(listed->list[i].name, 64, "%s", service->name);
	snprintf(listed->list[i].privacy, 64, "%s", service->privacy);
	listed->list[i].since = service->since;
	listed->list[i].head = service->head;
	listed->list[i].licenses = service->licenses;
	return listed->stop;
}

static struct listed list(struct fixture *f)
{
	struct listed listed = {0};

	assert_int_equal(rh_service_list(f->store, on_service, &listed, NULL), RH_OK);
	return listed;
}

static void listing(void **state)
{
	struct fixture *f = *state;
	struct listed listed;

	assert_int_equal(list(f).count, 0);
	add(f, NULL, NULL, 0, 5);
	assert_int_equal(list(f).count, 0);
	add(f, OTHER_SERVICE, NULL, 10, 12);
	fake.seq = 21;
	assert_int_equal(individualize(f, "d\xc3\xa9sk"), RH_OK);
	/* One by its licences, one by what this computer is there. */
	listed = list(f);
	assert_int_equal(listed.count, 2);
	assert_string_equal(listed.list[0].address, FAKE_SERVICE);
	assert_string_equal(listed.list[0].computer, fake.computer);
	assert_string_equal(listed.list[0].name, "d\xc3\xa9sk");
	assert_string_equal(listed.list[0].privacy, FAKE_SERVICE "/v1/privacy");
	assert_true(listed.list[0].since > 1700000000);
	assert_int_equal(listed.list[0].head, 21);
	assert_int_equal(listed.list[0].licenses, 0);
	assert_string_equal(listed.list[1].address, OTHER_SERVICE);
	assert_string_equal(listed.list[1].computer, "");
	assert_string_equal(listed.list[1].name, "");
	assert_int_equal(listed.list[1].since, RH_TIME_NONE);
	assert_int_equal(listed.list[1].head, 0);
	assert_int_equal(listed.list[1].licenses, 2);
	/* And one by both. */
	add(f, FAKE_SERVICE, NULL, 0, 3);
	listed = list(f);
	assert_int_equal(listed.count, 2);
	assert_int_equal(listed.list[0].licenses, 3);
	assert_string_equal(listed.list[0].computer, fake.computer);
	listed = (struct listed){.stop = 1};
	assert_int_equal(rh_service_list(f->store, on_service, &listed, NULL), RH_OK);
	assert_int_equal(listed.count, 1);
	assert_int_equal(rh_service_list(NULL, on_service, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_service_list(f->store, NULL, NULL, NULL), RH_E_ARGUMENT);
}

/* A key that waits for its certificate is no computer yet. */
static void waiting_key(void **state)
{
	struct fixture *f = *state;

	fake.individualize = RH_E_SERVICE_UNAVAILABLE;
	assert_int_equal(individualize(f, NULL), RH_E_SERVICE_UNAVAILABLE);
	assert_int_equal(list(f).count, 0);
}

/* ---- Individualization ---- */

static void release_thumbprint(struct fixture *f, char thumbprint[JOSE_THUMBPRINT_SIZE])
{
	struct age_identity recovery;
	struct jose_key *key;
	bool known, secret;

	assert_int_equal(recovery_load(f->store, &recovery, &known, &secret, NULL), RH_OK);
	assert_true(secret);
	assert_int_equal(release_key(recovery.secret, FAKE_SERVICE, &key, NULL), RH_OK);
	snprintf(thumbprint, JOSE_THUMBPRINT_SIZE, "%s", jose_key_thumbprint(key));
	jose_key_free(key);
}

static void individualizing(void **state)
{
	struct fixture *f = *state;
	char thumbprint[JOSE_THUMBPRINT_SIZE], computer[JOSE_THUMBPRINT_SIZE];
	struct heard heard;
	rh_listener listener = kit_listener(&heard);

	release_thumbprint(f, thumbprint);
	assert_int_equal(
	    rh_service_individualize(f->store, FAKE_SERVICE, NULL, &listener, NULL), RH_OK);
	assert_int_equal(kit_heard(&heard, RH_EVENT_INDIVIDUALIZE), 7);
	assert_int_equal(heard.types[0], RH_EVENT_BEGIN);
	assert_int_equal(heard.ends, 1);
	assert_int_equal(heard.types[heard.count - 1], RH_EVENT_END);
	assert_int_equal(heard.codes[heard.count - 1], RH_OK);
	assert_string_equal(fake.release_thumbprint, thumbprint);
	assert_string_equal(fake.name, "");
	snprintf(computer, sizeof computer, "%s", fake.computer);

	/* Nothing new: nobody is asked. */
	fake_clear();
	listener = kit_listener(&heard);
	assert_int_equal(
	    rh_service_individualize(f->store, FAKE_SERVICE, NULL, &listener, NULL),
	    RH_S_ALREADY_HERE);
	assert_int_equal(fake.opens + fake.fetches, 0);
	assert_int_equal(kit_heard(&heard, RH_EVENT_INDIVIDUALIZE), 0);
	assert_int_equal(heard.codes[heard.count - 1], RH_S_ALREADY_HERE);

	/* A name, and another one: the same computer. */
	assert_int_equal(individualize(f, "desk"), RH_OK);
	assert_string_equal(fake.name, "desk");
	assert_string_equal(list(f).list[0].name, "desk");
	assert_int_equal(individualize(f, "desk"), RH_S_ALREADY_HERE);
	assert_int_equal(individualize(f, "lap"), RH_OK);
	assert_string_equal(fake.computer, computer);
	assert_string_equal(list(f).list[0].computer, computer);
	assert_string_equal(list(f).list[0].name, "lap");
	assert_int_equal(fake.individualizations, 2);
}

static void names(void **state)
{
	struct fixture *f = *state;
	char name[300];

	memset(name, 0, sizeof name);
	for (size_t i = 0; i < 65; i++)
		memcpy(name + 2 * i, "\xc3\xa9", 2);
	assert_int_equal(individualize(f, ""), RH_E_ARGUMENT);
	assert_int_equal(individualize(f, "a\nb"), RH_E_ARGUMENT);
	assert_int_equal(individualize(f, "a\xc2\x9b"), RH_E_ARGUMENT);
	assert_int_equal(individualize(f, "\x7f"), RH_E_ARGUMENT);
	assert_int_equal(individualize(f, "\xc3("), RH_E_ARGUMENT);
	assert_int_equal(individualize(f, name), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_service_individualize(NULL, FAKE_SERVICE, NULL, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_service_individualize(f->store, "", NULL, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_service_individualize(f->store, NULL, NULL, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(fake.opens + fake.fetches, 0);
	name[128] = '\0';
	assert_int_equal(individualize(f, name), RH_OK);
	assert_string_equal(fake.name, name);
}

/* ---- Status ---- */

struct seen {
	size_t count, refused;
	size_t stop_after;
	char last[32];
	rh_license_status status;
	rh_holder holders[2];
	char text[64];
};

static int on_status(void *context, const rh_license *license, const rh_license_status *status)
{
	struct seen *seen = context;

	seen->count++;
	seen->refused += status->code != RH_OK;
	snprintf(seen->last, sizeof seen->last, "%s", license->id);
	assert_string_equal(license->title, "a title");
	seen->status = *status;
	snprintf(seen->text, sizeof seen->text, "%s", status->text);
	for (size_t i = 0; i < status->holder_count && i < 2; i++)
		seen->holders[i] = status->holders[i];
	if (status->holder_count == 2) {
		assert_string_equal(status->holders[0].computer, fake.computer);
		assert_string_equal(status->holders[0].name, "desk");
		assert_string_equal(status->holders[1].computer, FAKE_ANOTHER);
		assert_string_equal(status->holders[1].name, "");
	}
	return seen->count == seen->stop_after;
}

static int status(struct fixture *f, const char *filter, struct seen *seen)
{
	rh_error error = {0};
	int code;

	fake.licenses = 0;
	*seen = (struct seen){.stop_after = seen->stop_after};
	code = rh_service_status(f->store, FAKE_SERVICE, filter, on_status, seen, NULL, &error);
	assert_int_equal(error.code, code);
	assert_int_equal(fake.opens, fake.closes);
	return code;
}

static void what_is_told(void **state)
{
	struct fixture *f = *state;
	struct seen seen = {0};

	add(f, NULL, f->scene.computer, 0, 3);
	add(f, FAKE_SERVICE, NULL, 0, 3);
	add(f, OTHER_SERVICE, NULL, 10, 12);
	assert_int_equal(status(f, NULL, &seen), RH_E_INDIVIDUALIZE);
	assert_int_equal(fake.opens, 0);
	assert_int_equal(individualize(f, NULL), RH_OK);
	fake.seq = 50;
	assert_int_equal(status(f, NULL, &seen), RH_OK);
	assert_int_equal(seen.count, 3);
	assert_string_equal(seen.last, "m-00002");
	assert_int_equal(seen.status.code, RH_OK);
	assert_int_equal(seen.status.limit, 4);
	assert_int_equal(seen.status.free, 2);
	assert_int_equal(seen.status.next, 7000);
	assert_int_equal(seen.status.holder_count, 2);
	assert_int_equal(seen.holders[0].since, 5000);
	assert_int_equal(seen.holders[0].releasing, RH_TIME_NONE);
	assert_int_equal(seen.holders[0].original, 0);
	assert_int_equal(seen.holders[0].here, 1);
	assert_int_equal(seen.holders[1].since, 4000);
	assert_int_equal(seen.holders[1].releasing, 9000);
	assert_int_equal(seen.holders[1].original, 1);
	assert_int_equal(seen.holders[1].here, 0);
	/* None was issued to this computer, so its licence key is not shown. */
	assert_int_equal(fake.claims, 0);
	assert_int_equal(list(f).list[0].head, 50);

	/* One was: it is. */
	add(f, FAKE_SERVICE, f->scene.computer, 3, 4);
	assert_int_equal(status(f, NULL, &seen), RH_OK);
	assert_int_equal(seen.count, 4);
	assert_int_equal(fake.claims, 1);
	assert_string_equal(fake.claimed_by, f->license_key);
	/* Not for the sake of others. */
	assert_int_equal(status(f, "id=m-00000", &seen), RH_OK);
	assert_int_equal(seen.count, 1);
	assert_int_equal(fake.claims, 1);
	/* Nothing to ask about. */
	fake.statuses = 0;
	assert_int_equal(status(f, "id=nobody", &seen), RH_OK);
	assert_int_equal(seen.count + fake.statuses, 0);
}

static void refused(void **state)
{
	struct fixture *f = *state;
	struct seen seen = {0};

	add(f, FAKE_SERVICE, NULL, 0, 3);
	assert_int_equal(individualize(f, NULL), RH_OK);
	fake.refused_from = 1;
	assert_int_equal(status(f, NULL, &seen), RH_OK);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.refused, 2);
	assert_int_equal(seen.status.code, RH_E_SERVICE_REFUSED);
	assert_string_equal(seen.text, "never heard");
	assert_int_equal(seen.status.holder_count, 0);
	assert_int_equal(seen.status.next, RH_TIME_NONE);
}

static void wrong_answers(void **state)
{
	struct fixture *f = *state;
	struct seen seen = {0};

	add(f, FAKE_SERVICE, NULL, 0, 3);
	assert_int_equal(individualize(f, NULL), RH_OK);
	fake.half = true;
	assert_int_equal(status(f, NULL, &seen), RH_E_SERVICE_REPLY);
	fake.half = false;
	fake.others = true;
	assert_int_equal(status(f, NULL, &seen), RH_E_SERVICE_REPLY);
	assert_int_equal(seen.count, 0);
	fake.others = false;
	fake.status = RH_E_SERVICE_UNAVAILABLE;
	assert_int_equal(status(f, NULL, &seen), RH_E_SERVICE_UNAVAILABLE);
	fake.status = RH_OK;
	fake.connect = RH_E_SERVICE_CERTIFICATE;
	assert_int_equal(status(f, NULL, &seen), RH_E_SERVICE_CERTIFICATE);
	fake.connect = RH_OK;
	/* New keys in between. */
	fake.unknown_key = 1;
	fake.set = FAKE_ROTATED;
	assert_int_equal(status(f, NULL, &seen), RH_OK);
	assert_int_equal(seen.count, 3);
	assert_int_equal(
	    rh_service_status(f->store, FAKE_SERVICE, "nonsense", on_status, &seen, NULL, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(
	    rh_service_status(f->store, FAKE_SERVICE, NULL, NULL, NULL, NULL, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(
	    rh_service_status(f->store, "", NULL, on_status, &seen, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_service_status(NULL, FAKE_SERVICE, NULL, on_status, &seen, NULL, NULL),
	    RH_E_ARGUMENT);
}

static void batches(void **state)
{
	struct fixture *f = *state;
	struct seen seen = {0};

	add(f, FAKE_SERVICE, NULL, 0, 1100);
	assert_int_equal(individualize(f, NULL), RH_OK);
	assert_int_equal(status(f, NULL, &seen), RH_OK);
	assert_int_equal(seen.count, 1100);
	assert_int_equal(fake.statuses, 3);
	assert_int_equal(fake.most, 500);
	/* Whoever has seen enough is not made to wait. */
	seen.stop_after = 2;
	fake.statuses = 0;
	assert_int_equal(status(f, NULL, &seen), RH_OK);
	assert_int_equal(seen.count, 2);
	assert_int_equal(fake.statuses, 1);
	/* A full batch at the end. */
	seen.stop_after = 0;
	fake.statuses = 0;
	for (int i = 500; i < 1100; i++) {
		char id[32];

		snprintf(id, sizeof id, "m-%05d", i);
		assert_int_equal(rh_remove(f->store, id, NULL), RH_OK);
	}
	assert_int_equal(status(f, NULL, &seen), RH_OK);
	assert_int_equal(seen.count, 500);
	assert_int_equal(fake.statuses, 1);
}

static void canceled(void **state)
{
	struct fixture *f = *state;
	struct heard heard;
	rh_listener listener = kit_listener(&heard);
	struct seen seen = {0};
	int code = RH_E_CANCELED;
	long polls;

	add(f, FAKE_SERVICE, NULL, 0, 3);
	assert_int_equal(individualize(f, NULL), RH_OK);
	for (polls = 0; code == RH_E_CANCELED; polls++) {
		listener = kit_listener(&heard);
		heard.polls_left = polls;
		fake.licenses = 0;
		code = rh_service_status(
		    f->store, FAKE_SERVICE, NULL, on_status, &seen, &listener, NULL);
		assert_int_equal(heard.ends, 1);
		assert_int_equal(heard.codes[heard.count - 1], code);
		assert_int_equal(fake.opens, fake.closes);
	}
	assert_int_equal(code, RH_OK);
	assert_true(polls > 8);
}

/* ---- Release ---- */

static int release(struct fixture *f, const char *key, const char *directory, int cancel,
    int64_t *ret_effective)
{
	rh_error error = {0};
	int code = rh_service_release(f->store, FAKE_SERVICE, FAKE_ANOTHER, key, directory,
	    cancel, ret_effective, NULL, &error);

	assert_int_equal(error.code, code);
	assert_int_equal(fake.opens, fake.closes);
	return code;
}

static void releasing(void **state)
{
	struct fixture *f = *state;
	char thumbprint[JOSE_THUMBPRINT_SIZE];
	int64_t effective = 1;

	release_thumbprint(f, thumbprint);
	assert_int_equal(release(f, NULL, NULL, 0, &effective), RH_E_INDIVIDUALIZE);
	assert_int_equal(fake.opens, 0);
	assert_int_equal(effective, 1);
	assert_int_equal(individualize(f, NULL), RH_OK);
	fake.effective = 777;
	assert_int_equal(release(f, NULL, NULL, 0, &effective), RH_OK);
	assert_int_equal(effective, 777);
	assert_string_equal(fake.lost, FAKE_ANOTHER);
	assert_string_equal(fake.released_by, thumbprint);
	assert_string_equal(fake.owner_key, "");
	assert_false(fake.cancel);
	/* With what is typed. */
	fake.released_by[0] = '\0';
	assert_int_equal(release(f, f->scene.recovery.code, NULL, 0, NULL), RH_OK);
	assert_string_equal(fake.released_by, thumbprint);
	fake.state = RELEASE_CANCELLED;
	assert_int_equal(release(f, f->scene.recovery.identity, NULL, 1, &effective), RH_OK);
	assert_true(fake.cancel);
	assert_int_equal(effective, RH_TIME_NONE);
	fake.releases = 0;
	assert_int_equal(release(f, "AGE-SECRET-KEY-1X", NULL, 0, NULL), RH_E_SECRET_TYPED);
	assert_int_equal(fake.releases, 0);
	fake.release = RH_E_SERVICE_REFUSED;
	assert_int_equal(release(f, NULL, NULL, 0, NULL), RH_E_SERVICE_REFUSED);
	/* Forgotten here, so it must be typed. */
	assert_int_equal(rh_recovery_forget(f->store, NULL), RH_OK);
	assert_int_equal(release(f, NULL, NULL, 0, NULL), RH_E_SECRET_NEEDED);
	assert_int_equal(
	    rh_service_release(f->store, FAKE_SERVICE, "", NULL, NULL, 0, NULL, NULL, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(
	    rh_service_release(f->store, NULL, FAKE_ANOTHER, NULL, NULL, 0, NULL, NULL, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(rh_service_release(
			     NULL, FAKE_SERVICE, FAKE_ANOTHER, NULL, NULL, 0, NULL, NULL, NULL),
	    RH_E_ARGUMENT);
}

static void backup(struct fixture *f)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	rh_error error;

	options.overwrite = 1;
	if (rh_backup(f->store, f->scene.kit.media, &options, NULL, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
}

/* A computer that never asked the service: its backup says whose it was. */
static void by_its_backup(void **state)
{
	struct fixture *f = *state;
	const char *media = f->scene.kit.media;

	assert_int_equal(individualize(f, NULL), RH_OK);
	assert_int_equal(release(f, NULL, "/nonexistent", 0, NULL), RH_E_NO_DIRECTORY);
	assert_int_equal(release(f, NULL, media, 0, NULL), RH_E_BACKUP_MISSING);
	add(f, NULL, f->scene.computer, 0, 1);
	backup(f);
	assert_int_equal(release(f, NULL, media, 0, NULL), RH_E_SERVICE_UNKNOWN);
	assert_int_equal(fake.releases, 0);
	add(f, FAKE_SERVICE, f->scene.computer, 0, 1);
	backup(f);
	assert_int_equal(release(f, NULL, media, 0, NULL), RH_OK);
	assert_string_equal(fake.owner_key, f->license_key);
	assert_int_equal(release(f, f->scene.recovery.code, media, 0, NULL), RH_OK);
	assert_int_equal(fake.releases, 2);
}

/* ---- Memory ---- */

/* Every allocation fails in turn, until none is left to fail. */
static void play(struct fixture *f, int (*act)(struct fixture *f, rh_error *error))
{
	int code = RH_E_MEMORY;
	size_t failed = 0;

	for (size_t i = 1; code == RH_E_MEMORY; i++) {
		rh_error error = {0};

		fake.licenses = 0;
		failing_nth(i);
		code = act(f, &error);
		failing_stop();
		assert_int_equal(error.code, code);
		assert_int_equal(fake.opens, fake.closes);
		failed += code == RH_E_MEMORY;
	}
	assert_int_equal(code, RH_OK);
	assert_true(failed > 2);
}

static int act_list(struct fixture *f, rh_error *error)
{
	struct listed listed = {0};

	return rh_service_list(f->store, on_service, &listed, error);
}

static int act_status(struct fixture *f, rh_error *error)
{
	struct seen seen = {0};

	return rh_service_status(f->store, FAKE_SERVICE, NULL, on_status, &seen, NULL, error);
}

static int act_release(struct fixture *f, rh_error *error)
{
	int64_t effective = 0;

	return rh_service_release(f->store, FAKE_SERVICE, FAKE_ANOTHER, NULL,
	    f->scene.kit.media, 0, &effective, NULL, error);
}

static void no_memory(void **state)
{
	struct fixture *f = *state;

	add(f, FAKE_SERVICE, f->scene.computer, 0, 2);
	assert_int_equal(individualize(f, "desk"), RH_OK);
	backup(f);
	json_set_alloc_funcs(__wrap_malloc, free);
	play(f, act_list);
	play(f, act_status);
	play(f, act_release);
	json_set_alloc_funcs(malloc, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(listing),
	    TEST(waiting_key),
	    TEST(individualizing),
	    TEST(names),
	    TEST(what_is_told),
	    TEST(refused),
	    TEST(wrong_answers),
	    TEST(batches),
	    TEST(canceled),
	    TEST(releasing),
	    TEST(by_its_backup),
	    TEST(no_memory),
	};

	return cmocka_run_group_tests_name("services", tests, NULL, NULL);
}
