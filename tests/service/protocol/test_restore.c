#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../engine/issue.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/managed.h"
#include "database_kit.h"
#include "failing.h"
#include "license/license.h"
#include "service/documents.h"
#include "service/guard.h"
#include "service/issuers.h"
#include "service/keys.h"
#include "service/log.h"
#include "service/nonces.h"
#include "service/rates.h"

/*
 * The handlers with a real ledger and without HTTP: what they do when memory runs out at each
 * place.  With an argument, how long batches take: test-service-restore LICENCES.
 */

#define ADDRESS "https://licences.example/lms"
#define BASE64_JOSE (BASE64_URL | BASE64_NO_PAD)

struct world {
	char directory[64];
	struct service service;
	struct issue_keys *issuer;
	struct jose_key *computer;
	char *certificate;
	uint8_t batch_key[KEY_SIZE];
	char *key; /* the batch key, sealed for the service */
};

static const char *proof_header; /* of the request that is being handled */

/* In place of http.c's. */
const char *request_header(const struct request *request, const char *name)
{
	(void)request;
	return strcmp(name, "Rehost-Proof") == 0 ? proof_header : NULL;
}

static void must(int code, const rh_error *error)
{
	if (code != RH_OK)
		fail_msg("%s", error->text);
}

/* ---- A service, and one computer ---- */

static void add_issuer(struct world *world)
{
	struct issue_keys *keys[] = {world->issuer};
	char *set = issue_set(keys, 1, "Example Songs");
	const struct ledger_issuer issuer = {
	    .name = "Example Songs", .title = "", .contact = "", .keys = set};
	rh_error error;

	must(ledger_issuer_put(
		 world->service.ledger, clock_now(), "local:test", &issuer, &error),
	    &error);
	free(set);
}

static void open_service(struct world *world)
{
	struct service *service = &world->service;
	uint8_t secret[KEY_SIZE];
	rh_error error;

	service->address = ADDRESS;
	service->path = "/lms";
	service->operator_name = service->privacy_contact = "";
	must(service_keys_open(
		 world->directory, ADDRESS, true, clock_now(), &service->keys, &error),
	    &error);
	service->database = kit_database(4);
	must(ledger_open(service->database, ADDRESS, service_keys_signing(service->keys),
		 service_keys_set(service->keys), &service->ledger, &error),
	    &error);
	must(issuers_new(service->ledger, &service->issuers, &error), &error);
	must(service_keys_derive(service->keys, "nonces", secret, &error), &error);
	must(nonces_new(secret, &service->nonces, &error), &error);
	must(log_new(-1, &service->log, &error), &error);
	world->issuer = issue_keys_new("2026-01", "ES256");
	add_issuer(world);
}

static void new_computer(struct world *world)
{
	uint8_t secret[KEY_SIZE];
	rh_error error;

	jose_key_free(world->computer);
	free(world->certificate);
	must(jose_key_generate(&world->computer, secret, &error), &error);
	must(
	    certificate_sign(service_keys_signing(world->service.keys), ADDRESS,
		jose_key_thumbprint(world->computer), clock_now(), &world->certificate, &error),
	    &error);
}

