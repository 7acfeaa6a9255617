/*
 * Many computers ask for the last places of the same licences at one moment, again and again.
 *
 *   racer ADDRESS KEYS-FILE LICENCES-FILE THREADS RACES PER-RACE
 *
 * Race r is about licences r * PER-RACE and following of the file, one a line.  Whatever a
 * computer is not told for want of an answer it asks again, under the same idempotency key.
 * Prints a line a licence: its index, and how many computers were told that they hold it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "authority/session.h"
#include "base/file.h"
#include "base/text.h"

#define THREADS_MAX 64
#define PER_RACE_MAX 16
#define PATIENCE 200 /* times of 100 ms without an answer */

struct race {
	const char *address;
	struct jose_set keys;
	char **lines;
	size_t line_count;
	size_t threads;
	size_t races;
	size_t per_race;
	pthread_barrier_t start;
	atomic_uint *granted; /* of each licence */
};

struct runner {
	struct race *race;
	pthread_t thread;
	struct session *session;
	struct jose_key *key;
};

static void must(int code, const rh_error *error, const char *what)
{
	if (code == RH_OK)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, rh_code_name(code), error->text);
	exit(1);
}

static int never(void *context)
{
	(void)context;
	return 0;
}

static void pause_a_little(void)
{
	const struct timespec pause = {0, 100000000};

	nanosleep(&pause, NULL);
}

/* Again as long as nobody answers. */
static bool again(int code, unsigned *tries)
{
	if (code != RH_E_SERVICE_UNAVAILABLE || ++*tries > PATIENCE)
		return false;
	pause_a_little();
	return true;
}

static void enroll(struct runner *runner)
{
	const struct computers_request request = {0};
	struct session_setup setup = {.address = runner->race->address,
	    .keys = &runner->race->keys,
	    .stop = never,
	    .language = "en"};
	struct computers_reply reply;
	uint8_t secret[KEY_SIZE];
	unsigned tries = 0;
	rh_error error;
	int code;

	must(jose_key_generate(&runner->key, secret, &error), &error, "key");
	setup.key = runner->key;
	must(session_open(&setup, &runner->session, &error), &error, "session");
	do
		code = session_individualize(runner->session, &request, &reply, &error);
	while (again(code, &tries));
	must(code, &error, "individualize");
	must(session_set_certificate(runner->session, reply.certificate, &error), &error,
	    "certificate");
	computers_reply_free(&reply);
}

static void run_one(struct runner *runner, size_t number)
{
	struct race *race = runner->race;
	struct request_license licenses[PER_RACE_MAX];
	char idempotency[32];
	uint8_t raw[18];
	struct restore_request request = {.path = MESSAGE_COMMIT,
	    .idempotency_key = idempotency,
	    .licenses = licenses,
	    .license_count = race->per_race};
	struct restore_reply reply;
	unsigned tries = 0;
	rh_error error;
	int code;

	must(random_bytes(raw, sizeof raw, &error), &error, "random");
	base64_encode(idempotency, raw, sizeof raw, BASE64_URL | BASE64_NO_PAD);
	for (size_t i = 0; i < race->per_race; i++) {
		const char *line = race->lines[number * race->per_race + i];

		licenses[i] =
		    (struct request_license){.document = line, .document_size = strlen(line)};
	}
	do
		code = session_restore(runner->session, &request, &reply, &error);
	while (again(code, &tries));
	must(code, &error, "commit");
	for (size_t i = 0; i < reply.license_count; i++)
		if (reply.licenses[i].result != MESSAGE_REFUSED)
			atomic_fetch_add(&race->granted[number * race->per_race + i], 1);
	restore_reply_free(&reply);
}

static void *runner_main(void *argument)
{
	struct runner *runner = argument;
	struct race *race = runner->race;

	enroll(runner);
	for (size_t i = 0; i < race->races; i++) {
		pthread_barrier_wait(&race->start);
		run_one(runner, i);
	}
	session_close(runner->session);
	jose_key_free(runner->key);
	return NULL;
}

static void setup(struct race *race, char **arguments)
{
	struct buffer text = {0};
	rh_error error;

	race->address = arguments[0];
	must(file_read_whole(AT_FDCWD, arguments[1], JOSE_SET_MAX, &text, arguments[1], &error),
	    &error, arguments[1]);
	must(jose_set_read(&race->keys, text.data, text.size, "service", &error), &error,
	    arguments[1]);
	buffer_clear(&text);
	must(file_read_whole(
		 AT_FDCWD, arguments[2], (size_t)1 << 30, &text, arguments[2], &error),
	    &error, arguments[2]);
	must(buffer_append(&text, "", 1, &error), &error, arguments[2]);
	race->lines = calloc(text.size, sizeof *race->lines);
	for (char *line = strtok((char *)text.data, "\n"); line != NULL;
	     line = strtok(NULL, "\n"))
		race->lines[race->line_count++] = line;
	race->granted = calloc(race->line_count, sizeof *race->granted);
}

int main(int argc, char **argv)
{
	struct runner runners[THREADS_MAX];
	struct race race = {0};

	if (argc == 7) {
		race.threads = strtoul(argv[4], NULL, 10);
		race.races = strtoul(argv[5], NULL, 10);
		race.per_race = strtoul(argv[6], NULL, 10);
		setup(&race, argv + 1);
	}
	if (race.threads == 0 || race.threads > THREADS_MAX || race.per_race > PER_RACE_MAX ||
	    race.races * race.per_race > race.line_count) {
		fprintf(stderr, "usage: racer ADDRESS KEYS-FILE LICENCES-FILE THREADS RACES "
				"PER-RACE\n");
		return 1;
	}
	pthread_barrier_init(&race.start, NULL, (unsigned)race.threads);
	for (size_t i = 0; i < race.threads; i++) {
		runners[i] = (struct runner){.race = &race};
		if (pthread_create(&runners[i].thread, NULL, runner_main, &runners[i]) != 0)
			return 1;
	}
	for (size_t i = 0; i < race.threads; i++)
		pthread_join(runners[i].thread, NULL);
	for (size_t i = 0; i < race.races * race.per_race; i++)
		printf("%zu %u\n", i, atomic_load(&race.granted[i]));
	return 0;
}
