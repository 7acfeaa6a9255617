/*
 * This computer at one service: consent, keys, identity, head; over a service that does as the
 * test says.
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
#include "kit.h"

struct fixture {
	struct kit kit;
	rh_store *store;
};

/* What was heard of an individualization. */
struct steps {
	int32_t states[64];
	int32_t http[64];
	int codes[64];
	size_t count;
	size_t stop_at; /* the event that asks to stop; SIZE_MAX: none */
	long polls_left; /* -1: never */
};

static int on_event(void *context, const rh_event *event)
{
	struct steps *steps = context;

	if (event->type != RH_EVENT_INDIVIDUALIZE)
		return 0;
	assert_non_null(event->individualize);
	assert_string_equal(event->individualize->service, FAKE_SERVICE);
	assert_string_equal(event->individualize->privacy, FAKE_SERVICE "/v1/privacy");
	assert_true(steps->count < 64);
	steps->states[steps->count] = event->individualize->state;
	steps->http[steps->count] = event->individualize->http;
	steps->codes[steps->count] = event->code;
	return steps->count++ == steps->stop_at;
}

static int should_stop(void *context)
{
	struct steps *steps = context;

	return steps->polls_left >= 0 && steps->polls_left-- == 0;
}

static struct steps quiet(void)
{
	return (struct steps){.stop_at = SIZE_MAX, .polls_left = -1};
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	setenv("LC_ALL", "C", 1);
	fake_open();
	kit_open(&f->kit);
	f->store = kit_store(f->kit.store, RH_STORE_CREATE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rh_store_close(f->store);
	kit_close(&f->kit);
	fake_close();
	free(f);
	return 0;
}

/* Opens a link, and closes it again unless ${ret} wants it. */
static int open_link(rh_store *store, const struct link_options *options, struct steps *steps,
    struct link **ret, rh_error *error)
{
	const rh_listener listener = {on_event, should_stop, steps};
	static struct report report; /* a link that is kept goes on with it */
	struct link *link = NULL;
	int code;

	report_init(&report, &listener, RH_OPERATION_INDIVIDUALIZE);
	code = link_open(store, FAKE_SERVICE, options, &report, &link, error);
	assert_true((code == RH_OK) == (link != NULL));
	report.listener = NULL;
	if (ret != NULL)
		*ret = link;
	else
		link_close(link);
	if (ret == NULL || link == NULL)
		assert_int_equal(fake.opens, fake.closes);
	return code;
}

static const struct link_options no_consent = {0}, consent = {.consent = true, .name = "desk"};

static int simply(rh_store *store, const struct link_options *options)
{
	struct steps steps = quiet();
	rh_error error = {0};
	int code = open_link(store, options, &steps, NULL, &error);

	assert_int_equal(error.code, code);
	return code;
}

/* What is kept of the service: of its pin the number of keys, -1 if there is none. */
static int pinned(rh_store *store)
{
	struct pins pins = {0};
	const struct pin *pin;
	int count;

	assert_int_equal(pins_load(store, RH_PIN_SERVICE, &pins, NULL), RH_OK);
	pin = pins_find(&pins, FAKE_SERVICE);
	count = pin != NULL ? (int)pin->keys.count : -1;
	pins_free(&pins);
	return count;
}

static struct identity identity_of(rh_store *store, bool *ret_there)
{
	struct identity identity = {0};

