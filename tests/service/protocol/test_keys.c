#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "crypto/jws.h"
#include "failing.h"
#include "service/keys.h"

#define ADDRESS "https://licences.example/lms"
#define NOW 1800000000

struct place {
	char directory[64];
	char file[128];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);

	strcpy(place->directory, "/tmp/rehost-keys-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->file, sizeof place->file, "%s/%s", place->directory, SERVICE_KEYS_FILE);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	unlink(place->file);
	assert_int_equal(rmdir(place->directory), 0);
	free(place);
	return 0;
}

static struct service_keys *opened(const struct place *place)
{
	struct service_keys *keys = NULL;
	rh_error error = {0};

	assert_int_equal(
	    service_keys_open(place->directory, ADDRESS, true, NOW, &keys, &error), RH_OK);
	return keys;
}

static char *content(const struct place *place)
{
	struct buffer text = {0};

	assert_int_equal(
	    file_read_whole(AT_FDCWD, place->file, JOSE_SET_MAX, &text, place->file, NULL),
	    RH_OK);
	assert_int_equal(buffer_append(&text, "", 1, NULL), RH_OK);
	return (char *)text.data;
}

static void put(const struct place *place, const char *text)
{
	assert_int_equal(
	    file_replace(AT_FDCWD, place->file, 0600, text, strlen(text), place->file, NULL),
	    RH_OK);
}

static const struct jose_set_key *first(const struct jose_set *set, bool signs)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->keys[i].signs == signs)
			return &set->keys[i];
	fail();
	return NULL;
}

static char *sealed(const struct service_keys *keys, const char *key_id)
{
	const struct jose_set_key *key = first(service_keys_set(keys), false);
	char *text;

	assert_int_equal(jose_seal(key->key, key_id == NULL ? key->id : key_id, "a batch key",
			     11, &text, NULL),
	    RH_OK);
	return text;
}

static int open_text(const struct service_keys *keys, const char *jwe)
{
	struct buffer buffer = {0};
	rh_error error = {0};
	int code = service_keys_open_jwe(keys, jwe, strlen(jwe), &buffer, &error);

	assert_int_equal(error.code, code);
	if (code == RH_OK) {
		assert_int_equal(buffer.size, 11);
		assert_memory_equal(buffer.data, "a batch key", 11);
	}
	buffer_free_secret(&buffer);
	return code;
}

