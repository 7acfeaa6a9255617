#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/internal.h"

#include "fixture.h"

static void fill(struct fixture *f, unsigned from, unsigned to)
{
	assert_ok(store_begin(f->store, &fixture_error));
	for (unsigned i = from; i < to; i++)
		assert_fails(sample_insert(f->store, f->sealer, i, &fixture_error), RH_S_ADDED);
	assert_ok(store_commit(f->store, &fixture_error));
}

/* The rows from 0 to ${count} are there, in order, and open. */
static void check_all(struct store *store, struct store_sealer *sealer, unsigned count)
{
	struct store_cursor *cursor;
	struct store_row row = {0};
	struct store_totals totals;
	unsigned seen = 0;
	bool more;

	assert_ok(store_cursor_new(store, false, &cursor, &fixture_error));
	for (;;) {
		assert_ok(store_cursor_next(cursor, &row, &more, &fixture_error));
		if (!more)
			break;
		assert_int_equal(row.number, seen + 1);
		sample_check(sealer, &row, seen++);
	}
	assert_int_equal(seen, count);
	/* The end stays the end. */
	assert_ok(store_cursor_next(cursor, &row, &more, &fixture_error));
	assert_false(more);
	store_cursor_free(cursor);
	store_row_free(&row);
	assert_ok(store_totals(store, &totals, &fixture_error));
	assert_int_equal(totals.licenses, count);
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	struct store_totals totals;
	struct stat st;
	uint64_t bytes = 0;
	char text[4096];

	fixture_open(f, STORE_CREATE);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fill(f, 0, 100);
	check_all(f->store, f->sealer, 100);
	for (unsigned i = 0; i < 100; i++)
		bytes += i % 10 == 9 ? 0 : sample_document(text, i);
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_int_equal(totals.restricted, 10);
	assert_int_equal(totals.managed, 0);
	assert_int_equal(totals.bytes, bytes);
	assert_ok(store_check_pages(f->store, &fixture_error));
	fixture_close(f);

	fixture_open(f, 0);
	check_all(f->store, f->sealer, 100);
	fixture_close(f);
	fixture_open(f, STORE_READ_ONLY);
	check_all(f->store, f->sealer, 100);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

/* Nothing of a licence stands in the file but its facts. */
static void test_sealed(void **state)
{
	struct fixture *f = *state;
	struct buffer bytes = {0};

	fixture_open(f, STORE_CREATE);
	learn_samples(f->store);
	fill(f, 0, 20);
	assert_ok(store_value_set(f->store, "recovery", "a secret value", 14, &fixture_error));
	fixture_close(f);
	assert_ok(file_read_whole(AT_FDCWD, f->file, 1 << 24, &bytes, f->file, &fixture_error));
	assert_non_null(memmem(bytes.data, bytes.size, "Title number 7", 14));
	assert_null(memmem(bytes.data, bytes.size, "<line number", 12));
	assert_null(memmem(bytes.data, bytes.size, "secret 7", 8));
	assert_null(memmem(bytes.data, bytes.size, "first_use", 9));
	assert_null(memmem(bytes.data, bytes.size, "a secret value", 14));
	buffer_free(&bytes);
}

static void test_dictionary(void **state)
{
	struct fixture *f = *state;
	struct license_document few[15] = {0};
	struct store_row row = {0};
	struct license facts;
	size_t without, with;
	struct store *other;
	struct store_sealer *sealer;

	fixture_open(f, STORE_CREATE);
	assert_ok(store_learn(f->store, few, 15, &fixture_error));
	fill(f, 0, 10);
	sample_facts(&facts, 3);
	assert_ok(store_get(f->store, facts.id, &row, &fixture_error));
	assert_int_equal(row.dictionary, 0);
	without = row.document.size;

	/* Another handle was open before; its sealer too. */
	assert_ok(fixture_try(f, 0, &other, &fixture_error));
	assert_ok(store_sealer_new(other, &sealer, &fixture_error));
	learn_samples(f->store);
	fill(f, 10, 20);
	sample_facts(&facts, 13);
	assert_ok(store_get(f->store, facts.id, &row, &fixture_error));
	assert_true(row.dictionary != 0);
	with = row.document.size;
	assert_true(with < without);
	check_all(f->store, f->sealer, 20);
	check_all(other, sealer, 20);
	learn_samples(f->store);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM dictionaries"), 1);
	store_sealer_free(sealer);
	store_close(other);
	store_row_free(&row);
}

/* A dictionary that was never committed seals nothing that is. */
static void test_dictionary_rolled_back(void **state)
{
	struct fixture *f = *state;

	fixture_open(f, STORE_CREATE);
	assert_ok(store_begin(f->store, &fixture_error));
	learn_samples(f->store);
	assert_fails(sample_insert(f->store, f->sealer, 0, &fixture_error), RH_S_ADDED);
	store_rollback(f->store);
	fill(f, 0, 5);
	assert_int_equal(fixture_sql_number(f, "SELECT count(dictionary) FROM licenses"), 0);
	learn_samples(f->store);
	fill(f, 5, 10);
	assert_int_equal(fixture_sql_number(f, "SELECT count(dictionary) FROM licenses"), 5);
	check_all(f->store, f->sealer, 10);
	fixture_close(f);
	fixture_open(f, 0);
	check_all(f->store, f->sealer, 10);
}

static void test_large(void **state)
{
	struct fixture *f = *state;
	struct store_row row = {0}, back = {0};
	struct store_content content = {0};
	struct license_state none;
	uint8_t *random = malloc(LICENSE_MAX + 1);
	static const size_t sizes[] = {LICENSE_MAX, LICENSE_MAX - 1, 1, 0};

	assert_non_null(random);
	assert_ok(random_bytes(random, LICENSE_MAX + 1, &fixture_error));
	license_state_init(&none);
	fixture_open(f, STORE_CREATE);
	learn_samples(f->store);
	for (unsigned i = 0; i < 4; i++) {
		sample_facts(&row.facts, i);
		assert_ok(store_seal(
		    f->sealer, &row, random, sizes[i], NULL, 0, &none, &fixture_error));
		assert_fails(store_insert(f->store, &row, NULL, &fixture_error), RH_S_ADDED);
		assert_ok(store_get(f->store, row.facts.id, &back, &fixture_error));
		assert_ok(store_open_row(f->sealer, &back, &content, &fixture_error));
		assert_int_equal(content.document.size, sizes[i]);
		if (sizes[i] > 0)
			assert_memory_equal(content.document.data, random, sizes[i]);
	}
	assert_fails(store_seal(f->sealer, &row, random, LICENSE_MAX + 1, NULL, 0, &none,
			 &fixture_error),
	    RH_E_LICENSE_TOO_BIG);

	/* The longest facts that there can be. */
	sample_facts(&row.facts, 9);
	memset(row.facts.id, 'i', sizeof row.facts.id - 1);
	memset(row.facts.key_id, 'k', sizeof row.facts.key_id - 1);
	memset(row.facts.issuer, 'e', sizeof row.facts.issuer - 1);
	memset(row.facts.title, 't', sizeof row.facts.title - 1);
	memset(row.facts.service, 's', sizeof row.facts.service - 1);
	row.facts.count_count = LICENSE_COUNTS_MAX;
	for (int i = 0; i < LICENSE_COUNTS_MAX; i++) {
		memset(row.facts.counts[i].action, 'a', 31);
		row.facts.counts[i].remaining = UINT64_MAX;
	}
	assert_ok(store_seal(f->sealer, &row, "x", 1, NULL, 0, &none, &fixture_error));
	assert_fails(store_insert(f->store, &row, NULL, &fixture_error), RH_S_ADDED);
	assert_ok(store_get(f->store, row.facts.id, &back, &fixture_error));
	assert_ok(store_open_row(f->sealer, &back, &content, &fixture_error));
	assert_memory_equal(back.facts.title, row.facts.title, sizeof row.facts.title);
	assert_int_equal(back.facts.counts[7].remaining, UINT64_MAX);
	store_row_free(&row);
	store_row_free(&back);
	store_content_free(&content);
	free(random);
}

static void test_again(void **state)
{
	struct fixture *f = *state;
	struct store_here here = {0};
	struct store_row row = {0};
	struct license_state none;
	struct store_totals totals;
	char text[4096];
	size_t size = sample_document(text, 3);

	license_state_init(&none);
	fixture_open(f, STORE_CREATE);
	fill(f, 0, 5);
	assert_ok(store_begin(f->store, &fixture_error));
	assert_fails(sample_insert(f->store, f->sealer, 3, &fixture_error), RH_S_ALREADY_HERE);
	sample_facts(&row.facts, 3);
	assert_ok(store_seal(f->sealer, &row, text, size, NULL, 0, &none, &fixture_error));
	assert_fails(store_insert(f->store, &row, &here, &fixture_error), RH_S_ALREADY_HERE);
	assert_int_equal(row.number, 0);
	assert_int_equal(here.number, 4);
	assert_int_equal(here.issued, 1000003);
	assert_true(here.has_state);
	assert_ok(store_seal(f->sealer, &row, text, size - 1, NULL, 0, &none, &fixture_error));
	assert_fails(
	    store_insert(f->store, &row, &here, &fixture_error), RH_E_LICENSE_CONFLICT);
	/* A conflict ends nothing. */
	assert_fails(sample_insert(f->store, f->sealer, 5, &fixture_error), RH_S_ADDED);
	assert_ok(store_commit(f->store, &fixture_error));
	check_all(f->store, f->sealer, 6);

	/* The same outside a transaction. */
	assert_fails(store_insert(f->store, &row, NULL, &fixture_error), RH_E_LICENSE_CONFLICT);
	assert_fails(sample_insert(f->store, f->sealer, 5, &fixture_error), RH_S_ALREADY_HERE);
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_int_equal(totals.licenses, 6);
	store_row_free(&row);
}

static void test_remove_replace(void **state)
{
	struct fixture *f = *state;
	struct store_row row = {0}, back = {0};
	struct store_totals totals, before;
	struct store_content content = {0};
	struct license facts;
	struct license_state none;

	license_state_init(&none);
	fixture_open(f, STORE_CREATE);
	fill(f, 0, 10);
	assert_ok(store_totals(f->store, &before, &fixture_error));
	assert_int_equal(before.restricted, 1);

	/* 3 becomes another document, and restricted. */
	sample_facts(&row.facts, 3);
	row.facts.backup = LICENSE_NO;
	row.facts.reason = "changed";
	row.state_version = 1;
	assert_ok(store_seal(f->sealer, &row, "new", 3, NULL, 0, &none, &fixture_error));
	assert_fails(store_replace(f->store, 99, &row, &fixture_error), RH_E_LICENSE_UNKNOWN);
	assert_fails(store_replace(f->store, 5, &row, &fixture_error), RH_E_LICENSE_CONFLICT);
	assert_ok(store_replace(f->store, 4, &row, &fixture_error));
	assert_ok(store_get(f->store, row.facts.id, &back, &fixture_error));
	assert_int_equal(back.number, 4);
	assert_string_equal(back.facts.reason, "changed");
	assert_ok(store_open_row(f->sealer, &back, &content, &fixture_error));
	assert_int_equal(content.document.size, 3);
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_int_equal(totals.licenses, 10);
	assert_int_equal(totals.restricted, 2);
	assert_true(totals.bytes < before.bytes - 300);

	/* The last one goes, and its number may come again. */
	sample_facts(&facts, 9);
	assert_ok(store_remove(f->store, facts.id, &fixture_error));
	assert_fails(store_remove(f->store, facts.id, &fixture_error), RH_E_LICENSE_UNKNOWN);
	assert_fails(
	    store_get(f->store, facts.id, &back, &fixture_error), RH_E_LICENSE_UNKNOWN);
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_int_equal(totals.licenses, 9);
	assert_int_equal(totals.restricted, 1);
	fill(f, 9, 10);
	assert_ok(store_check_pages(f->store, &fixture_error));
	store_row_free(&row);
	store_row_free(&back);
	store_content_free(&content);
}

static void test_rollback(void **state)
{
	struct fixture *f = *state;
	struct store_totals totals;
	struct license facts;

	fixture_open(f, STORE_CREATE);
	fill(f, 0, 5);
	assert_ok(store_begin(f->store, &fixture_error));
	assert_fails(sample_insert(f->store, f->sealer, 5, &fixture_error), RH_S_ADDED);
	sample_facts(&facts, 1);
	assert_ok(store_remove(f->store, facts.id, &fixture_error));
	assert_ok(store_value_set(f->store, "name", "value", 5, &fixture_error));
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_int_equal(totals.licenses, 5);
	assert_fails(store_begin(f->store, &fixture_error), RH_E_INTERNAL);
	store_rollback(f->store);
	store_rollback(f->store);
	assert_fails(store_commit(f->store, &fixture_error), RH_E_STORE_WRITE);
	check_all(f->store, f->sealer, 5);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

static void test_find(void **state)
{
	struct fixture *f = *state;
	struct store_row row = {0};
	struct license_state none;
	static const char *const ids[] = {"abc", "abcd", "abd", "b%", "b_x", "z\xc3\xa9"};
	char id[256], small[4];

	license_state_init(&none);
	fixture_open(f, STORE_CREATE);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		sample_facts(&row.facts, 0);
		strcpy(row.facts.id, ids[i]);
		assert_ok(store_seal(f->sealer, &row, "x", 1, NULL, 0, &none, &fixture_error));
		assert_fails(store_insert(f->store, &row, NULL, &fixture_error), RH_S_ADDED);
	}
	store_row_free(&row);
	assert_ok(store_find(f->store, "abcd", id, sizeof id, &fixture_error));
	assert_string_equal(id, "abcd");
	assert_ok(store_find(f->store, "abc", id, sizeof id, &fixture_error));
	assert_string_equal(id, "abc");
	assert_ok(store_find(f->store, "abd", id, sizeof id, &fixture_error));
	assert_string_equal(id, "abd");
	assert_ok(store_find(f->store, "b%", id, sizeof id, &fixture_error));
	assert_string_equal(id, "b%");
	assert_ok(store_find(f->store, "z", id, sizeof id, &fixture_error));
	assert_string_equal(id, "z\xc3\xa9");
	assert_fails(store_find(f->store, "ab", id, sizeof id, &fixture_error), RH_E_ARGUMENT);
	assert_fails(store_find(f->store, "a", id, sizeof id, &fixture_error), RH_E_ARGUMENT);
	assert_fails(store_find(f->store, "", id, sizeof id, &fixture_error), RH_E_ARGUMENT);
	assert_fails(
	    store_find(f->store, "%", id, sizeof id, &fixture_error), RH_E_LICENSE_UNKNOWN);
	assert_fails(
	    store_find(f->store, "abcde", id, sizeof id, &fixture_error), RH_E_LICENSE_UNKNOWN);
	assert_fails(
	    store_find(f->store, "abcd", small, sizeof small, &fixture_error), RH_E_ARGUMENT);
}

static bool assert_ok_next(struct store_cursor *cursor, struct store_row *row, bool *more)
{
	assert_ok(store_cursor_next(cursor, row, more, &fixture_error));
	return *more;
}

/* What a walk came by: the values, one after the other. */
struct walked {
	char text[64];
	size_t count;
	size_t stop_at;
};

static int on_value(void *context, const void *value, size_t size, rh_error *error)
{
	struct walked *walked = context;
	size_t length = strlen(walked->text);

	assert_true(length + size < sizeof walked->text);
	memcpy(walked->text + length, value, size);
	return ++walked->count == walked->stop_at ? error_set(error, RH_E_CANCELED, "enough")
						  : RH_OK;
}

static void test_walk_values(void **state)
{
	struct fixture *f = *state;
	struct walked walked = {.stop_at = 0};

	fixture_open(f, STORE_CREATE);
	assert_ok(store_value_walk(f->store, "service.", on_value, &walked, &fixture_error));
	assert_int_equal(walked.count, 0);
	assert_ok(store_value_set(f->store, "service.c", "C", 1, &fixture_error));
	assert_ok(store_value_set(f->store, "service.a", "A", 1, &fixture_error));
	assert_ok(store_value_set(f->store, "service", "x", 1, &fixture_error));
	assert_ok(store_value_set(f->store, "services", "y", 1, &fixture_error));
	assert_ok(store_value_set(f->store, "a", "z", 1, &fixture_error));
	assert_ok(store_value_walk(f->store, "service.", on_value, &walked, &fixture_error));
	assert_string_equal(walked.text, "AC");
	/* Within a transaction, with what it has written. */
	assert_ok(store_begin(f->store, &fixture_error));
	assert_ok(store_value_set(f->store, "service.b", "B", 1, &fixture_error));
	walked = (struct walked){.stop_at = 0};
	assert_ok(store_value_walk(f->store, "service.", on_value, &walked, &fixture_error));
	assert_string_equal(walked.text, "ABC");
	store_rollback(f->store);
	walked = (struct walked){.stop_at = 1};
	assert_fails(store_value_walk(f->store, "service.", on_value, &walked, &fixture_error),
	    RH_E_CANCELED);
	assert_string_equal(walked.text, "A");
	/* One that is gone is missed, though the others are whole. */
	fixture_close(f);
	fixture_sql(f, "DELETE FROM sealed_values WHERE name = 'a'");
	fixture_open(f, 0);
	walked = (struct walked){.stop_at = 0};
	assert_fails(store_value_walk(f->store, "service.", on_value, &walked, &fixture_error),
	    RH_E_STORE_DAMAGED);
	assert_int_equal(walked.count, 0);
}

static void test_cursor_after(void **state)
{
	struct fixture *f = *state;
	struct store_cursor *cursor;
	struct store_row row = {0};
	bool more = true;
	int64_t numbers[5];
	size_t count = 0;

	fixture_open(f, STORE_CREATE);
	fill(f, 0, 5);
	assert_ok(store_cursor_new(f->store, true, &cursor, &fixture_error));
	while (assert_ok_next(cursor, &row, &more))
		numbers[count++] = row.number;
	store_cursor_free(cursor);
	assert_int_equal(count, 5);
	for (size_t from = 0; from < 5; from++) {
		assert_ok(store_cursor_new(f->store, from % 2, &cursor, &fixture_error));
		store_cursor_after(cursor, numbers[from]);
		count = from + 1;
		while (assert_ok_next(cursor, &row, &more))
			assert_int_equal(row.number, numbers[count++]);
		store_cursor_free(cursor);
		assert_int_equal(count, 5);
	}
	store_row_free(&row);
}

static void test_values(void **state)
{
	struct fixture *f = *state;
	struct buffer value = {0};

	fixture_open(f, STORE_CREATE);
	assert_ok(store_value_get(f->store, "recovery", &value, &fixture_error));
	assert_int_equal(value.size, 0);
	assert_ok(store_value_set(f->store, "recovery", "12345", 5, &fixture_error));
	assert_ok(store_value_set(f->store, "other", "x", 1, &fixture_error));
	assert_ok(store_value_set(f->store, "recovery", "1234", 4, &fixture_error));
	fixture_close(f);
	fixture_open(f, 0);
	assert_ok(store_value_get(f->store, "recovery", &value, &fixture_error));
	assert_int_equal(value.size, 4);
	assert_memory_equal(value.data, "1234", 4);
	assert_ok(store_value_set(f->store, "recovery", NULL, 0, &fixture_error));
	assert_ok(store_value_set(f->store, "recovery", NULL, 0, &fixture_error));
	assert_ok(store_value_get(f->store, "recovery", &value, &fixture_error));
	assert_int_equal(value.size, 0);
	assert_ok(store_check_pages(f->store, &fixture_error));
	buffer_free_secret(&value);
}

static void test_moment(void **state)
{
	struct fixture *f = *state;
	struct store *other;
	struct store_sealer *sealer;
	struct store_totals totals;

	fixture_open(f, STORE_CREATE);
	fill(f, 0, 5);
	assert_ok(fixture_try(f, STORE_READ_ONLY, &other, &fixture_error));
	assert_ok(store_sealer_new(other, &sealer, &fixture_error));
	assert_ok(store_read_begin(other, &fixture_error));
	fill(f, 5, 10);
	check_all(other, sealer, 5);
	assert_ok(store_totals(other, &totals, &fixture_error));
	assert_int_equal(totals.licenses, 5);
	store_read_end(other);
	check_all(other, sealer, 10);
	store_sealer_free(sealer);
	store_close(other);
}

static void test_busy(void **state)
{
	struct fixture *f = *state;
	struct store *other;
	struct store_sealer *sealer;
	uint64_t start;
	int status, go[2];
	pid_t child;

	/* Before any handle is open: SQLite's are not for a child. */
	assert_int_equal(pipe(go), 0);
	child = fork();
	if (child == 0) {
		struct store *third;
		char byte;
		bool good = read(go[0], &byte, 1) == 1 &&
			    fixture_try(f, 0, &third, NULL) == RH_OK &&
			    store_begin(third, NULL) == RH_OK;

		_exit(good ? 0 : 1);
	}
	fixture_open(f, STORE_CREATE);
	fill(f, 0, 5);
	assert_ok(store_begin(f->store, &fixture_error));
	assert_fails(sample_insert(f->store, f->sealer, 5, &fixture_error), RH_S_ADDED);

	/* A second handle reads, and does not write. */
	assert_ok(fixture_try(f, 0, &other, &fixture_error));
	assert_ok(store_sealer_new(other, &sealer, &fixture_error));
	check_all(other, sealer, 5);
	start = clock_monotonic();
	assert_fails(store_begin(other, &fixture_error), RH_E_STORE_BUSY);
	assert_true(clock_monotonic() - start > (STORE_BUSY_MS - 500) * UINT64_C(1000000));
	check_all(other, sealer, 5);

	/* Another process waits until the first writer is done. */
	assert_int_equal(write(go[1], "!", 1), 1);
	usleep(300 * 1000);
	assert_int_equal(waitpid(child, &status, WNOHANG), 0);
	assert_ok(store_commit(f->store, &fixture_error));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(go[0]);
	close(go[1]);
	check_all(other, sealer, 6);
	assert_fails(sample_insert(other, sealer, 6, &fixture_error), RH_S_ADDED);
	store_sealer_free(sealer);
	store_close(other);
	check_all(f->store, f->sealer, 7);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	struct store *other = NULL;
	struct store_sealer *sealer;

	fixture_open(f, STORE_CREATE);
	fill(f, 0, 5);
	/* Beside a writer whose log is there. */
	assert_ok(fixture_try(f, STORE_READ_ONLY, &other, &fixture_error));
	assert_ok(store_sealer_new(other, &sealer, &fixture_error));
	check_all(other, sealer, 5);
	assert_fails(store_begin(other, &fixture_error), RH_E_ACCESS);
	assert_fails(sample_insert(other, sealer, 8, &fixture_error), RH_E_ACCESS);
	assert_fails(store_value_set(other, "a", "b", 1, &fixture_error), RH_E_ACCESS);
	store_sealer_free(sealer);
	store_close(other);
}

/* As somebody who may not write there; root may everywhere. */
static int without_rights(struct fixture *f)
{
	struct store_totals totals;
	struct store *store;
	int code;

	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		return 99;
	code = fixture_try(f, STORE_READ_ONLY, &store, NULL);
	if (code != RH_OK)
		return code;
	code = store_totals(store, &totals, NULL);
	if (code != RH_OK || totals.licenses != 5)
		return 98;
	store_close(store);
	code = fixture_try(f, 0, &store, NULL);
	return code == RH_E_ACCESS ? 0 : 97;
}

static void test_read_only_medium(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t child;

	fixture_open(f, STORE_CREATE);
	fill(f, 0, 5);
	fixture_close(f);
	assert_int_equal(chmod(f->file, 0444), 0);
	assert_int_equal(chmod(f->directory, 0555), 0);
	child = fork();
	if (child == 0)
		_exit(without_rights(f));
	assert_int_equal(waitpid(child, &status, 0), child);
	chmod(f->directory, 0700);
	assert_int_equal(status, 0);
}

/* ---- Files that are no store ---- */

static void write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void assert_open(struct fixture *f, unsigned flags, int want)
{
	struct store *store = NULL;

	assert_fails(fixture_try(f, flags, &store, &fixture_error), want);
	assert_null(store);
	assert_true(strlen(fixture_error.text) > 0);
}

static void test_not_a_store(void **state)
{
	struct fixture *f = *state;
	char junk[5000];

	assert_open(f, 0, RH_E_STORE_MISSING);
	assert_open(f, STORE_READ_ONLY, RH_E_STORE_MISSING);
	memset(junk, 'j', sizeof junk);
	write_file(f->file, junk, sizeof junk);
	assert_open(f, 0, RH_E_STORE_DAMAGED);
	assert_open(f, STORE_CREATE, RH_E_STORE_DAMAGED);
	write_file(f->file, "short", 5);
	assert_open(f, STORE_CREATE, RH_E_STORE_DAMAGED);
	unlink(f->file);
	assert_int_equal(mkdir(f->file, 0700), 0);
	assert_open(f, STORE_CREATE, RH_E_STORE_DAMAGED);
	rmdir(f->file);

	/* Somebody else's database, however empty. */
	fixture_sql(f, "CREATE TABLE t (a)");
	assert_open(f, STORE_CREATE, RH_E_STORE_DAMAGED);
	unlink(f->file);
	fixture_sql(f, "PRAGMA application_id = 7");
	assert_open(f, STORE_CREATE, RH_E_STORE_DAMAGED);
	unlink(f->file);

	fixture_open(f, STORE_CREATE);
	fill(f, 0, 50);
	fixture_close(f);
	fixture_sql(f, "DROP TABLE licenses");
	fixture_open(f, 0);
	assert_fails(sample_insert(f->store, f->sealer, 1, &fixture_error), RH_E_STORE_DAMAGED);
	assert_fails(store_check_pages(f->store, &fixture_error), RH_E_STORE_DAMAGED);
	fixture_close(f);
	fixture_sql(f, "DELETE FROM store");
	assert_open(f, 0, RH_E_STORE_DAMAGED);
	fixture_sql(f, "PRAGMA user_version = 0");
	assert_open(f, STORE_CREATE, RH_E_STORE_DAMAGED);
	assert_int_equal(truncate(f->file, 20000), 0);
	assert_open(f, 0, RH_E_STORE_DAMAGED);
}

static void test_newer(void **state)
{
	struct fixture *f = *state;
	struct buffer before = {0}, after = {0};

	fixture_open(f, STORE_CREATE);
	fixture_close(f);
	fixture_sql(f, "PRAGMA user_version = 4; CREATE TABLE later (x)");
	assert_ok(file_read_whole(AT_FDCWD, f->file, 1 << 24, &before, f->file, NULL));
	assert_open(f, STORE_CREATE, RH_E_STORE_NEWER);
	assert_open(f, STORE_READ_ONLY, RH_E_STORE_NEWER);
	assert_ok(file_read_whole(AT_FDCWD, f->file, 1 << 24, &after, f->file, NULL));
	assert_int_equal(after.size, before.size);
	assert_memory_equal(after.data, before.data, before.size);
	buffer_free(&before);
	buffer_free(&after);
}

static void test_other_computer(void **state)
{
	struct fixture *f = *state;
	struct computer *mine = f->computer;
	char key[160];

	fixture_open(f, STORE_CREATE);
	fixture_close(f);
	snprintf(key, sizeof key, "%s/%s", f->directory, COMPUTER_KEY_FILE);
	assert_int_equal(unlink(key), 0);
	f->computer = fixture_computer(f);
	assert_open(f, 0, RH_E_STORE_OTHER_COMPUTER);
	assert_open(f, STORE_CREATE, RH_E_STORE_OTHER_COMPUTER);
	computer_close(f->computer);
	f->computer = mine;
	fixture_open(f, 0);
}

/* ---- Creating ---- */

static void test_unfinished(void **state)
{
	struct fixture *f = *state;

	/* A crash after the file was made, and one after its header was. */
	write_file(f->file, "", 0);
	assert_open(f, 0, RH_E_STORE_MISSING);
	assert_open(f, STORE_READ_ONLY, RH_E_STORE_MISSING);
	fixture_open(f, STORE_CREATE);
	fill(f, 0, 3);
	fixture_close(f);
	unlink(f->file);
	fixture_sql(f, "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL");
	assert_open(f, 0, RH_E_STORE_MISSING);
	fixture_open(f, STORE_CREATE);
	fill(f, 0, 3);
	check_all(f->store, f->sealer, 3);
	assert_int_equal(fixture_sql_number(f, "PRAGMA page_size"), 16384);
}

static void test_created_at_once(void **state)
{
	struct fixture *f = *state;
	enum { PROCESSES = 6 };
	pid_t children[PROCESSES];

	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < PROCESSES; i++) {
			children[i] = fork();
			if (children[i] == 0) {
				struct store *store;
				struct store_sealer *sealer;
				int code = fixture_try(f, STORE_CREATE, &store, &fixture_error);

				if (code == RH_OK)
					code = store_sealer_new(store, &sealer, NULL);
				if (code == RH_OK)
					code = sample_insert(store, sealer, i, &fixture_error);
				if (code != RH_S_ADDED)
					print_error("%s\n", fixture_error.text);
				_exit(code == RH_S_ADDED ? 0 : 1);
			}
		}
		for (unsigned i = 0; i < PROCESSES; i++) {
			int status;

			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_int_equal(status, 0);
		}
		fixture_open(f, 0);
		assert_ok(store_check_pages(f->store, &fixture_error));
		fixture_close(f);
		assert_int_equal(
		    fixture_sql_number(f, "SELECT count(*) FROM licenses"), PROCESSES);
		unlink(f->file);
	}
}