	assert_int_equal(identity_load(store, FAKE_SERVICE, &identity, ret_there, NULL), RH_OK);
	return identity;
}

static bool there(rh_store *store)
{
	bool result;
	struct identity identity = identity_of(store, &result);

	identity_free(&identity);
	return result;
}

/* ---- Consent ---- */

static void nothing_is_sent_without_consent(void **state)
{
	struct fixture *f = *state;
	struct steps steps = quiet();
	rh_error error = {0};

	assert_int_equal(
	    open_link(f->store, &no_consent, &steps, NULL, &error), RH_E_INDIVIDUALIZE);
	assert_non_null(strstr(error.text, FAKE_SERVICE "/v1/privacy"));
	assert_int_equal(fake.fetches + fake.opens + fake.connects, 0);
	assert_int_equal(steps.count, 0);
	assert_false(there(f->store));
	assert_int_equal(pinned(f->store), -1);
}

static void individualized(void **state)
{
	struct fixture *f = *state;
	static const int32_t expected[] = {RH_INDIVIDUALIZE_BEGIN, RH_INDIVIDUALIZE_DOWNLOAD,
	    RH_INDIVIDUALIZE_DOWNLOAD, RH_INDIVIDUALIZE_DOWNLOAD, RH_INDIVIDUALIZE_DOWNLOAD,
	    RH_INDIVIDUALIZE_INSTALL, RH_INDIVIDUALIZE_SUCCEED};
	static const int32_t http[] = {0, 1, 2, 3, 4, 4, 4};
	struct steps steps = quiet();
	struct link *link = NULL;
	rh_error error = {0};
	char computer[JOSE_THUMBPRINT_SIZE];

	fake.seq = 7;
	assert_int_equal(open_link(f->store, &consent, &steps, &link, &error), RH_OK);
	assert_int_equal(steps.count, sizeof expected / sizeof *expected);
	for (size_t i = 0; i < steps.count; i++) {
		assert_int_equal(steps.states[i], expected[i]);
		assert_int_equal(steps.http[i], http[i]);
		assert_int_equal(steps.codes[i], RH_OK);
	}
	assert_string_equal(fake.name, "desk");
	assert_string_equal(fake.release_thumbprint, "");
	assert_string_equal(fake.asked_at, FAKE_SERVICE);
	assert_string_equal(fake.certificate, "");
	assert_int_equal(pinned(f->store), 2);
	snprintf(computer, sizeof computer, "%s", fake.computer);
	assert_string_equal(link->computer, computer);
	assert_string_equal(jose_key_thumbprint(link->key), computer);
	assert_int_equal(link->keys->count, 2);
	link_close(link);
	assert_int_equal(fake.opens, fake.closes);

	/* From now on nothing is asked but whether it is there. */
	fake_clear();
	steps = quiet();
	assert_int_equal(open_link(f->store, &no_consent, &steps, &link, &error), RH_OK);
	assert_int_equal(steps.count, 0);
	assert_int_equal(fake.fetches + fake.individualizations, 0);
	assert_int_equal(fake.connects, 1);
	assert_string_equal(fake.certificate, "a.certificate.x");
	assert_true(fake.head[0] != '\0');
	assert_string_equal(link->computer, computer);
	link_close(link);
}

static void asked_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct link_options options = {
	    .consent = true, .asked_at = "https://mirror.example/lms"};
	struct report report;
	struct link *link;
	rh_error error = {0};

	report_init(&report, NULL, RH_OPERATION_RESTORE);
	assert_int_equal(
	    link_open(f->store, FAKE_SERVICE, &options, &report, &link, &error), RH_OK);
	assert_string_equal(fake.asked_at, "https://mirror.example/lms");
	assert_string_equal(fake.address, FAKE_SERVICE);
	link_close(link);
	options.consent = false;
	assert_int_equal(
	    link_open(f->store, "https://third.example", &options, &report, &link, &error),
	    RH_E_INDIVIDUALIZE);
	/* It is there that this computer would be told of. */
	assert_non_null(strstr(error.text, "https://mirror.example/lms/v1/privacy"));
}

static void long_addresses(void **state)
{
	struct fixture *f = *state;
	struct link_options options = {.consent = true};
	char address[600];
	struct report report;
	struct link *link;

	memset(address, 'a', sizeof address);
	address[512] = '\0';
	report_init(&report, NULL, RH_OPERATION_RESTORE);
	assert_int_equal(
	    link_open(f->store, address, &options, &report, &link, NULL), RH_E_ARGUMENT);
	options.asked_at = address;
	assert_int_equal(
	    link_open(f->store, FAKE_SERVICE, &options, &report, &link, NULL), RH_E_ARGUMENT);
	assert_int_equal(fake.fetches + fake.opens, 0);
}

/* ---- Interrupted ---- */

/* However it ends, the next try comes with the same key: no computer becomes two. */
static void the_key_waits(void **state)
{
	struct fixture *f = *state;
	char first[JOSE_THUMBPRINT_SIZE];
	struct steps steps = quiet();
	struct identity identity;
	bool is_there;

	fake.individualize = RH_E_SERVICE_UNAVAILABLE;
	assert_int_equal(
	    open_link(f->store, &consent, &steps, NULL, NULL), RH_E_SERVICE_UNAVAILABLE);
	assert_int_equal(steps.states[steps.count - 1], RH_INDIVIDUALIZE_FAIL);
	assert_int_equal(steps.codes[steps.count - 1], RH_E_INDIVIDUALIZE_FAILED);
	snprintf(first, sizeof first, "%s", fake.computer);
	identity = identity_of(f->store, &is_there);
	assert_true(is_there);
	assert_null(identity.certificate);
	identity_free(&identity);
	/* Another process, later. */
	rh_store_close(f->store);
	f->store = kit_store(f->kit.store, 0);
	assert_int_equal(simply(f->store, &no_consent), RH_E_INDIVIDUALIZE);
	fake_clear();
	assert_int_equal(simply(f->store, &consent), RH_OK);
	assert_string_equal(fake.computer, first);
}

