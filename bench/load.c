/*
 * Restores of ten managed licences each, plan and commit, from several computers at once; what
 * bench/service measures with.
 *
 *   load service ADDRESS KEYS-FILE LICENCES-FILE THREADS RESTORES
 *   load ledger DATABASE THREADS RESTORES
 *
 * The first goes through rehostd; the second makes the same changes in the same kind of
 * database itself, with nothing in between.  Prints restores a second, and p50 and p99 in
 * milliseconds.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority/session.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/managed.h"
#include "license/license.h"
#include "service/ledger.h"

#define PER_RESTORE 10
#define THREADS_MAX 64
#define SECRET "sixteen bytes of"
#define KEYS_MAX (64 * 1024)

struct load {
	const char *address;
	struct jose_set keys;
	char *documents; /* one a line */
	char **lines;
	size_t line_count;
	struct ledger *ledger;
	size_t threads;
	size_t restores;
	uint64_t *nanoseconds; /* of each restore */
};

struct worker {
	struct load *load;
	size_t number;
	pthread_t thread;
};

static void must(int code, const rh_error *error, const char *what)
{
	if (code == RH_OK || code == RH_S_ALREADY_HERE)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, rh_code_name(code), error->text);
	exit(1);
}

static void random_text(char *text, size_t bytes)
{
	uint8_t raw[48];
	rh_error error;

	must(random_bytes(raw, bytes, &error), &error, "random");
	base64_encode(text, raw, bytes, BASE64_URL | BASE64_NO_PAD);
}

/* ---- Through the service ---- */

struct computer {
	struct session *session;
	struct jose_key *key;
	char *certificate;
};

static int never(void *context)
{
	(void)context;
	return 0;
}

static void enroll(const struct load *load, struct computer *computer)
{
	const struct computers_request request = {0};
	struct session_setup setup = {
	    .address = load->address, .keys = &load->keys, .stop = never, .language = "en"};
	struct computers_reply reply;
	uint8_t secret[KEY_SIZE];
	rh_error error;

	must(jose_key_generate(&computer->key, secret, &error), &error, "key");
	setup.key = computer->key;
	must(session_open(&setup, &computer->session, &error), &error, "session");
	must(session_connect(computer->session, &error), &error, "connect");
	must(session_individualize(computer->session, &request, &reply, &error), &error,
	    "individualize");
	must(session_set_certificate(computer->session, reply.certificate, &error), &error,
	    "certificate");
	computers_reply_free(&reply);
}

/* The id of a licence, as its claims have it. */
static void id_of(const char *document, char id[256])
{
	const char *claims = strchr(document, '.') + 1;
	size_t length = strcspn(claims, ".");
	char *text = calloc(1, length + 1);
	ptrdiff_t size =
	    base64_decode((uint8_t *)text, length, claims, length, BASE64_URL | BASE64_NO_PAD);
	json_t *root = size > 0 ? json_loadb(text, (size_t)size, 0, NULL) : NULL;

	snprintf(id, 256, "%s", json_string_value(json_object_get(root, "jti")));
	json_decref(root);
	free(text);
}

static const struct jose_set_key *encryption_key(const struct jose_set *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->keys[i].encrypts)
			return &keys->keys[i];
	fprintf(stderr, "the service has no key to seal for\n");
	exit(1);
}

/* What a backup would bring: ten documents, their sealed secrets, and the key of those. */
struct bundle {
	struct request_license licenses[PER_RESTORE];
	char secrets[PER_RESTORE][128];
	char *key;
};

static void bundle_make(const struct load *load, size_t first, struct bundle *bundle)
{
	const struct jose_set_key *service = encryption_key(&load->keys);
	uint8_t batch[KEY_SIZE];
	rh_error error;

	must(random_bytes(batch, sizeof batch, &error), &error, "random");
	must(jose_seal(service->key, service->id, batch, sizeof batch, &bundle->key, &error),
	    &error, "seal");
	for (size_t i = 0; i < PER_RESTORE; i++) {
		const char *document = load->lines[(first + i) % load->line_count];
		struct buffer sealed = {0};
		char id[256];

		id_of(document, id);
		must(managed_seal(
			 batch, load->address, id, SECRET, strlen(SECRET), &sealed, &error),
		    &error, "seal");
		base64_encode(
		    bundle->secrets[i], sealed.data, sealed.size, BASE64_URL | BASE64_NO_PAD);
		bundle->licenses[i] = (struct request_license){.document = document,
		    .document_size = strlen(document),
		    .secret = bundle->secrets[i],
		    .secret_size = strlen(bundle->secrets[i])};
		buffer_free(&sealed);
	}
}

