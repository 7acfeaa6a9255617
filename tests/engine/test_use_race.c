#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "issue.h"
#include "kit.h"

/* Several spend the same count at once, and some are killed meanwhile. */

#define ISSUER "https://shop.example"
#define USES 1000
#define SPENDERS 4

/* A store with one licence whose ${action} counts ${count}. */
static void prepare(struct kit *kit, int count)
{
	struct issue_keys *keys = issue_keys_new("k", "ES256");
	struct issue issue = {.id = "l", .issuer = ISSUER, .key_id = "key"};
	char *set = issue_set(&keys, 1, ISSUER), *license, actions[64];
	const char *jwk;
	rh_store *store;

	kit_open(kit);
	store = kit_store(kit->store, RH_STORE_CREATE);
	assert_int_equal(rh_store_computer_jwk(store, &jwk, NULL), RH_OK);
	snprintf(actions, sizeof actions, "{\"play\":{\"count\":%d}}", count);
	issue.computer = jwk;
	issue.actions = actions;
	kit_pin(kit, store, set);
	license = issue_license(keys, &issue);
	assert_int_equal(kit_add_signed(store, license), RH_OK);
	free(license);
	free(set);
	issue_keys_free(keys);
	rh_store_close(store);
}

/* Uses it once; waiting for the others is no failure. */
static int use(rh_store *store)
{
	int code;

	do
		code = rh_license_use(store, "key", "play", NULL, NULL);
	while (code == RH_E_STORE_BUSY);
	return code;
}

/* ---- Threads ---- */

struct spender {
	const struct kit *kit;
	int spent;
	int code;
};

static void *spend(void *context)
{
	struct spender *spender = context;
	rh_store *store;

	spender->code = rh_store_open(spender->kit->store, 0, &store, NULL);
	if (spender->code != RH_OK)
		return NULL;
	while ((spender->code = use(store)) == RH_OK)
		spender->spent++;
	rh_store_close(store);
	return NULL;
}

static void threads(void **state)
{
	struct spender spenders[SPENDERS];
	pthread_t ids[SPENDERS];
	struct kit kit;
	int spent = 0;

	(void)state;
	prepare(&kit, 200);
	for (int i = 0; i < SPENDERS; i++) {
		spenders[i] = (struct spender){.kit = &kit};
		assert_int_equal(pthread_create(&ids[i], NULL, spend, &spenders[i]), 0);
	}
	for (int i = 0; i < SPENDERS; i++) {
		assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(spenders[i].code, RH_E_RIGHT_SPENT);
		spent += spenders[i].spent;
	}
	assert_int_equal(spent, 200);
	kit_close(&kit);
}

/* ---- The recovery key ---- */

struct maker {
	const char *directory;
	pthread_barrier_t *together;
	int code;
	char recipient[128];
};

static void *make(void *context)
{
	struct maker *maker = context;
	rh_recovery_key key;
	rh_store *store;

	maker->code = rh_store_open(maker->directory, 0, &store, NULL);
	pthread_barrier_wait(maker->together);
	if (maker->code != RH_OK)
		return NULL;
	maker->code = rh_recovery_make(store, NULL);
	if (rh_recovery_show(store, &key, NULL) == RH_OK) {
		snprintf(maker->recipient, sizeof maker->recipient, "%s", key.recipient);
		rh_recovery_free(&key);
	}
	rh_store_close(store);
	return NULL;
}

