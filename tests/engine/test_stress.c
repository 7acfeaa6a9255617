/*
 * Many at once on one store and one directory: two processes, each with threads
 * that add, back up, restore, verify and list with handles of their own.  Every
 * result is success or a clear answer that somebody else was first; afterwards
 * everything is whole.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "kit.h"

#define ROUNDS 6
#define PER_ROUND 20

static struct kit kit;
static char key[128];

struct job {
	int number; /* of the thread, over all processes */
	unsigned long unexpected;
	char what[1100];
};

static void expect(
    struct job *job, const char *operation, int code, const rh_error *error, const int *allowed)
{
	for (; *allowed >= 0; allowed++)
		if (code == *allowed)
			return;
	if (job->unexpected++ == 0)
		snprintf(job->what, sizeof job->what, "%s: %s: %.900s", operation,
		    rh_code_name(code), error->text);
}

struct source {
	int next;
	int last;
	char *text;
};

static int next_license(void *context, rh_document *ret, rh_error *error)
{
	struct source *source = context;

	(void)error;
	free(source->text);
	source->text = NULL;
	if (source->next == source->last)
		return 0;
	source->text = kit_license(source->next++, 0);
	*ret = (rh_document){.data = source->text, .size = strlen(source->text), .name = "x"};
	return 1;
}

static void *add_and_list(void *context)
{
	static const int allowed[] = {RH_OK, RH_E_STORE_BUSY, -1};
	struct job *job = context;

	for (int round = 0; round < ROUNDS; round++) {
		int first = (job->number * ROUNDS + round) * PER_ROUND;
		struct source source = {first, first + PER_ROUND, NULL};
		rh_store *store = NULL;
		rh_error error;
		int code = rh_store_open(kit.store, 0, &store, &error);

		expect(job, "open", code, &error, allowed);
		if (code != RH_OK)
			continue;
		code = rh_add(store, next_license, &source, NULL, NULL, &error);
		expect(job, "add", code, &error, allowed);
		code = rh_store_check(store, NULL, NULL, &error);
		expect(job, "check", code, &error, allowed);
		free(source.text);
		rh_store_close(store);
	}
	return NULL;
}

static void *back_up(void *context)
{
	static const int allowed[] = {RH_OK, RH_E_STORE_BUSY, RH_E_BACKUP_BUSY, -1};
	struct job *job = context;
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;

	options.overwrite = 1;
	options.keep = 2;
	for (int round = 0; round < ROUNDS; round++) {
		rh_store *store = NULL;
		rh_error error;
		int code = rh_store_open(kit.store, 0, &store, &error);

		expect(job, "open", code, &error, allowed);
		if (code != RH_OK)
			continue;
		code = rh_backup(store, kit.media, &options, NULL, NULL, &error);
		expect(job, "backup", code, &error, allowed);
		rh_store_close(store);
	}
	return NULL;
}

static void *restore(void *context)
{
	/* The generation that is being read may be removed by a newer one. */
	static const int allowed[] = {RH_OK, RH_E_STORE_BUSY, RH_E_BACKUP_MISSING, -1};
	struct job *job = context;
	rh_open_options options = RH_OPEN_OPTIONS_INIT;

	options.recovery_key = key;
	for (int round = 0; round < ROUNDS; round++) {
		rh_store *store = NULL;
		rh_error error;
		int code = rh_store_open(kit.other, RH_STORE_CREATE, &store, &error);

		expect(job, "open", code, &error, allowed);
		if (code != RH_OK)
			continue;
		code = rh_restore(store, kit.media, &options, NULL, NULL, &error);
		expect(job, "restore", code, &error, allowed);
		code = rh_verify(store, kit.media, &options, NULL, NULL, &error);
		expect(job, "verify", code, &error, allowed);
		rh_store_close(store);
	}
	return NULL;
}

#define KINDS 3

/* What one process does; its exit status. */
static int process(int number)
{
	static void *(*const kinds[KINDS])(void *) = {add_and_list, back_up, restore};
	struct job jobs[2 * KINDS] = {{0}};
	pthread_t threads[2 * KINDS];
	int failed = 0;

	for (int i = 0; i < 2 * KINDS; i++) {
		jobs[i].number = number * 2 * KINDS + i;
		if (pthread_create(&threads[i], NULL, kinds[i % KINDS], &jobs[i]) != 0)
			return 2;
	}
	for (int i = 0; i < 2 * KINDS; i++) {
		pthread_join(threads[i], NULL);
		if (jobs[i].unexpected == 0)
			continue;
		fprintf(stderr, "%lu unexpected results, first %s\n", jobs[i].unexpected,
		    jobs[i].what);
		failed = 1;
	}
	return failed;
}

static void everybody_at_once(void **state)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	rh_recovery_key recovery;
	rh_store *store, *other;
	rh_error error;
	pid_t children[2];
	int status;

	(void)state;
	kit_open(&kit);
	store = kit_store(kit.store, RH_STORE_CREATE);
	kit_add(store, 100000, 100100, 10);
	assert_int_equal(rh_backup(store, kit.media, NULL, NULL, NULL, &error), RH_OK);
	assert_int_equal(rh_recovery_show(store, &recovery, &error), RH_OK);
	snprintf(key, sizeof key, "%s", recovery.identity);
	rh_recovery_free(&recovery);
	rh_store_close(store);

	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0)
			_exit(process(i));
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}

	store = kit_store(kit.store, 0);
	other = kit_store(kit.other, 0);
	assert_int_equal(rh_store_check(store, NULL, NULL, &error), RH_OK);
	assert_int_equal(rh_store_check(other, NULL, NULL, &error), RH_OK);
	rh_backup_options again = RH_BACKUP_OPTIONS_INIT;
	again.overwrite = 1;
	assert_int_equal(rh_backup(store, kit.media, &again, NULL, NULL, &error), RH_OK);
	options.recovery_key = key;
	assert_int_equal(rh_restore(other, kit.media, &options, NULL, NULL, &error), RH_OK);
	assert_true(kit_same(store, other));
	rh_store_close(store);
	rh_store_close(other);
	kit_close(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everybody_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