static void new_batch_key(struct world *world)
{
	const struct jose_set *set = service_keys_set(world->service.keys);
	rh_error error;

	must(random_bytes(world->batch_key, KEY_SIZE, &error), &error);
	for (size_t i = 0; i < set->count; i++)
		if (set->keys[i].encrypts && world->key == NULL)
			must(jose_seal(set->keys[i].key, set->keys[i].id, world->batch_key,
				 KEY_SIZE, &world->key, &error),
			    &error);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	strcpy(world->directory, "/tmp/rehost-restore-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	open_service(world);
	new_computer(world);
	new_batch_key(world);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	struct service *service = &world->service;
	char path[128];

	issuers_free(service->issuers);
	ledger_close(service->ledger);
	kit_database_drop(service->database);
	nonces_free(service->nonces);
	log_free(service->log);
	service_keys_close(service->keys);
	snprintf(path, sizeof path, "%s/%s", world->directory, SERVICE_KEYS_FILE);
	remove(path);
	assert_int_equal(remove(world->directory), 0);
	issue_keys_free(world->issuer);
	jose_key_free(world->computer);
	free(world->certificate);
	free(world->key);
	free(world);
	return 0;
}

/* ---- What it asks ---- */

struct ask {
	const char *path;
	handler handler;
	struct buffer body;
};

/* Signs it with a new nonce; only what the service does may fail. */
static struct reply send(struct world *world, const struct ask *ask)
{
	struct request request = {.method = "POST",
	    .path = ask->path,
	    .client = "127.0.0.1",
	    .body = ask->body.data,
	    .body_size = ask->body.size,
	    .rest = ""};
	struct reply reply = {0};
	char nonce[NONCE_SIZE], address[600], *proof;
	rh_error error;

	failing_pause();
	must(nonces_make(world->service.nonces, clock_now(), nonce, &error), &error);
	snprintf(address, sizeof address, ADDRESS "%s", ask->path);
	must(proof_sign(world->computer,
		 &(struct proof){"POST", address, clock_now(), nonce, world->certificate},
		 ask->body.data, ask->body.size, &proof, &error),
	    &error);
	failing_resume();
	proof_header = proof;
	ask->handler(&world->service, &request, &reply);
	proof_header = NULL;
	failing_pause();
	free(proof);
	failing_resume();
	return reply;
}

static char *a_licence(const struct world *world, const char *id)
{
	return issue_license(world->issuer, &(struct issue){.id = id,
						.issuer = "Example Songs",
						.title = "\"River songs\"",
						.service = ADDRESS,
						.backup = 1});
}

/*
 * A commit (or plan, or question) of licences "PREFIX-0", ..., made anew or ${documents}; with
 * a secret each in a commit.
 */
static struct ask a_batch_of(const struct world *world, enum message_path path,
    const char *prefix, size_t count, char **documents)
{
	static unsigned batches;
	struct ask ask = {message_paths[path],
	    path == MESSAGE_LICENSES ? handle_licenses : handle_restore, {0}};
	struct request_license *licenses = calloc(count, sizeof *licenses);
	char idempotency[32], id[64];
	struct restore_request message = {
	    .path = path, .licenses = licenses, .license_count = count};
	rh_error error;

	snprintf(idempotency, sizeof idempotency, "batch-%020u", batches++);
	if (path == MESSAGE_COMMIT) {
		message.idempotency_key = idempotency;
		message.key = world->key;
	}
	for (size_t i = 0; i < count; i++) {
		struct buffer sealed = {0};
		char *text;

		snprintf(id, sizeof id, "%s-%zu", prefix, i);
		licenses[i].document =
		    documents == NULL ? a_licence(world, id) : strdup(documents[i]);
		licenses[i].document_size = strlen(licenses[i].document);
		if (path != MESSAGE_COMMIT)
			continue;
		must(managed_seal(world->batch_key, ADDRESS, id, "a content key of", 16,
			 &sealed, &error),
		    &error);
		text = malloc(BASE64_SIZE(sealed.size));
		licenses[i].secret_size =
		    base64_encode(text, sealed.data, sealed.size, BASE64_JOSE);
		licenses[i].secret = text;
		buffer_free(&sealed);
	}
	must(restore_request_write(&message, &ask.body, &error), &error);
	for (size_t i = 0; i < count; i++) {
		free((char *)licenses[i].document);
		free((char *)licenses[i].secret);
	}
	free(licenses);
	return ask;
}

static struct ask a_batch(
    const struct world *world, enum message_path path, const char *prefix, size_t count)
{
	return a_batch_of(world, path, prefix, count, NULL);
}

/* ---- What is answered ---- */

static void test_secrets_come_back(void **state)
{
	struct world *world = *state;
	struct ask ask = a_batch(world, MESSAGE_COMMIT, "songs", 3);
	struct reply reply = send(world, &ask);
	struct restore_reply answer = {0};
	struct buffer key = {0}, secret = {0};
	uint8_t sealed[256];
	ptrdiff_t size;
	rh_error error;

	assert_int_equal(reply.status, 200);
	assert_int_equal(reply.licenses, 3);
	assert_string_equal(reply.computer, jose_key_thumbprint(world->computer));
	must(restore_reply_read(&answer, reply.body.data, reply.body.size, &error), &error);
	must(jose_open(world->computer, answer.key, strlen(answer.key), &key, &error), &error);
	assert_int_equal(key.size, KEY_SIZE);
	assert_memory_not_equal(key.data, world->batch_key, KEY_SIZE);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(answer.licenses[i].result, MESSAGE_GRANTED);
		size = base64_decode(sealed, sizeof sealed, answer.licenses[i].secret,
		    strlen(answer.licenses[i].secret), BASE64_JOSE);
		assert_true(size > 0);
		buffer_clear(&secret);
		must(managed_open(key.data, ADDRESS, answer.licenses[i].id, sealed,
			 (size_t)size, &secret, &error),
		    &error);
		assert_int_equal(secret.size, 16);
		assert_memory_equal(secret.data, "a content key of", 16);
	}
	buffer_free_secret(&secret);
	buffer_free_secret(&key);
	restore_reply_free(&answer);
	buffer_free(&reply.body);
	buffer_free(&ask.body);
}