static void test_makes_them_once(void **state)
{
	struct place *place = *state;
	struct service_keys *keys, *again;
	struct stat status;
	char *before, *after;
	rh_error error;

	assert_int_equal(
	    service_keys_open(place->directory, ADDRESS, false, NOW, &keys, &error), RH_E_OPEN);
	assert_non_null(strstr(error.text, SERVICE_KEYS_FILE));
	keys = opened(place);
	assert_int_equal(stat(place->file, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	before = content(place);
	again = opened(place);
	after = content(place);
	assert_string_equal(before, after);
	assert_string_equal(service_keys_public(keys), service_keys_public(again));
	assert_string_equal(jose_key_thumbprint(service_keys_signing(keys)),
	    jose_key_thumbprint(service_keys_signing(again)));
	free(before);
	free(after);
	service_keys_close(keys);
	service_keys_close(again);
	service_keys_close(NULL);
}

static void test_public_set(void **state)
{
	struct place *place = *state;
	struct service_keys *keys = opened(place);
	const char *text = service_keys_public(keys);
	struct jose_set set;
	rh_error error;

	assert_null(strstr(text, "\"d\""));
	assert_int_equal(jose_set_read(&set, text, strlen(text), "service", &error), RH_OK);
	assert_string_equal(set.name, ADDRESS);
	assert_int_equal(set.count, 2);
	assert_true(first(&set, true)->signs && !first(&set, true)->encrypts);
	assert_true(first(&set, false)->encrypts && !first(&set, false)->signs);
	assert_string_equal(
	    first(&set, true)->id, jose_key_thumbprint(service_keys_signing(keys)));
	jose_set_free(&set);
	service_keys_close(keys);
}

static void test_opens_what_is_sealed_for_it(void **state)
{
	struct place *place = *state;
	struct service_keys *keys = opened(place);
	const char *signing = jose_key_thumbprint(service_keys_signing(keys));
	char *text = sealed(keys, NULL), *other = sealed(keys, "another");
	char *wrong = sealed(keys, signing), *nameless;

	assert_int_equal(
	    jose_seal(first(service_keys_set(keys), false)->key, NULL, "x", 1, &nameless, NULL),
	    RH_OK);
	assert_int_equal(open_text(keys, text), RH_OK);
	assert_int_equal(open_text(keys, other), RH_E_LICENSE_CONTENT_KEY);
	assert_int_equal(open_text(keys, wrong), RH_E_LICENSE_CONTENT_KEY);
	assert_int_equal(open_text(keys, nameless), RH_E_LICENSE_CONTENT_KEY);
	assert_int_equal(open_text(keys, ""), RH_E_LICENSE_CONTENT_KEY);
	assert_int_equal(open_text(keys, "...."), RH_E_LICENSE_CONTENT_KEY);
	assert_int_equal(open_text(keys, "e30.a.b.c.d"), RH_E_LICENSE_CONTENT_KEY);
	assert_int_equal(open_text(keys, "!.a.b.c.d"), RH_E_LICENSE_CONTENT_KEY);
	text[strlen(text) - 1] = text[strlen(text) - 1] == 'A' ? 'Q' : 'A';
	assert_int_equal(open_text(keys, text), RH_E_LICENSE_CONTENT_KEY);
	free(text);
	free(other);
	free(wrong);
	free(nameless);
	service_keys_close(keys);
}

static void test_rotation_keeps_the_old(void **state)
{
	struct place *place = *state;
	struct service_keys *old = opened(place), *new;
	char *text = sealed(old, NULL);
	uint8_t secret[KEY_SIZE], other[KEY_SIZE], again[KEY_SIZE];
	struct stat status;
	rh_error error;

	/* A clock that went back makes no old key the newest. */
	assert_int_equal(service_keys_rotate(place->directory, NOW - 1000, &error), RH_OK);
	assert_int_equal(stat(place->file, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	new = opened(place);
	assert_int_equal(service_keys_set(new)->count, 4);
	assert_string_not_equal(jose_key_thumbprint(service_keys_signing(old)),
	    jose_key_thumbprint(service_keys_signing(new)));
	/* The first of each use in the set is the newest: that one is sealed for. */
	assert_string_equal(first(service_keys_set(new), true)->id,
	    jose_key_thumbprint(service_keys_signing(new)));
	assert_string_not_equal(
	    first(service_keys_set(new), false)->id, first(service_keys_set(old), false)->id);
	assert_int_equal(open_text(new, text), RH_OK);
	assert_int_equal(service_keys_derive(old, "a", secret, &error), RH_OK);
	assert_int_equal(service_keys_derive(old, "a", again, &error), RH_OK);
	assert_int_equal(service_keys_derive(old, "b", other, &error), RH_OK);
	assert_memory_equal(secret, again, sizeof secret);
	assert_memory_not_equal(secret, other, sizeof secret);
	assert_int_equal(service_keys_derive(new, "a", other, &error), RH_OK);
	assert_memory_not_equal(secret, other, sizeof secret);
	free(text);
	service_keys_close(old);
	service_keys_close(new);
}

static void test_rotation_ends(void **state)
{
	struct place *place = *state;
	rh_error error;
	char *before, *after;

	service_keys_close(opened(place));
	for (int i = 1; i < JOSE_KEYS_MAX / 2; i++)
		assert_int_equal(service_keys_rotate(place->directory, NOW + i, &error), RH_OK);
	before = content(place);
	assert_int_equal(
	    service_keys_rotate(place->directory, NOW + 100, &error), RH_E_ARGUMENT);
	after = content(place);
	assert_string_equal(before, after);
	free(before);
	free(after);
	service_keys_close(opened(place));
}

static void test_no_rotation_of_nothing(void **state)
{
	struct place *place = *state;
	rh_error error;

	assert_int_equal(service_keys_rotate(place->directory, NOW, &error), RH_E_OPEN);
	assert_int_equal(
	    service_keys_rotate("/nowhere/at/all", NOW, &error), RH_E_NO_DIRECTORY);
	assert_int_not_equal(access(place->file, F_OK), 0);
}

static void test_file_that_others_read(void **state)
{
	static const unsigned modes[] = {0640, 0604, 0620, 0602, 0610, 0777};
	struct place *place = *state;
	struct service_keys *keys;
	rh_error error;

	service_keys_close(opened(place));
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_int_equal(chmod(place->file, modes[i]), 0);
		assert_int_equal(
		    service_keys_open(place->directory, ADDRESS, true, NOW, &keys, &error),
		    RH_E_ACCESS);
	}
	assert_int_equal(service_keys_rotate(place->directory, NOW, &error), RH_E_ACCESS);
	assert_int_equal(chmod(place->file, 0400), 0);
	service_keys_close(opened(place));
}

static void test_file_that_is_no_file(void **state)
{
	struct place *place = *state;
	struct service_keys *keys;
	rh_error error;

	assert_int_equal(symlink("/dev/null", place->file), 0);
	assert_int_equal(
	    service_keys_open(place->directory, ADDRESS, true, NOW, &keys, &error), RH_E_OPEN);
	unlink(place->file);
	assert_int_equal(mkfifo(place->file, 0600), 0);
	assert_int_equal(
	    service_keys_open(place->directory, ADDRESS, true, NOW, &keys, &error), RH_E_OPEN);
}

/* ${text} with the first ${old} in it replaced; freed by the caller. */
static char *replaced(const char *text, const char *old, const char *by)
{
	const char *at = strstr(text, old);
	const char *behind;
	struct buffer ret = {0};

	assert_non_null(at);
	behind = at + strlen(old);
	assert_int_equal(buffer_append(&ret, text, (size_t)(at - text), NULL), RH_OK);
	assert_int_equal(buffer_append(&ret, by, strlen(by), NULL), RH_OK);
	assert_int_equal(buffer_append(&ret, behind, strlen(behind) + 1, NULL), RH_OK);
	return (char *)ret.data;
}

static void test_broken_files(void **state)
{
	static const struct {
		const char *old, *by;
	} edits[] = {
	    {"{\"keys\"", "{\"kees\""},
	    {"\"use\":\"sig\"", "\"use\":\"all\""},
	    {"\"use\":\"sig\"", "\"use\":\"enc\""},
	    {"\"use\":\"enc\"", "\"use\":\"sig\""},
	    {"\"iat\":", "\"iat\":-"},
	    {"\"iat\":", "\"when\":"},
	    {"\"d\":\"", "\"d\":\"A"},
	    {"\"d\":", "\"e\":"},
	    {"\"d\":", "\"d\""},
	    {"\"d\":", "\"d\":0,\"e\":"},
	    {"\"d\":\"", "\"d\":\"0000000000000000000000000000000000000000064\",\"e\":\""},
	    {"\"crv\":\"P-256\"", "\"crv\":\"P-384\""},
	    {"\"kid\":\"", "\"kid\":\"\\\""},
	    {"\"kid\":\"", "\"kid\":1,\"was\":\""},
	    {"\"kid\":\"", "\"kid\":\"2026-01\",\"was\":\""},
	    {"\n]}", "\n]"},
	};
	struct place *place = *state;
	struct service_keys *keys;
	rh_error error;
	char *good;

	service_keys_close(opened(place));
	good = content(place);
	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		char *bad = replaced(good, edits[i].old, edits[i].by);

		put(place, bad);
		assert_int_equal(
		    service_keys_open(place->directory, ADDRESS, true, NOW, &keys, &error),
		    RH_E_PIN_KEYS);
		assert_non_null(strstr(error.text, SERVICE_KEYS_FILE));
		assert_int_equal(
		    service_keys_rotate(place->directory, NOW, &error), RH_E_PIN_KEYS);
		free(bad);
	}
	free(good);
}

/* As other programs write JSON. */
static void test_white_space(void **state)
{
	struct place *place = *state;
	struct service_keys *keys = opened(place), *again;
	char *text = content(place), *first_d, *both_d;

	first_d = replaced(text, "\"d\":", "\"d\"\t:\n ");
	both_d = replaced(first_d, "\"d\":", "\n\"d\" : ");
	put(place, both_d);
	again = opened(place);
	assert_string_equal(service_keys_public(keys), service_keys_public(again));
	free(text);
	free(first_d);
	free(both_d);
	service_keys_close(keys);
	service_keys_close(again);
}

static void test_halves_of_two_keys(void **state)
{
	struct place *place = *state;
	struct service_keys *keys;
	rh_error error;
	char *text, *d, *other;

	service_keys_close(opened(place));
	text = content(place);
	d = strstr(text, "\"d\":\"") + 5;
	other = strstr(d, "\"d\":\"") + 5;
	memcpy(d, other, 43);
	put(place, text);
	assert_int_equal(service_keys_open(place->directory, ADDRESS, true, NOW, &keys, &error),
	    RH_E_PIN_KEYS);
	assert_null(strstr(error.text, "\"d\""));
	free(text);
}

static void test_too_large(void **state)
{
	struct place *place = *state;
	struct service_keys *keys;
	char *text = malloc(JOSE_SET_MAX + 2);
	rh_error error;

	memset(text, ' ', JOSE_SET_MAX + 1);
	text[JOSE_SET_MAX + 1] = '\0';
	put(place, text);
	free(text);
	assert_int_equal(service_keys_open(place->directory, ADDRESS, true, NOW, &keys, &error),
	    RH_E_PIN_KEYS);
}

/* Two that start at once agree on one pair. */
static void test_two_at_once(void **state)
{
	struct place *place = *state;
	struct service_keys *keys;
	pid_t children[4];

	for (size_t i = 0; i < 4; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			keys = NULL;
			_exit(service_keys_open(
				  place->directory, ADDRESS, true, NOW, &keys, NULL) == RH_OK
				  ? (int)service_keys_set(keys)->count
				  : 100);
		}
	}
	for (size_t i = 0; i < 4; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 2);
	}
	keys = opened(place);
	assert_int_equal(service_keys_set(keys)->count, 2);
	service_keys_close(keys);
}