static void nothing_but_begin_and_fail(void **state)
{
	struct fixture *f = *state;
	struct steps steps = quiet();

	fake.fetch = RH_E_SERVICE_CERTIFICATE;
	assert_int_equal(
	    open_link(f->store, &consent, &steps, NULL, NULL), RH_E_SERVICE_CERTIFICATE);
	assert_int_equal(steps.count, 2);
	assert_int_equal(steps.states[0], RH_INDIVIDUALIZE_BEGIN);
	assert_int_equal(steps.states[1], RH_INDIVIDUALIZE_FAIL);
	assert_false(there(f->store));
}

static void check_canceled(struct fixture *f, const struct steps *steps, int code)
{
	struct identity identity;
	bool is_there;

	assert_int_equal(code, RH_E_CANCELED);
	if (steps->count > 0) {
		assert_int_equal(steps->states[steps->count - 1], RH_INDIVIDUALIZE_CANCEL);
		assert_int_equal(steps->codes[steps->count - 1], RH_E_CANCELED);
	}
	identity = identity_of(f->store, &is_there);
	assert_null(identity.certificate);
	identity_free(&identity);
}

static void canceled_at_every_step(void **state)
{
	struct fixture *f = *state;
	struct steps steps;
	size_t canceled = 0;
	int code = RH_E_CANCELED;

	/* From inside each event but the last, which comes too late. */
	for (size_t i = 0; i < 6; i++) {
		steps = quiet();
		steps.stop_at = i;
		check_canceled(f, &steps, open_link(f->store, &consent, &steps, NULL, NULL));
		assert_int_equal(steps.count, i + 2);
	}
	/* By whoever is asked. */
	for (long i = 0; code == RH_E_CANCELED; i++) {
		steps = quiet();
		steps.polls_left = i;
		code = open_link(f->store, &consent, &steps, NULL, NULL);
		if (code == RH_E_CANCELED) {
			check_canceled(f, &steps, code);
			canceled++;
		}
	}
	assert_int_equal(code, RH_OK);
	assert_true(canceled >= 7);
}

static void late_cancel(void **state)
{
	struct fixture *f = *state;
	struct steps steps = quiet();

	steps.stop_at = 6;
	assert_int_equal(open_link(f->store, &consent, &steps, NULL, NULL), RH_OK);
	assert_int_equal(steps.states[steps.count - 1], RH_INDIVIDUALIZE_SUCCEED);
}

/* While one process waits for the network, another one individualizes. */
static void other_process(void *context)
{
	struct fixture *f = context;
	rh_store *other = kit_store(f->kit.store, 0);
	unsigned opens = fake.opens, closes = fake.closes;

	fake.hook = NULL;
	fake.opens = fake.closes = 0;
	assert_int_equal(simply(other, &consent), RH_OK);
	fake.opens += opens;
	fake.closes += closes;
	rh_store_close(other);
}

static void two_at_once(void **state)
{
	struct fixture *f = *state;
	char first[JOSE_THUMBPRINT_SIZE];
	struct identity identity;
	struct jose_key *key;
	bool is_there;

	fake.hook = other_process;
	fake.hook_context = f;
	assert_int_equal(simply(f->store, &consent), RH_OK);
	assert_int_equal(fake.individualizations, 2);
	snprintf(first, sizeof first, "%s", fake.computer);
	identity = identity_of(f->store, &is_there);
	assert_int_equal(jose_key_private(identity.secret, &key, NULL), RH_OK);
	assert_string_equal(jose_key_thumbprint(key), first);
	jose_key_free(key);
	identity_free(&identity);
	assert_int_equal(simply(f->store, &no_consent), RH_OK);
	assert_string_equal(fake.computer, first);
}

/* ---- Keys of the service ---- */