/* Each allocation fails in turn: 200, or 503 and nothing is left behind. */
static void no_memory(struct world *world, const struct ask *ask)
{
	size_t count, refused = 0;
	struct reply reply;

	failing_nth(0);
	reply = send(world, ask);
	count = failing_stop();
	assert_int_equal(reply.status, 200);
	buffer_free(&reply.body);
	for (size_t i = 1; i <= count; i++) {
		failing_nth(i);
		reply = send(world, ask);
		failing_stop();
		assert_true(reply.status == 200 || reply.status == 503);
		if (reply.status == 503)
			assert_int_equal(reply.problem, PROBLEM_UNAVAILABLE);
		refused += reply.status == 503;
		buffer_free(&reply.body);
	}
	assert_true(refused > count / 2);
	reply = send(world, ask);
	assert_int_equal(reply.status, 200);
	buffer_free(&reply.body);
}

static void test_plan_without_memory(void **state)
{
	struct ask ask = a_batch(*state, MESSAGE_PLAN, "plan", 2);

	no_memory(*state, &ask);
	buffer_free(&ask.body);
}

/* The same idempotency key each time: whatever fails, it is charged once. */
static void test_commit_without_memory(void **state)
{
	struct ask ask = a_batch(*state, MESSAGE_COMMIT, "commit", 2);
	struct world *world = *state;
	struct ledger_counts counts;
	rh_error error;

	no_memory(world, &ask);
	buffer_free(&ask.body);
	must(ledger_counts(world->service.ledger, &counts, &error), &error);
	assert_int_equal(counts.slots, 2);
}

static void test_status_without_memory(void **state)
{
	struct ask ask = a_batch(*state, MESSAGE_LICENSES, "status", 2);

	no_memory(*state, &ask);
	buffer_free(&ask.body);
}

static void test_computers_without_memory(void **state)
{
	struct ask ask = {message_paths[MESSAGE_COMPUTERS], handle_computers, {0}};

	assert_int_equal(
	    buffer_append_text(&ask.body, "{\"name\":\"new laptop\"}", NULL), RH_OK);
	no_memory(*state, &ask);
	buffer_free(&ask.body);
}

/* ---- How often ---- */

