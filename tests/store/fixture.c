#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "fixture.h"

rh_error fixture_error;

void assert_code(int code, int want, const char *file, int line)
{
	if (code == want)
		return;
	print_error("%s:%d: got %d, not %d: %s\n", file, line, code, want, fixture_error.text);
	_fail(file, line);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void fixture_machine(struct fixture *f, const char *id)
{
	FILE *file = fopen(f->machine, "w");

	assert_non_null(file);
	fputs(id, file);
	fclose(file);
	setenv("REHOST_MACHINE_ID_FILE", f->machine, 1);
}

struct computer *fixture_computer(struct fixture *f)
{
	struct computer *computer = NULL;
	int fd = open(f->directory, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	assert_ok(computer_open(fd, f->directory, true, &computer, &fixture_error));
	close(fd);
	return computer;
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	snprintf(f->directory, sizeof f->directory, "/tmp/rehost-store-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->machine, sizeof f->machine, "%s/machine", f->directory);
	snprintf(f->file, sizeof f->file, "%s/%s", f->directory, STORE_FILE);
	fixture_machine(f, "0123456789ABCDEF0123456789abcdef\n");
	f->computer = fixture_computer(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fixture_close(f);
	computer_close(f->computer);
	nftw(f->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

int fixture_try(struct fixture *f, unsigned flags, struct store **ret, rh_error *error)
{
	return store_open(f->directory, flags, f->computer, ret, error);
}

void fixture_open(struct fixture *f, unsigned flags)
{
	assert_ok(fixture_try(f, flags, &f->store, &fixture_error));
	assert_ok(store_sealer_new(f->store, &f->sealer, &fixture_error));
}

void fixture_close(struct fixture *f)
{
	store_sealer_free(f->sealer);
	store_close(f->store);
	f->sealer = NULL;
	f->store = NULL;
}

void fixture_sql(struct fixture *f, const char *sql)
{
	sqlite3 *db;
	char *message = NULL;

	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
	sqlite3_close(db);
}

long long fixture_sql_number(struct fixture *f, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *statement;
	long long number;

	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return number;
}

void sample_facts(struct license *facts, unsigned n)
{
	memset(facts, 0, sizeof *facts);
	snprintf(facts->id, sizeof facts->id, "%08x-licence-%u", n * 2654435761u, n);
	snprintf(facts->key_id, sizeof facts->key_id, "key-%u", n);
	snprintf(facts->issuer, sizeof facts->issuer, "Música %u", n % 7);
	snprintf(facts->title, sizeof facts->title, "Title number %u", n);
	facts->issued = 1000000 + n;
	facts->not_before = n % 3 == 0 ? LICENSE_TIME_NONE : 1000000 + n;
	facts->not_after = n % 5 == 0 ? 2000000000 : LICENSE_TIME_NONE;
	if (n % 4 == 1) {
		facts->count_count = 2;
		snprintf(facts->counts[0].action, sizeof facts->counts[0].action, "play");
		facts->counts[0].remaining = n;
		snprintf(facts->counts[1].action, sizeof facts->counts[1].action, "burn cd");
		facts->counts[1].remaining = UINT64_MAX;
	}
	facts->backup = n % 10 == 9 ? LICENSE_NO : LICENSE_YES;
	facts->reason = n % 10 == 9 ? "no backup" : "";
	facts->format = "opaque";
}

size_t sample_document(char text[4096], unsigned n)
{
	size_t used = 0;

	for (unsigned i = 0; i < 12; i++)
		used += (size_t)snprintf(text + used, 4096 - used,
		    "<line number='%u' of='%u'>%08x%08x</line>\n", i, n,
		    (n * 12 + i) * 2654435761u, (n + i) * 40503u);
	return used;
}

int sample_insert(struct store *store, struct store_sealer *sealer, unsigned n, rh_error *error)
{
	struct store_row row = {0};
	struct license_state state;
	char text[4096], secret[32];
	size_t size = sample_document(text, n);
	int code;

	sample_facts(&row.facts, n);
	row.added = 5000 + n;
	license_state_init(&state);
	snprintf(secret, sizeof secret, "secret %u", n);
	if (n % 2 == 1) {
		state.first_use = 7000 + n;
		state.count_count = 1;
		snprintf(state.counts[0].action, sizeof state.counts[0].action, "play");
		state.counts[0].remaining = n;
	}
	code = store_seal(
	    sealer, &row, text, size, secret, n % 2 == 1 ? strlen(secret) : 0, &state, error);
	if (code == RH_OK)
		code = store_insert(store, &row, NULL, error);
	store_row_free(&row);
	return code;
}

void sample_check(struct store_sealer *sealer, const struct store_row *row, unsigned n)
{
	struct store_content content = {0};
	struct license facts;
	char text[4096], secret[32];
	size_t size = sample_document(text, n);

	sample_facts(&facts, n);
	assert_ok(store_open_row(sealer, row, &content, &fixture_error));
	assert_ok(store_check_facts(sealer, row, &fixture_error));
	assert_int_equal(content.document.size, size);
	assert_memory_equal(content.document.data, text, size);
	assert_int_equal(row->bytes, size);
	assert_string_equal(row->facts.id, facts.id);
	assert_string_equal(row->facts.key_id, facts.key_id);
	assert_string_equal(row->facts.issuer, facts.issuer);
	assert_string_equal(row->facts.title, facts.title);
	assert_string_equal(row->facts.service, facts.service);
	assert_string_equal(row->facts.reason, facts.reason);
	assert_string_equal(row->facts.format, facts.format);
	assert_int_equal(row->facts.issued, facts.issued);
	assert_int_equal(row->facts.not_before, facts.not_before);
	assert_int_equal(row->facts.not_after, facts.not_after);
	assert_int_equal(row->facts.backup, facts.backup);
	assert_int_equal(row->facts.count_count, facts.count_count);
	for (size_t i = 0; i < facts.count_count; i++) {
		assert_string_equal(row->facts.counts[i].action, facts.counts[i].action);
		assert_int_equal(row->facts.counts[i].remaining, facts.counts[i].remaining);
	}
	assert_int_equal(row->added, 5000 + n);
	snprintf(secret, sizeof secret, "secret %u", n);
	if (n % 2 == 1) {
		assert_int_equal(content.secret.size, strlen(secret));
		assert_memory_equal(content.secret.data, secret, strlen(secret));
		assert_int_equal(content.state.first_use, 7000 + n);
		assert_int_equal(content.state.count_count, 1);
		assert_int_equal(content.state.counts[0].remaining, n);
	} else {
		assert_int_equal(content.secret.size, 0);
		assert_true(license_state_empty(&content.state));
	}
	store_content_free(&content);
}

void learn_samples(struct store *store)
{
	static char texts[16][4096];
	struct license_document samples[16] = {0};

	for (unsigned i = 0; i < 16; i++) {
		samples[i].size = sample_document(texts[i], i);
		samples[i].data = (const uint8_t *)texts[i];
	}
	assert_ok(store_learn(store, samples, 16, &fixture_error));
}
