#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#include "fixture.h"

#define KEY_FILE_SIZE 116

static int open_it(struct fixture *f, bool create, struct computer **ret)
{
	int fd = open(f->directory, O_RDONLY | O_DIRECTORY), code;

	assert_true(fd >= 0);
	code = computer_open(fd, f->directory, create, ret, &fixture_error);
	close(fd);
	return code;
}

static void assert_open(struct fixture *f, bool create, int want)
{
	struct computer *computer = NULL;

	assert_fails(open_it(f, create, &computer), want);
	assert_null(computer);
	assert_true(strlen(fixture_error.text) > 0);
}

static void key_path(struct fixture *f, char path[160])
{
	snprintf(path, 160, "%s/%s", f->directory, COMPUTER_KEY_FILE);
}

static void write_key(struct fixture *f, const void *bytes, size_t size)
{
	char path[160];
	FILE *file;

	key_path(f, path);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static void assert_same(const struct computer *a, const struct computer *b)
{
	assert_string_equal(computer_id(a), computer_id(b));
	assert_memory_equal(computer_sealing_key(a), computer_sealing_key(b), KEY_SIZE);
	assert_memory_equal(computer_signing_key(a), computer_signing_key(b), KEY_SIZE);
	assert_memory_equal(
	    computer_age_identity(a), computer_age_identity(b), sizeof(struct age_identity));
}

static void test_born_once(void **state)
{
	struct fixture *f = *state;
	struct computer *again;
	struct stat st;
	char path[160], *jwk = NULL;

	key_path(f, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, KEY_FILE_SIZE);
	assert_ok(open_it(f, false, &again));
	assert_same(f->computer, again);
	assert_int_equal(strlen(computer_id(again)), 32);
	assert_int_equal(strspn(computer_id(again), "0123456789abcdef"), 32);
	assert_memory_not_equal(
	    computer_sealing_key(again), computer_signing_key(again), KEY_SIZE);
	assert_memory_not_equal(
	    computer_sealing_key(again), computer_age_identity(again)->secret, KEY_SIZE);
	/* libcrypto takes the scalar. */
	assert_ok(es256_public_jwk(computer_signing_key(again), &jwk, &fixture_error));
	free(jwk);
	computer_close(again);

	/* Another directory is another computer. */
	assert_int_equal(unlink(path), 0);
	assert_open(f, false, RH_E_STORE_MISSING);
	assert_ok(open_it(f, true, &again));
	assert_string_not_equal(computer_id(f->computer), computer_id(again));
	computer_close(again);
	computer_close(NULL);
}

/* The same file gives the same keys for ever. */
static void test_known(void **state)
{
	struct fixture *f = *state;
	struct computer *computer;
	uint8_t file[KEY_FILE_SIZE], key[KEY_SIZE], bytes[KEY_SIZE];
	const struct jose_key *license_key = NULL, *again = NULL;
	static const char machine[] = "0123456789abcdef0123456789abcdef";
	char hex[33];

	memcpy(file, "rehost computer\n", 16);
	put_u32be(file + 16, 1);
	for (int i = 0; i < KEY_SIZE; i++)
		file[20 + i] = (uint8_t)i;
	assert_ok(hkdf_sha256(key, KEY_SIZE, file + 20, KEY_SIZE, NULL, 0,
	    "rehost computer 1: binding", &fixture_error));
	assert_ok(hmac_sha256(file + 52, key, KEY_SIZE, machine, 32, &fixture_error));
	assert_ok(sha256(file + 84, file, 84, &fixture_error));
	write_key(f, file, sizeof file);
	assert_ok(open_it(f, false, &computer));
	assert_ok(hkdf_sha256(bytes, 16, file + 20, KEY_SIZE, machine, 32,
	    "rehost computer 1: id", &fixture_error));
	for (int i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(computer_id(computer), hex);
	assert_string_equal(computer_id(computer), "fa356b15957b7b19defe824470eaf88d");
	assert_ok(hkdf_sha256(bytes, KEY_SIZE, file + 20, KEY_SIZE, machine, 32,
	    "rehost computer 1: sealing", &fixture_error));
	assert_memory_equal(computer_sealing_key(computer), bytes, KEY_SIZE);
	/* Computed by other means, the thumbprint by "jose jwk thp". */
	assert_ok(computer_license_key(computer, &license_key, &fixture_error));
	assert_string_equal(
	    jose_key_thumbprint(license_key), "P1m_EZBsjLGXEh3wo7jyo-dZIAWDPRvJSwmqBl6iiKE");
	assert_ok(computer_license_key(computer, &again, &fixture_error));
	assert_ptr_equal(again, license_key);
	computer_close(computer);
}

static void test_machine_id(void **state)
{
	struct fixture *f = *state;
	struct computer *again;

	/* White space and case say nothing. */
	fixture_machine(f, "  0123456789abcdef0123456789ABCDEF \n\n");
	assert_ok(open_it(f, false, &again));
	assert_same(f->computer, again);
	computer_close(again);
	fixture_machine(f, "0123456789abcdef0123456789abcdee\n");
	assert_open(f, false, RH_E_STORE_OTHER_COMPUTER);
	assert_open(f, true, RH_E_STORE_OTHER_COMPUTER);

	fixture_machine(f, " \n");
	assert_open(f, true, RH_E_COMPUTER_ID);
	fixture_machine(f, "uninitialized\n");
	assert_open(f, true, RH_E_COMPUTER_ID);
	unlink(f->machine);
	assert_open(f, true, RH_E_COMPUTER_ID);
	assert_non_null(strstr(fixture_error.text, f->machine));
}

static void test_no_key_without_machine_id(void **state)
{
	struct fixture *f = *state;
	char path[160];

	key_path(f, path);
	assert_int_equal(unlink(path), 0);
	unlink(f->machine);
	assert_open(f, true, RH_E_COMPUTER_ID);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct buffer good = {0};
	uint8_t file[5000] = {0};
	char path[160];

	key_path(f, path);
	assert_ok(file_read_whole(AT_FDCWD, path, 4096, &good, path, &fixture_error));
	assert_int_equal(good.size, KEY_FILE_SIZE);
	for (size_t i = 0; i < KEY_FILE_SIZE; i++) {
		memcpy(file, good.data, good.size);
		file[i] ^= (uint8_t)(1u << (i % 8));
		write_key(f, file, good.size);
		assert_open(f, true, RH_E_STORE_DAMAGED);
	}
	for (size_t i = 0; i < KEY_FILE_SIZE; i += 5) {
		write_key(f, good.data, i);
		assert_open(f, true, RH_E_STORE_DAMAGED);
	}
	write_key(f, file, sizeof file);
	assert_open(f, true, RH_E_STORE_DAMAGED);

	/* A whole file of a later version, of another size. */
	memcpy(file, good.data, good.size);
	put_u32be(file + 16, 2);
	assert_ok(sha256(file + 200, file, 200, &fixture_error));
	write_key(f, file, 232);
	assert_open(f, true, RH_E_STORE_NEWER);

	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_open(f, true, RH_E_STORE_DAMAGED);
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_open(f, true, RH_E_STORE_DAMAGED);
	buffer_free(&good);
}

static void test_created_at_once(void **state)
{
	struct fixture *f = *state;
	enum { PROCESSES = 8 };
	char path[160], first[COMPUTER_ID_SIZE], id[COMPUTER_ID_SIZE];

	key_path(f, path);
	for (unsigned round = 0; round < 5; round++) {
		int results[2];

		unlink(path);
		assert_int_equal(pipe(results), 0);
		for (unsigned i = 0; i < PROCESSES; i++) {
			if (fork() == 0) {
				struct computer *computer;

				if (open_it(f, true, &computer) != RH_OK)
					_exit(1);
				_exit(write(results[1], computer_id(computer), sizeof id) !=
				      sizeof id);
			}
		}
		close(results[1]);
		for (unsigned i = 0; i < PROCESSES; i++) {
			int status;

			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
			assert_int_equal(
			    read(results[0], i == 0 ? first : id, sizeof id), sizeof id);
			if (i > 0)
				assert_string_equal(first, id);
		}
		close(results[0]);
	}
	snprintf(path, sizeof path, "%s/%s.part", f->directory, COMPUTER_KEY_FILE);
	assert_int_not_equal(access(path, F_OK), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_born_once),
	    TEST(test_known),
	    TEST(test_machine_id),
	    TEST(test_no_key_without_machine_id),
	    TEST(test_damaged),
	    TEST(test_created_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
