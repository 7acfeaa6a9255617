/* Sealers at work on several threads while the handle reads, writes and learns. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "fixture.h"

enum { THREADS = 3, ROWS = 200 };

struct work {
	struct store_sealer *sealer;
	struct store_row *rows;
	unsigned thread;
	atomic_int failures;
};

/* Seals every third row, and opens it again. */
static void *seal_some(void *context)
{
	struct work *work = context;

	for (unsigned i = work->thread; i < ROWS; i += THREADS) {
		struct store_row *row = &work->rows[i];
		struct license_state state;
		char text[4096];
		size_t size = sample_document(text, i);

		license_state_init(&state);
		sample_facts(&row->facts, i);
		row->added = 5000 + i;
		if (store_seal(work->sealer, row, text, size, NULL, 0, &state, NULL) != RH_OK)
			work->failures++;
	}
	return NULL;
}

static void *open_some(void *context)
{
	struct work *work = context;
	struct store_content content = {0};

	for (unsigned i = work->thread; i < ROWS; i += THREADS)
		if (store_open_row(work->sealer, &work->rows[i], &content, NULL) != RH_OK ||
		    content.document.size != work->rows[i].bytes)
			work->failures++;
	store_content_free(&content);
	return NULL;
}

static void run(
    struct work works[THREADS], void *(*function)(void *), pthread_t threads[THREADS])
{
	for (unsigned t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, function, &works[t]), 0);
}

static void join(struct work works[THREADS], pthread_t threads[THREADS])
{
	for (unsigned t = 0; t < THREADS; t++) {
		assert_int_equal(pthread_join(threads[t], NULL), 0);
		assert_int_equal(works[t].failures, 0);
	}
}

static void test_sealers(void **state)
{
	struct fixture *f = *state;
	static struct store_row rows[ROWS];
	struct work works[THREADS] = {0};
	pthread_t threads[THREADS];

	fixture_open(f, STORE_CREATE);
	for (unsigned t = 0; t < THREADS; t++) {
		assert_ok(store_sealer_new(f->store, &works[t].sealer, &fixture_error));
		works[t].rows = rows;
		works[t].thread = t;
	}
	run(works, seal_some, threads);
	learn_samples(f->store);
	assert_fails(sample_insert(f->store, f->sealer, ROWS, &fixture_error), RH_S_ADDED);
	join(works, threads);

	assert_ok(store_begin(f->store, &fixture_error));
	for (unsigned i = 0; i < ROWS; i++)
		assert_fails(
		    store_insert(f->store, &rows[i], NULL, &fixture_error), RH_S_ADDED);
	assert_ok(store_commit(f->store, &fixture_error));

	run(works, open_some, threads);
	for (unsigned i = ROWS + 1; i < ROWS + 20; i++)
		assert_fails(sample_insert(f->store, f->sealer, i, &fixture_error), RH_S_ADDED);
	join(works, threads);
	for (unsigned t = 0; t < THREADS; t++)
		store_sealer_free(works[t].sealer);
	for (unsigned i = 0; i < ROWS; i++)
		store_row_free(&rows[i]);
}

struct opener {
	struct fixture *f;
	unsigned number;
	int code;
};

/* A handle of its own: opens, creating if it is the first, and adds a row. */
static void *open_and_add(void *context)
{
	struct opener *opener = context;
	struct store *store;
	struct store_sealer *sealer;

	opener->code = fixture_try(opener->f, STORE_CREATE, &store, NULL);
	if (opener->code != RH_OK)
		return NULL;
	opener->code = store_sealer_new(store, &sealer, NULL);
	if (opener->code == RH_OK) {
		opener->code = sample_insert(store, sealer, opener->number, NULL);
		store_sealer_free(sealer);
	}
	store_close(store);
	return NULL;
}

static void test_handles(void **state)
{
	struct fixture *f = *state;
	struct opener openers[6];
	pthread_t threads[6];
	struct store_totals totals;

	for (unsigned i = 0; i < 6; i++) {
		openers[i] = (struct opener){f, i, 0};
		assert_int_equal(
		    pthread_create(&threads[i], NULL, open_and_add, &openers[i]), 0);
	}
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(openers[i].code, RH_S_ADDED);
	}
	fixture_open(f, 0);
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_int_equal(totals.licenses, 6);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_sealers, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_handles, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
