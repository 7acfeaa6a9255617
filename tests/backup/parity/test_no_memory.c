#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../memory/failing.h"
#include "../sample.h"
#include "kit.h"

/* Every allocation fails in turn: RH_E_MEMORY, or done all the same with a buffer less. */

#define BLOCK 4096
#define SIZE 1500000

static int act_write(const char *path, rh_error *error)
{
	char backup[512], out[512];
	struct parity_target target = {.size = SIZE,
	    .file = KIT_FILE,
	    .display = "the backup",
	    .out_display = "the parity file"};
	int code;

	snprintf(backup, sizeof backup, "%s/%s", path, KIT_FILE);
	snprintf(out, sizeof out, "%s/other", path);
	target.fd = open(backup, O_RDONLY | O_CLOEXEC);
	target.out = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(target.fd >= 0 && target.out >= 0);
	code = parity_write(&target, 10, NULL, NULL, NULL, error);
	close(target.fd);
	close(target.out);
	return code;
}

static int act_check(const char *path, rh_error *error)
{
	const struct backup_watch watch = {.context = NULL};
	struct backup_directory *directory = NULL;
	struct backup_state result = {.condition = BACKUP_UNKNOWN};
	int code = backup_directory_open(path, false, &directory, error);

	if (code != RH_OK)
		return code;
	code = backup_check(directory, KIT_FILE, &watch, &result, error);
	assert_int_equal(result.condition, code == RH_OK ? BACKUP_MENDABLE : BACKUP_UNKNOWN);
	backup_directory_close(directory);
	return code;
}

/* All of one stripe, whose first block is bad. */
static int mend(struct parity *parity, int fd, rh_error *error)
{
	const struct backup_watch watch = {.context = NULL};
	struct parity_map map;
	struct parity_stripe *stripe = NULL;
	int code = parity_map_make(parity, fd, "the backup", &watch, &map, error);

	if (code != RH_OK)
		return code;
	code = parity_stripe_new(parity, &map, fd, "the backup", &stripe, error);
	if (code == RH_OK)
		code = parity_stripe_mend(stripe, 0, error);
	if (code == RH_OK)
		code = parity_stripe_encode(stripe, error);
	parity_stripe_free(stripe);
	parity_map_free(&map);
	return code;
}

static int act_mend(const char *path, rh_error *error)
{
	struct backup_directory *directory = NULL;
	struct parity *parity = NULL;
	uint64_t size;
	int fd, code = backup_directory_open(path, false, &directory, error);

	if (code != RH_OK)
		return code;
	code = backup_directory_file(directory, KIT_FILE, false, &fd, &size, error);
	if (code == RH_OK) {
		code = parity_open(directory, KIT_FILE, false, &parity, error);
		if (code == RH_OK)
			code = mend(parity, fd, error);
		parity_free(parity);
		close(fd);
	}
	backup_directory_close(directory);
	return code;
}

static void no_memory(void **state)
{
	static int (*const acts[])(const char *, rh_error *) = {act_write, act_check, act_mend};
	const char *path = *state;
	struct kit_random random = {1};
	struct buffer bytes = {0}, parity = {0}, other = {0};

	kit_fill(&random, &bytes, SIZE);
	kit_protect(path, &bytes, 10);
	sample_read(path, KIT_PARITY, &parity);
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		size_t n = 0, failed = 0;

		if (i == 1) {
			/* A backup and a table to mend. */
			bytes.data[0] ^= 1;
			parity.data[0] ^= 1;
			sample_write(path, KIT_FILE, bytes.data, bytes.size);
			sample_write(path, KIT_PARITY, parity.data, parity.size);
		}
		do {
			rh_error why = {0};
			int code;

			failing_nth(++n);
			code = acts[i](path, &why);
			failing_stop();
			assert_int_equal(why.code, code);
			if (code != RH_OK && (code != RH_E_MEMORY || !failing_happened()))
				fail_msg("act %zu, allocation %zu: %s", i, n, why.text);
			failed += code != RH_OK ? 1 : 0;
		} while (failing_happened());
		assert_true(failed >= 7);
		if (i == 0) {
			sample_read(path, "other", &other);
			assert_int_equal(other.size, parity.size);
			assert_memory_equal(other.data, parity.data, other.size);
		}
	}
	buffer_free(&bytes);
	buffer_free(&parity);
	buffer_free(&other);
}

static int setup(void **state)
{
	static char path[256];

	sample_directory(path);
	*state = path;
	return 0;
}

static int teardown(void **state)
{
	sample_directory_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(no_memory)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