static void ask(struct session *session, struct restore_request *request)
{
	struct restore_reply reply;
	rh_error error;

	must(session_restore(session, request, &reply, &error), &error,
	    message_paths[request->path]);
	for (size_t i = 0; i < reply.license_count; i++) {
		if (reply.licenses[i].result != MESSAGE_REFUSED)
			continue;
		fprintf(stderr, "refused: %s\n", reply.licenses[i].code);
		exit(1);
	}
	restore_reply_free(&reply);
}

static uint64_t restore(struct session *session, struct bundle *bundle)
{
	char idempotency[32];
	struct restore_request request = {
	    .path = MESSAGE_PLAN, .licenses = bundle->licenses, .license_count = PER_RESTORE};
	uint64_t started;

	random_text(idempotency, 18);
	started = clock_monotonic();
	ask(session, &request);
	request.path = MESSAGE_COMMIT;
	request.idempotency_key = idempotency;
	request.key = bundle->key;
	ask(session, &request);
	return clock_monotonic() - started;
}

static void *service_worker(void *argument)
{
	struct worker *worker = argument;
	struct load *load = worker->load;
	struct computer computer = {0};

	enroll(load, &computer);
	for (size_t i = worker->number; i < load->restores; i += load->threads) {
		struct bundle bundle;

		bundle_make(load, i * PER_RESTORE, &bundle);
		load->nanoseconds[i] = restore(computer.session, &bundle);
		free(bundle.key);
	}
	session_close(computer.session);
	jose_key_free(computer.key);
	return NULL;
}

static void read_lines(struct load *load, const char *path)
{
	struct buffer text = {0};
	rh_error error;

	must(file_read_whole(AT_FDCWD, path, (size_t)1 << 30, &text, path, &error), &error,
	    path);
	must(buffer_append(&text, "", 1, &error), &error, path);
	load->documents = (char *)text.data;
	load->lines = calloc(text.size, sizeof *load->lines);
	for (char *line = strtok(load->documents, "\n"); line != NULL;
	     line = strtok(NULL, "\n"))
		load->lines[load->line_count++] = line;
}

static void service_setup(struct load *load, char **arguments)
{
	struct buffer text = {0};
	rh_error error;

	load->address = arguments[0];
	must(file_read_whole(AT_FDCWD, arguments[1], KEYS_MAX, &text, arguments[1], &error),
	    &error, arguments[1]);
	must(jose_set_read(&load->keys, text.data, text.size, "service", &error), &error,
	    arguments[1]);
	buffer_free(&text);
	read_lines(load, arguments[2]);
}

/* ---- Without it ---- */

static void license_make(struct ledger_license *license, size_t number)
{
	rh_error error;

	*license = (struct ledger_license){.issued = 1700000000, .problem = PROBLEM_NONE};
	snprintf(license->issuer, sizeof license->issuer, "Invented Records");
	snprintf(license->id, sizeof license->id, "song-%07zu", number);
	snprintf(license->title, sizeof license->title,
	    "{\"en\":\"Song %zu\",\"de\":\"Lied %zu\"}", number, number);
	snprintf(license->service, sizeof license->service, "https://licences.example:8443");
	snprintf(license->original, sizeof license->original,
	    "0123456789012345678901234567890123456789012");
	must(ledger_key(license->key, license->issuer, license->id, &error), &error, "key");
	must(sha256(license->digest, license->id, strlen(license->id), &error), &error, "key");
}