/* Of several who make it at once one does, and what any of them is shown stays. */
static void one_recovery_key(void **state)
{
	struct maker makers[SPENDERS];
	pthread_t ids[SPENDERS];
	pthread_barrier_t together;
	char directory[128];
	struct kit kit;

	(void)state;
	kit_open(&kit);
	assert_int_equal(pthread_barrier_init(&together, NULL, SPENDERS), 0);
	for (int round = 0; round < 20; round++) {
		int made = 0;

		snprintf(directory, sizeof directory, "%s/%d", kit.root, round);
		rh_store_close(kit_store(directory, RH_STORE_CREATE));
		for (int i = 0; i < SPENDERS; i++) {
			makers[i] = (struct maker){directory, &together, 0, ""};
			assert_int_equal(pthread_create(&ids[i], NULL, make, &makers[i]), 0);
		}
		for (int i = 0; i < SPENDERS; i++) {
			assert_int_equal(pthread_join(ids[i], NULL), 0);
			made += makers[i].code == RH_OK;
			assert_true(
			    makers[i].code == RH_OK || makers[i].code == RH_S_ALREADY_HERE);
			assert_string_equal(makers[i].recipient, makers[0].recipient);
		}
		assert_int_equal(made, 1);
	}
	pthread_barrier_destroy(&together);
	kit_close(&kit);
}

/* ---- Processes ---- */

/* A child: one byte for each use that was reported to it; ends when nothing is left. */
static pid_t start(const struct kit *kit, int report)
{
	rh_store *store;
	pid_t pid = fork();
	int code;

	if (pid != 0)
		return pid;
	code = rh_store_open(kit->store, 0, &store, NULL);
	while (code == RH_OK) {
		code = use(store);
		if (code == RH_OK && write(report, "u", 1) != 1)
			_exit(2);
	}
	_exit(code == RH_E_RIGHT_SPENT ? 0 : 1);
}

/* Counts what was reported within ${wait} milliseconds. */
static int reported(int pipe, int wait)
{
	struct pollfd fd = {.fd = pipe, .events = POLLIN};
	char bytes[256];
	ssize_t got = 0;

	if (poll(&fd, 1, wait) > 0)
		got = read(pipe, bytes, sizeof bytes);
	return got > 0 ? (int)got : 0;
}

/* Whether the child is gone, and as it should. */
static int ended(pid_t pid, int options)
{
	int status;
	pid_t got = waitpid(pid, &status, options);

	assert_true(got == pid || (got == 0 && options == WNOHANG));
	if (got == 0)
		return 0;
	assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	return 1;
}

static void killed(void **state)
{
	pid_t pids[SPENDERS];
	int pipes[2], spent = 0, kills = 0, running = SPENDERS;
	unsigned seed = (unsigned)time(NULL);
	struct kit kit;
	rh_store *store;

	(void)state;
	print_message("seed %u\n", seed);
	prepare(&kit, USES);
	assert_int_equal(pipe(pipes), 0);
	for (int i = 0; i < SPENDERS; i++)
		assert_true((pids[i] = start(&kit, pipes[1])) > 0);
	while (running > 0) {
		int i = rand_r(&seed) % SPENDERS;

		spent += reported(pipes[0], rand_r(&seed) % 30);
		if (pids[i] == 0)
			continue;
		if (ended(pids[i], WNOHANG)) {
			pids[i] = 0;
			running--;
		} else if (rand_r(&seed) % 4 == 0) {
			assert_int_equal(kill(pids[i], SIGKILL), 0);
			assert_true(ended(pids[i], 0));
			kills++;
			assert_true((pids[i] = start(&kit, pipes[1])) > 0);
		}
	}
	close(pipes[1]);
	for (int more; (more = reported(pipes[0], 1000)) > 0;)
		spent += more;
	close(pipes[0]);
	store = kit_store(kit.store, 0);
	assert_int_equal(use(store), RH_E_RIGHT_SPENT);
	assert_int_equal(rh_store_check(store, NULL, NULL, NULL), RH_OK);
	rh_store_close(store);
	print_message("%d uses reported, %d processes killed\n", spent, kills);
	assert_true(kills > 0);
	assert_true(spent <= USES);
	assert_true(spent + kills >= USES);
	kit_close(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(threads),
	    cmocka_unit_test(one_recovery_key),
	    cmocka_unit_test(killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