static void test_each_computer_has_its_allowance(void **state)
{
	struct world *world = *state;
	struct ask ask = a_batch(world, MESSAGE_PLAN, "often", 1);
	struct reply reply = {0};
	rh_error error;

	must(rates_new(1, 2, &world->service.rates, &error), &error);
	for (int i = 0; i < 3; i++) {
		buffer_free(&reply.body);
		reply = send(world, &ask);
		assert_int_equal(reply.status, i < 2 ? 200 : 429);
	}
	assert_int_equal(reply.problem, PROBLEM_TOO_MANY);
	assert_true(atoi(reply.retry_after) >= 1);
	buffer_free(&reply.body);
	new_computer(world);
	reply = send(world, &ask);
	assert_int_equal(reply.status, 200);
	buffer_free(&reply.body);
	buffer_free(&ask.body);
	rates_free(world->service.rates);
	world->service.rates = NULL;
}

/* ---- Issuers ---- */

static void test_issuers_follow_the_ledger(void **state)
{
	struct world *world = *state;
	const struct issuers_view *before, *after;
	rh_error error;

	must(issuers_hold(world->service.issuers, &before, &error), &error);
	assert_int_equal(before->count, 1);
	must(ledger_issuer_remove(
		 world->service.ledger, clock_now(), "local:test", "Example Songs", &error),
	    &error);
	must(issuers_hold(world->service.issuers, &after, &error), &error);
	assert_int_equal(after->count, 0);
	/* Who held it goes on with what he holds. */
	assert_string_equal(before->issuers[0].name, "Example Songs");
	assert_int_equal(before->issuers[0].keys->count, 1);
	issuers_release(world->service.issuers, before);
	issuers_release(world->service.issuers, after);
	issuers_release(world->service.issuers, NULL);
}

static void test_many_issuers(void **state)
{
	struct world *world = *state;
	struct issue_keys *keys[] = {world->issuer};
	char *set = issue_set(keys, 1, "x"), name[32];
	const struct issuers_view *view;
	rh_error error;

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "issuer %d", i);
		must(ledger_issuer_put(world->service.ledger, clock_now(), "local:test",
			 &(struct ledger_issuer){name, "", "", set, 0}, &error),
		    &error);
	}
	free(set);
	for (size_t i = 1;; i++) {
		int code;

		failing_nth(i);
		code = issuers_hold(world->service.issuers, &view, &error);
		failing_stop();
		if (code == RH_OK)
			break;
		assert_true(code == RH_E_MEMORY || code == RH_E_DATABASE);
	}
	assert_int_equal(view->count, 41);
	for (size_t i = 0; i < view->count; i++)
		assert_int_equal(view->issuers[i].keys->count, 1);
	issuers_release(world->service.issuers, view);
}

/* Unknown documents of a large batch are verified on several threads, with the same answers. */
static void test_wrong_ones_among_many(void **state)
{
	enum { COUNT = 200 };
	struct world *world = *state;
	char *documents[COUNT], id[32];
	struct restore_reply answer = {0};
	struct reply reply;
	struct ask ask;
	rh_error error;

	for (int i = 0; i < COUNT; i++) {
		snprintf(id, sizeof id, "many-%d", i);
		documents[i] = a_licence(world, id);
		/* A character of the claims. */
		if (i % 7 == 3)
			documents[i][strcspn(documents[i], ".") + 40] ^= 1;
	}
	ask = a_batch_of(world, MESSAGE_PLAN, "many", COUNT, documents);
	reply = send(world, &ask);
	assert_int_equal(reply.status, 200);
	must(restore_reply_read(&answer, reply.body.data, reply.body.size, &error), &error);
	assert_int_equal(answer.license_count, COUNT);
	for (int i = 0; i < COUNT; i++) {
		snprintf(id, sizeof id, "many-%d", i);
		assert_int_equal(
		    answer.licenses[i].result, i % 7 == 3 ? MESSAGE_REFUSED : MESSAGE_COSTS);
		if (i % 7 == 3)
			assert_null(answer.licenses[i].id);
		else
			assert_string_equal(answer.licenses[i].id, id);
		free(documents[i]);
	}
	restore_reply_free(&answer);
	buffer_free(&reply.body);
	buffer_free(&ask.body);
}