static void strange_sets(void **state)
{
	struct fixture *f = *state;
	rh_error error = {0};
	struct steps steps = quiet();

	fake.set = FAKE_OTHERS_NAME;
	assert_int_equal(
	    open_link(f->store, &consent, &steps, NULL, &error), RH_E_SERVICE_REPLY);
	assert_non_null(strstr(error.text, "another service"));
	fake.set = FAKE_RUBBISH;
	assert_int_equal(simply(f->store, &consent), RH_E_SERVICE_REPLY);
	assert_int_equal(pinned(f->store), -1);
	assert_false(there(f->store));
	assert_int_equal(fake.opens, 0);
}

static void no_keys_without_consent(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(simply(f->store, &consent), RH_OK);
	assert_int_equal(rh_pin_remove(f->store, RH_PIN_SERVICE, FAKE_SERVICE, NULL), RH_OK);
	fake_clear();
	assert_int_equal(simply(f->store, &no_consent), RH_E_SERVICE_KEYS);
	assert_int_equal(fake.fetches + fake.opens, 0);
	/* With it they come back, and this computer stays who it is. */
	assert_int_equal(simply(f->store, &consent), RH_OK);
	assert_int_equal(fake.individualizations, 0);
	assert_int_equal(pinned(f->store), 2);
}

static void rotated(void **state)
{
	struct fixture *f = *state;
	struct restore_request request = {.path = MESSAGE_LICENSES};
	struct status_reply reply;
	struct steps steps = quiet();
	struct link *link;

	assert_int_equal(open_link(f->store, &consent, &steps, &link, NULL), RH_OK);
	fake_clear();
	fake.unknown_key = 1;
	fake.set = FAKE_ROTATED;
	/* No licences: the answer is none, but it was asked for twice. */
	assert_int_not_equal(link_status(link, &request, &reply, NULL), RH_E_SERVICE_KEYS);
	assert_int_equal(fake.statuses, 2);
	assert_int_equal(fake.fetches, 1);
	assert_int_equal(pinned(f->store), 3);
	assert_int_equal(link->keys->count, 3);
	/* The new session has what the old one had. */
	assert_string_equal(fake.certificate, "a.certificate.x");
	assert_true(fake.head[0] != '\0');

	/* Unknown still, with the same keys shown: asked once, and no more. */
	fake.unknown_key = 5;
	assert_int_equal(link_status(link, &request, &reply, NULL), RH_E_SERVICE_KEYS);
	assert_int_equal(fake.fetches, 2);
	assert_int_equal(fake.unknown_key, 4);
	link_close(link);
	assert_int_equal(pinned(f->store), 3);
}

static void strangers_keys(void **state)
{
	struct fixture *f = *state;
	struct release_request release = {.computer = "x"};
	struct release_reply reply;
	struct steps steps = quiet();
	struct jose_key *key;
	struct link *link;
	uint8_t secret[KEY_SIZE];
	rh_error error = {0};

	assert_int_equal(open_link(f->store, &consent, &steps, &link, NULL), RH_OK);
	assert_int_equal(jose_key_generate(&key, secret, NULL), RH_OK);
	fake.unknown_key = 1;
	fake.set = FAKE_STRANGERS;
	assert_int_equal(link_release(link, key, &release, &reply, &error), RH_E_SERVICE_KEYS);
	assert_non_null(strstr(error.text, "none of the keys"));
	assert_int_equal(pinned(f->store), 2);
	jose_key_free(key);
	link_close(link);
	/* Nor while individualizing, if somebody pinned the keys before. */
	assert_int_equal(store_value_set(f->store->store, "services", NULL, 0, NULL), RH_OK);
	fake_clear();
	assert_int_equal(simply(f->store, &consent), RH_OK);
	assert_int_equal(fake.fetches, 1);
}

static void rotated_before_individualization(void **state)
{
	struct fixture *f = *state;
	struct steps steps = quiet();

	fake.individualize = RH_E_SERVICE_UNAVAILABLE;
	assert_int_equal(simply(f->store, &consent), RH_E_SERVICE_UNAVAILABLE);
	fake_clear();
	fake.unknown_key = 1;
	fake.set = FAKE_ROTATED;
	assert_int_equal(open_link(f->store, &consent, &steps, NULL, NULL), RH_OK);
	assert_int_equal(fake.individualizations, 2);
	assert_int_equal(pinned(f->store), 3);
	assert_int_equal(steps.states[steps.count - 1], RH_INDIVIDUALIZE_SUCCEED);
}

/* ---- What is kept ---- */