/* ---- Migrations ---- */

static int migrate(struct fixture *f, const char *next)
{
	const char *steps[8];
	int code;

	assert_in_range(schema_step_count, 1, 7);
	memcpy(steps, schema_steps, schema_step_count * sizeof *steps);
	steps[schema_step_count] = next;
	assert_ok(statement_run(f->store, SQL_BEGIN_WRITE, NULL, &fixture_error));
	code = schema_migrate(f->store, steps, schema_step_count + 1, &fixture_error);
	statement_run(f->store, code == RH_OK ? SQL_COMMIT : SQL_ROLLBACK, NULL, NULL);
	return code;
}

static void test_migration(void **state)
{
	struct fixture *f = *state;

	fixture_open(f, STORE_CREATE);
	fill(f, 0, 5);
	/* Fails in its middle, does not name itself: nothing of it stays. */
	assert_int_not_equal(migrate(f, "CREATE TABLE extra (x);"
					"DROP TABLE sealed_values;"
					"INSERT INTO nowhere VALUES (1);"
					"PRAGMA user_version = 4"),
	    RH_OK);
	assert_fails(migrate(f, "CREATE TABLE extra (x)"), RH_E_INTERNAL);
	assert_int_equal(fixture_sql_number(f, "PRAGMA user_version"), schema_step_count);
	assert_int_equal(
	    fixture_sql_number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'"),
	    0);
	check_all(f->store, f->sealer, 5);
	assert_ok(store_check_pages(f->store, &fixture_error));

	assert_ok(migrate(f, "ALTER TABLE licenses ADD COLUMN extra TEXT;"
			     "PRAGMA user_version = 4"));
	assert_int_equal(fixture_sql_number(f, "PRAGMA user_version"), schema_step_count + 1);
	check_all(f->store, f->sealer, 5);
	assert_ok(migrate(f, "not looked at again"));
	fixture_close(f);
	assert_open(f, 0, RH_E_STORE_NEWER);
	assert_open(f, STORE_READ_ONLY, RH_E_STORE_NEWER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_round_trip),
	    TEST(test_sealed),
	    TEST(test_dictionary),
	    TEST(test_dictionary_rolled_back),
	    TEST(test_large),
	    TEST(test_again),
	    TEST(test_remove_replace),
	    TEST(test_rollback),
	    TEST(test_find),
	    TEST(test_values),
	    TEST(test_walk_values),
	    TEST(test_cursor_after),
	    TEST(test_moment),
	    TEST(test_busy),
	    TEST(test_read_only),
	    TEST(test_read_only_medium),
	    TEST(test_not_a_store),
	    TEST(test_newer),
	    TEST(test_other_computer),
	    TEST(test_unfinished),
	    TEST(test_created_at_once),
	    TEST(test_migration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
