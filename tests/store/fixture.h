#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"

/* A directory of its own with machine id, computer and store; removed at the end. */
struct fixture {
	char directory[64]; /* of the store */
	char machine[128]; /* the file $REHOST_MACHINE_ID_FILE names */
	char file[128]; /* licenses.db */
	struct computer *computer;
	struct store *store;
	struct store_sealer *sealer;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

void fixture_machine(struct fixture *f, const char *id);
struct computer *fixture_computer(struct fixture *f);
void fixture_open(struct fixture *f, unsigned flags);
void fixture_close(struct fixture *f);
/* A handle of its own. */
int fixture_try(struct fixture *f, unsigned flags, struct store **ret, rh_error *error);

/* SQL straight on the file, as somebody with another tool would; fails the test if it fails. */
void fixture_sql(struct fixture *f, const char *sql);
/* First column of the first row. */
long long fixture_sql_number(struct fixture *f, const char *sql);

/* A licence number ${n}: facts, about 600 bytes of document. */
void sample_facts(struct license *facts, unsigned n);
size_t sample_document(char text[4096], unsigned n);
/* Seals and inserts it; a secret and a state where n is odd. */
int sample_insert(
    struct store *store, struct store_sealer *sealer, unsigned n, rh_error *error);
/* The row opens to what sample_insert put in. */
void sample_check(struct store_sealer *sealer, const struct store_row *row, unsigned n);
void learn_samples(struct store *store);

#define assert_ok(call) assert_code(call, RH_OK, __FILE__, __LINE__)
#define assert_fails(call, want) assert_code(call, want, __FILE__, __LINE__)
/* ${error} of the last call made with &fixture_error is shown on failure. */
extern rh_error fixture_error;
void assert_code(int code, int want, const char *file, int line);

#endif