static int64_t kept_head(rh_store *store)
{
	bool is_there;
	struct identity identity = identity_of(store, &is_there);
	struct head head = {0};

	assert_int_equal(identity_head(identity.head, &head, NULL), RH_OK);
	identity_free(&identity);
	return head.seq;
}

static bool is_told(rh_store *store)
{
	bool is_there;
	struct identity identity = identity_of(store, &is_there);
	bool told = identity.release;

	identity_free(&identity);
	return told;
}

static void set_told(rh_store *store)
{
	bool is_there;
	struct identity identity = identity_of(store, &is_there);

	identity.release = true;
	assert_int_equal(identity_save(store, &identity, NULL), RH_OK);
	identity_free(&identity);
}

static void see_head(struct link *link, int64_t seq)
{
	struct restore_request request = {.path = MESSAGE_LICENSES};
	struct status_reply reply;

	fake.seq = seq;
	/* The head comes before what is wrong with the message. */
	link_status(link, &request, &reply, NULL);
}

static void heads(void **state)
{
	static const uint8_t recovery[KEY_SIZE] = {1, 2, 3};
	struct fixture *f = *state;
	struct steps steps = quiet();
	struct link *link;

	fake.seq = 5;
	assert_int_equal(open_link(f->store, &consent, &steps, &link, NULL), RH_OK);
	assert_int_equal(kept_head(f->store), 5);
	see_head(link, 9);
	assert_int_equal(kept_head(f->store), 5);
	assert_int_equal(link_save(link, NULL), RH_OK);
	assert_int_equal(kept_head(f->store), 9);
	/* Within the caller's transaction, it goes with it. */
	see_head(link, 12);
	assert_int_equal(store_begin(f->store->store, NULL), RH_OK);
	assert_int_equal(link_save(link, NULL), RH_OK);
	store_rollback(f->store->store);
	assert_int_equal(kept_head(f->store), 9);
	assert_int_equal(link_save(link, NULL), RH_OK);
	assert_int_equal(kept_head(f->store), 12);
	/* Another process has seen more. */
	see_head(link, 11);
	assert_int_equal(link_save(link, NULL), RH_OK);
	assert_int_equal(kept_head(f->store), 12);
	/* The ledger was put back to an old copy, and taken as it is: it is told anew whose
	 * this computer is. */
	set_told(f->store);
	see_head(link, 13);
	assert_int_equal(link_save(link, NULL), RH_OK);
	assert_true(is_told(f->store));
	fake.resolved = 1;
	see_head(link, 7);
	assert_int_equal(link_save(link, NULL), RH_OK);
	assert_int_equal(kept_head(f->store), 7);
	assert_false(is_told(f->store));
	/* With the same link, too. */
	assert_true(link_forgotten(link));
	fake.individualize = RH_E_SERVICE_UNAVAILABLE;
	assert_int_equal(link_tell_owner(link, recovery, NULL), RH_E_SERVICE_UNAVAILABLE);
	assert_true(link_forgotten(link) && !is_told(f->store));
	fake.individualize = RH_OK;
	assert_int_equal(link_tell_owner(link, recovery, NULL), RH_OK);
	assert_true(!link_forgotten(link) && is_told(f->store));
	assert_int_equal(kept_head(f->store), 7);
	link_close(link);
}

static int count_identity(void *context, const struct link_identity *identity, rh_error *error)
{
	size_t *count = context;

	(void)error;
	(*count)++;
	assert_string_equal(identity->address, FAKE_SERVICE);
	assert_string_equal(identity->computer, fake.computer);
	assert_string_equal(identity->name, "desk");
	assert_int_equal(identity->head, 33);
	assert_true(identity->since > 1700000000);
	return *count == 1 ? RH_OK : RH_E_INTERNAL;
}

static void identities(void **state)
{
	struct fixture *f = *state;
	size_t count = 0;

	assert_int_equal(link_identities(f->store, count_identity, &count, NULL), RH_OK);
	assert_int_equal(count, 0);
	fake.seq = 33;
	assert_int_equal(simply(f->store, &consent), RH_OK);
	assert_int_equal(link_identities(f->store, count_identity, &count, NULL), RH_OK);
	assert_int_equal(count, 1);
}