static void test_no_memory(void **state)
{
	struct place *place = *state;
	struct service_keys *keys = NULL;
	rh_error error;
	size_t count;
	int code;

	for (int made = 0; made < 2; made++) {
		failing_nth(0);
		keys = opened(place);
		count = failing_stop();
		service_keys_close(keys);
		for (size_t i = 1; i <= count; i++) {
			if (made == 0)
				unlink(place->file);
			keys = NULL;
			failing_nth(i);
			code = service_keys_open(
			    place->directory, ADDRESS, true, NOW, &keys, &error);
			failing_stop();
			if (code == RH_OK) {
				service_keys_close(keys);
				continue;
			}
			assert_int_equal(code, RH_E_MEMORY);
			assert_null(keys);
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
	    TEST(test_makes_them_once),
	    TEST(test_public_set),
	    TEST(test_opens_what_is_sealed_for_it),
	    TEST(test_rotation_keeps_the_old),
	    TEST(test_rotation_ends),
	    TEST(test_no_rotation_of_nothing),
	    TEST(test_file_that_others_read),
	    TEST(test_file_that_is_no_file),
	    TEST(test_broken_files),
	    TEST(test_white_space),
	    TEST(test_halves_of_two_keys),
	    TEST(test_too_large),
	    TEST(test_two_at_once),
	    TEST(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