static void ledger_restore(struct load *load, const char *computer, size_t number)
{
	const struct ledger_visitor visitor = {.computer = computer};
	struct ledger_license licenses[PER_RESTORE];
	struct ledger_outcome outcomes[PER_RESTORE];
	char idempotency[32], nonce[65];
	uint8_t body[DIGEST_SIZE] = {0};
	const struct ledger_commit commit = {idempotency, body, nonce};
	enum problem problem = PROBLEM_NONE;
	char *grants = NULL;
	struct head head;
	rh_error error;

	for (size_t i = 0; i < PER_RESTORE; i++)
		license_make(&licenses[i], number * PER_RESTORE + i);
	random_text(idempotency, 18);
	random_text(nonce, 42);
	must(ledger_recognise(load->ledger, licenses, PER_RESTORE, NULL, &error), &error,
	    "look");
	for (size_t i = 0; i < PER_RESTORE; i++)
		license_make(&licenses[i], number * PER_RESTORE + i);
	must(ledger_plan(load->ledger, clock_now(), &visitor, licenses, PER_RESTORE, outcomes,
		 &problem, &head, &error),
	    &error, "plan");
	must(ledger_commit(load->ledger, clock_now(), &visitor, &commit, licenses, PER_RESTORE,
		 outcomes, &grants, &problem, &head, &error),
	    &error, "commit");
	if (problem != PROBLEM_NONE || grants == NULL) {
		fprintf(stderr, "refused: %s\n", problem_code(problem));
		exit(1);
	}
	free(grants);
}

static void *ledger_worker(void *argument)
{
	struct worker *worker = argument;
	struct load *load = worker->load;
	char computer[JOSE_THUMBPRINT_SIZE], nonce[65];
	enum problem problem = PROBLEM_NONE;
	struct head head;
	rh_error error;

	random_text(computer, 32);
	random_text(nonce, 42);
	must(ledger_enroll(load->ledger, clock_now(), computer, NULL, NULL, nonce, &problem,
		 &head, &error),
	    &error, "enroll");
	for (size_t i = worker->number; i < load->restores; i += load->threads) {
		uint64_t started = clock_monotonic();

		ledger_restore(load, computer, i);
		load->nanoseconds[i] = clock_monotonic() - started;
	}
	return NULL;
}

static void ledger_setup(struct load *load, const char *address)
{
	struct database *database;
	struct jose_key *key;
	uint8_t secret[KEY_SIZE];
	char set[512];
	rh_error error;

	must(jose_key_generate(&key, secret, &error), &error, "key");
	snprintf(set, sizeof set, "{\"keys\":[%s]}", jose_key_jwk(key));
	must(jose_set_read(&load->keys, set, strlen(set), "service", &error), &error, "key");
	must(database_open(address, (unsigned)load->threads + 2, &database, &error), &error,
	    address);
	must(ledger_open(
		 database, "https://licences.example", key, &load->keys, &load->ledger, &error),
	    &error, address);
}

/* ---- Both ---- */

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void run(struct load *load, void *(*work)(void *))
{
	struct worker workers[THREADS_MAX];
	uint64_t started = clock_monotonic(), took;
	size_t last = load->restores - 1;

	load->nanoseconds = calloc(load->restores, sizeof *load->nanoseconds);
	for (size_t i = 0; i < load->threads; i++) {
		workers[i] = (struct worker){.load = load, .number = i};
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			exit(1);
	}
	for (size_t i = 0; i < load->threads; i++)
		pthread_join(workers[i].thread, NULL);
	took = clock_monotonic() - started;
	qsort(load->nanoseconds, load->restores, sizeof *load->nanoseconds, compare);
	printf("%.1f %.2f %.2f\n", (double)load->restores * 1e9 / (double)took,
	    (double)load->nanoseconds[last / 2] / 1e6,
	    (double)load->nanoseconds[last * 99 / 100] / 1e6);
}

int main(int argc, char **argv)
{
	struct load load = {0};

	if (argc == 7 && strcmp(argv[1], "service") == 0) {
		load.threads = strtoul(argv[5], NULL, 10);
		load.restores = strtoul(argv[6], NULL, 10);
		service_setup(&load, argv + 2);
	} else if (argc == 5 && strcmp(argv[1], "ledger") == 0) {
		load.threads = strtoul(argv[3], NULL, 10);
		load.restores = strtoul(argv[4], NULL, 10);
		ledger_setup(&load, argv[2]);
	}
	if (load.threads == 0 || load.threads > THREADS_MAX || load.restores == 0) {
		fprintf(stderr,
		    "usage: load service ADDRESS KEYS-FILE LICENCES-FILE THREADS RESTORES\n"
		    "       load ledger DATABASE THREADS RESTORES\n");
		return 1;
	}
	run(&load, load.ledger != NULL ? ledger_worker : service_worker);
	return 0;
}