/* Who may release this computer, told with the certificate or as soon as it is known. */
static void release_keys(void **state)
{
	struct fixture *f = *state;
	static const uint8_t recovery[KEY_SIZE] = {1, 2, 3};
	const struct link_options later = {.recovery = recovery};
	struct jose_key *key;

	assert_int_equal(release_key(recovery, FAKE_SERVICE, &key, NULL), RH_OK);
	assert_int_equal(simply(f->store, &consent), RH_OK);
	assert_string_equal(fake.release_thumbprint, "");
	/* The service does not want it now: nothing comes of that. */
	fake.individualize = RH_E_INDIVIDUALIZE_FAILED;
	assert_int_equal(simply(f->store, &later), RH_OK);
	fake.individualize = RH_OK;
	assert_int_equal(simply(f->store, &later), RH_OK);
	assert_int_equal(fake.individualizations, 3);
	assert_string_equal(fake.release_thumbprint, jose_key_thumbprint(key));
	assert_string_equal(fake.name, "desk");
	/* Once. */
	assert_int_equal(simply(f->store, &later), RH_OK);
	assert_int_equal(fake.individualizations, 3);
	jose_key_free(key);
}

static void keep(rh_store *store, const void *value, size_t size)
{
	char name[80] = "service.", *p = name + 8;
	uint8_t digest[DIGEST_SIZE];

	assert_int_equal(sha256(digest, FAKE_SERVICE, strlen(FAKE_SERVICE), NULL), RH_OK);
	for (size_t i = 0; i < sizeof digest; i++)
		p += sprintf(p, "%02x", digest[i]);
	assert_int_equal(store_value_set(store->store, name, value, size, NULL), RH_OK);
}

static void damaged(void **state)
{
	struct fixture *f = *state;
	static const char *const values[] = {"short", "01234567890123456789012345678901",
	    "01234567890123456789012345678901{", "01234567890123456789012345678901{}",
	    "01234567890123456789012345678901[]",
	    "01234567890123456789012345678901{\"address\":\"https://lms.example/a\"}",
	    "01234567890123456789012345678901{\"address\":\"https://lms.example/"
	    "b\",\"since\":1}",
	    "01234567890123456789012345678901{\"address\":\"https://lms.example/"
	    "a\",\"since\":\"\"}",
	    "01234567890123456789012345678901{\"address\":\"https://lms.example/"
	    "a\",\"since\":1,"
	    "\"certificate\":1}"};
	size_t count = 0;

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		keep(f->store, values[i], strlen(values[i]));
		assert_int_equal(simply(f->store, &consent), RH_E_STORE_DAMAGED);
		assert_int_equal(fake.fetches + fake.opens, 0);
	}
	keep(f->store, values[3], strlen(values[3]));
	assert_int_equal(
	    link_identities(f->store, count_identity, &count, NULL), RH_E_STORE_DAMAGED);
}

/* ---- Memory ---- */

static void no_memory(void **state)
{
	struct fixture *f = *state;
	static const uint8_t recovery[KEY_SIZE] = {1, 2, 3};
	const struct link_options options = {
	    .consent = true, .name = "desk", .recovery = recovery};
	char first[JOSE_THUMBPRINT_SIZE] = "";
	int code = RH_E_MEMORY;
	size_t failed = 0;

	json_set_alloc_funcs(__wrap_malloc, free);
	for (size_t i = 1; code == RH_E_MEMORY; i++) {
		struct steps steps = quiet();
		rh_error error = {0};

		failing_nth(i);
		code = open_link(f->store, &options, &steps, NULL, &error);
		failing_stop();
		assert_int_equal(error.code, code);
		failed += code == RH_E_MEMORY;
		/* One key, from the first that was used. */
		if (fake.individualizations > 0 && first[0] == '\0')
			snprintf(first, sizeof first, "%s", fake.computer);
	}
	json_set_alloc_funcs(malloc, free);
	assert_int_equal(code, RH_OK);
	assert_true(failed > 30);
	assert_string_equal(fake.computer, first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    TEST(nothing_is_sent_without_consent),
	    TEST(individualized),
	    TEST(asked_elsewhere),
	    TEST(long_addresses),
	    TEST(the_key_waits),
	    TEST(nothing_but_begin_and_fail),
	    TEST(canceled_at_every_step),
	    TEST(late_cancel),
	    TEST(two_at_once),
	    TEST(strange_sets),
	    TEST(no_keys_without_consent),
	    TEST(rotated),
	    TEST(strangers_keys),
	    TEST(rotated_before_individualization),
	    TEST(heads),
	    TEST(identities),
	    TEST(release_keys),
	    TEST(damaged),
	    TEST(no_memory),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