static void test_what_was_verified(void **state)
{
	struct world *world = *state;
	const struct issuers_view *view;
	uint8_t one[DIGEST_SIZE] = {1, 2, 3}, other[DIGEST_SIZE] = {1, 2, 3, 4};
	rh_error error;

	must(issuers_hold(world->service.issuers, &view, &error), &error);
	assert_false(issuers_verified(view, one));
	issuers_remember(view, one);
	assert_true(issuers_verified(view, one));
	assert_false(issuers_verified(view, other));
	issuers_release(world->service.issuers, view);
	must(issuers_hold(world->service.issuers, &view, &error), &error);
	assert_true(issuers_verified(view, one));
	issuers_release(world->service.issuers, view);
	/* With other issuers nothing is. */
	must(ledger_issuer_remove(
		 world->service.ledger, clock_now(), "local:test", "Example Songs", &error),
	    &error);
	must(issuers_hold(world->service.issuers, &view, &error), &error);
	assert_false(issuers_verified(view, one));
	issuers_release(world->service.issuers, view);
}

/* ---- How long it takes ---- */

static double microseconds(struct world *world, enum message_path path, const char *prefix,
    size_t count, char **documents)
{
	struct ask ask = a_batch_of(world, path, prefix, count, documents);
	uint64_t begin = clock_monotonic();
	struct reply reply = send(world, &ask);
	double took = (double)(clock_monotonic() - begin) / 1000;

	if (reply.status != 200)
		fail_msg("%d: %.*s", reply.status, (int)reply.body.size, reply.body.data);
	buffer_free(&reply.body);
	buffer_free(&ask.body);
	return took;
}

static int measure(size_t count)
{
	enum { ROUNDS = 10 };
	char prefix[32], id[64], **documents = calloc(count, sizeof *documents);
	double plan = 0, commit = 0, known_plan = 0, known_commit = 0, status = 0;
	struct world *world;

	setup((void **)&world);
	for (int round = 0; round < ROUNDS; round++) {
		snprintf(prefix, sizeof prefix, "songs-%d", round);
		for (size_t i = 0; i < count; i++) {
			snprintf(id, sizeof id, "%s-%zu", prefix, i);
			documents[i] = a_licence(world, id);
		}
		plan += microseconds(world, MESSAGE_PLAN, prefix, count, documents);
		commit += microseconds(world, MESSAGE_COMMIT, prefix, count, documents);
		known_plan += microseconds(world, MESSAGE_PLAN, prefix, count, documents);
		known_commit += microseconds(world, MESSAGE_COMMIT, prefix, count, documents);
		status += microseconds(world, MESSAGE_LICENSES, prefix, count, documents);
		for (size_t i = 0; i < count; i++)
			free(documents[i]);
	}
	free(documents);
	printf("%zu licences, microseconds: plan %.0f, known %.0f; commit %.0f, known and free "
	       "%.0f; status %.0f\n",
	    count, plan / ROUNDS, known_plan / ROUNDS, commit / ROUNDS, known_commit / ROUNDS,
	    status / ROUNDS);
	return teardown((void **)&world);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
	    TEST(test_secrets_come_back),
	    TEST(test_plan_without_memory),
	    TEST(test_commit_without_memory),
	    TEST(test_status_without_memory),
	    TEST(test_computers_without_memory),
	    TEST(test_each_computer_has_its_allowance),
	    TEST(test_issuers_follow_the_ledger),
	    TEST(test_many_issuers),
	    TEST(test_wrong_ones_among_many),
	    TEST(test_what_was_verified),
	};

	if (argc > 1)
		return measure(strtoul(argv[1], NULL, 10));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
