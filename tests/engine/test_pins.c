/* Pins: who is trusted, how they come in, how they travel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "pin_kit.h"

#define SERVICE "https://service.example/lms"

static void assert_thumbprint(const char *thumbprint, struct issue_keys *keys)
{
	/* The only key of a set; its other members do not matter. */
	char *set = issue_set(&keys, 1, NULL), *expected;

	set[strlen(set) - 2] = '\0';
	expected = issue_thumbprint(strchr(set, '[') + 1);
	assert_string_equal(thumbprint, expected);
	free(expected);
	free(set);
}

static void come_and_go(void **state)
{
	struct pin_kit *f = *state;
	struct pins_seen seen = {0};
	rh_error error;

	pin_kit_put_set(f, 0, 1, ISSUER);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, NULL, pin_kit_see, &seen, &error),
	    RH_OK);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.names[0], ISSUER);
	assert_string_equal(seen.source, f->path);
	assert_int_equal(seen.keys, 1);
	assert_string_equal(seen.ids[0], "2025");
	assert_thumbprint(seen.thumbprints[0], f->keys[0]);

	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, NULL, pin_kit_see, &seen, &error),
	    RH_S_ALREADY_HERE);
	assert_int_equal(seen.count, 2);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, "a shop", NULL, NULL, &error), RH_OK);

	pin_kit_put_set(f, 0, 2, ISSUER);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, NULL, pin_kit_see, &seen, &error),
	    RH_S_UPDATED);
	assert_int_equal(seen.keys, 2);
	assert_string_equal(seen.ids[1], "2026");
	assert_thumbprint(seen.thumbprints[1], f->keys[1]);

	/* Another handle sees them, in the order of names; a reader that has enough stops. */
	rh_store_close(f->store);
	f->store = kit_store(f->kit.store, 0);
	pin_kit_list(f->store, RH_PIN_ISSUER, &seen);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.names[0], "a shop");
	assert_string_equal(seen.names[1], ISSUER);
	assert_int_equal(seen.keys, 2);
	memset(&seen, 0, sizeof seen);
	seen.stop = 1;
	assert_int_equal(rh_pin_list(f->store, RH_PIN_ISSUER, pin_kit_see, &seen, NULL), RH_OK);
	assert_int_equal(seen.count, 1);

	assert_int_equal(rh_pin_remove(f->store, RH_PIN_ISSUER, "a shop", &error), RH_OK);
	assert_int_equal(
	    rh_pin_remove(f->store, RH_PIN_ISSUER, "a shop", &error), RH_E_PIN_UNKNOWN);
	assert_non_null(strstr(error.text, "a shop"));
	assert_int_equal(
	    rh_pin_remove(f->store, RH_PIN_SERVICE, ISSUER, &error), RH_E_PIN_UNKNOWN);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_ISSUER), 1);
	assert_int_equal(rh_pin_remove(f->store, RH_PIN_ISSUER, ISSUER, &error), RH_OK);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_ISSUER), 0);
}

/* A set with keys of both uses: an issuer signs, a service does both. */
static void services(void **state)
{
	struct pin_kit *f = *state;
	struct pins_seen seen = {0};
	rh_error error;

	pin_kit_put_set(f, 2, 1, SERVICE);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_SERVICE, f->path, NULL, pin_kit_see, &seen, &error),
	    RH_OK);
	assert_string_equal(seen.names[0], SERVICE);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_ISSUER), 0);

	pin_kit_put_set(f, 0, 3, NULL);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_SERVICE, f->path, SERVICE, pin_kit_see, &seen, &error),
	    RH_S_UPDATED);
	assert_int_equal(seen.keys, 3);
	assert_string_equal(seen.ids[2], "lms");
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, ISSUER, pin_kit_see, &seen, &error),
	    RH_OK);
	assert_int_equal(seen.keys, 2);
	assert_string_equal(seen.ids[0], "2025");
}

static void refuse(struct pin_kit *f, int kind, const char *source, const char *name, int code,
    const char *word)
{
	struct pins_seen *seen = calloc(1, sizeof *seen);
	rh_error error = {0};

	assert_non_null(seen);
	assert_int_equal(
	    rh_pin_add(f->store, kind, source, name, pin_kit_see, seen, &error), code);
	assert_int_equal(error.code, code);
	if (strstr(error.text, word) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", error.text, word);
	assert_int_equal(seen->count, 0);
	free(seen);
	assert_int_equal(rh_pin_add(f->store, kind, source, name, NULL, NULL, NULL), code);
}

static void refusals(void **state)
{
	struct pin_kit *f = *state;
	char long_name[600], *text;

	memset(long_name, 'n', sizeof long_name);
	long_name[256] = '\0';
	pin_kit_put_set(f, 0, 1, NULL);
	refuse(f, RH_PIN_ISSUER, f->path, NULL, RH_E_PIN_KEYS, "--name");
	refuse(f, RH_PIN_ISSUER, f->path, NULL, RH_E_PIN_KEYS, "\"issuer\"");
	refuse(f, RH_PIN_ISSUER, f->path, "", RH_E_PIN_KEYS, "1 to 255 bytes");
	refuse(f, RH_PIN_ISSUER, f->path, "a\nb", RH_E_PIN_KEYS, "plain text");
	refuse(f, RH_PIN_ISSUER, f->path, "\x7f", RH_E_PIN_KEYS, "plain text");
	refuse(f, RH_PIN_ISSUER, f->path, "\xc3(", RH_E_PIN_KEYS, "plain text");
	refuse(f, RH_PIN_ISSUER, f->path, "a\xc2\x9bK", RH_E_PIN_KEYS, "plain text");
	refuse(f, RH_PIN_ISSUER, f->path, long_name, RH_E_PIN_KEYS, "plain text");
	refuse(f, RH_PIN_SERVICE, f->path, SERVICE, RH_E_PIN_KEYS, "encryption");
	refuse(f, 2, f->path, ISSUER, RH_E_ARGUMENT, "neither");
	refuse(f, -1, f->path, ISSUER, RH_E_ARGUMENT, "neither");
	refuse(f, RH_PIN_ISSUER, NULL, ISSUER, RH_E_ARGUMENT, "file or address");
	refuse(f, RH_PIN_ISSUER, "", ISSUER, RH_E_ARGUMENT, "file or address");
	refuse(f, RH_PIN_ISSUER, "/nonexistent/set", ISSUER, RH_E_OPEN, "/nonexistent/set");
	refuse(f, RH_PIN_ISSUER, f->kit.root, ISSUER, RH_E_READ, f->kit.root);
	refuse(f, RH_PIN_ISSUER, "http://192.0.2.1/set", ISSUER, RH_E_NETWORK, "192.0.2.1");
	refuse(f, RH_PIN_ISSUER, "https://me:pw@127.0.0.1/", ISSUER, RH_E_NETWORK, "password");

	pin_kit_put_set(f, 2, 1, NULL);
	refuse(f, RH_PIN_ISSUER, f->path, ISSUER, RH_E_PIN_KEYS, "signatures");
	pin_kit_put(f, "rubbish", 7);
	refuse(f, RH_PIN_ISSUER, f->path, ISSUER, RH_E_PIN_KEYS, f->path);
	pin_kit_put(f, "", 0);
	refuse(f, RH_PIN_ISSUER, f->path, ISSUER, RH_E_PIN_KEYS, f->path);
	pin_kit_put(f, "{\"keys\":[]}", 11);
	refuse(f, RH_PIN_ISSUER, f->path, ISSUER, RH_E_PIN_KEYS, f->path);
	text = calloc(1, JOSE_SET_MAX + 1);
	assert_non_null(text);
	memset(text, ' ', JOSE_SET_MAX + 1);
	pin_kit_put(f, text, JOSE_SET_MAX + 1);
	refuse(f, RH_PIN_ISSUER, f->path, ISSUER, RH_E_PIN_KEYS, "larger than");
	free(text);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_ISSUER), 0);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_SERVICE), 0);

	assert_int_equal(
	    rh_pin_add(NULL, RH_PIN_ISSUER, f->path, ISSUER, NULL, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_pin_list(NULL, RH_PIN_ISSUER, pin_kit_see, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_pin_list(f->store, RH_PIN_ISSUER, NULL, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_pin_list(f->store, 2, pin_kit_see, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_pin_remove(f->store, 2, ISSUER, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_pin_remove(f->store, RH_PIN_ISSUER, NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_pin_remove(f->store, RH_PIN_ISSUER, "", NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_pin_remove(NULL, RH_PIN_ISSUER, ISSUER, NULL), RH_E_ARGUMENT);
}

/* Names that JSON must escape, and a file name that is no text. */
static void strange_names(void **state)
{
	struct pin_kit *f = *state;
	struct pins_seen seen = {0};

	pin_kit_put_set(f, 0, 1, "the \"best\" \\ shop \xc3\xa4");
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, NULL, NULL, NULL, NULL), RH_OK);
	pin_kit_list(f->store, RH_PIN_ISSUER, &seen);
	assert_string_equal(seen.names[0], "the \"best\" \\ shop \xc3\xa4");

	snprintf(f->path, sizeof f->path, "%s/s\xff\net", f->kit.root);
	pin_kit_put_set(f, 0, 1, "b");
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, NULL, NULL, NULL, NULL), RH_OK);
	assert_int_equal(rh_pin_remove(f->store, RH_PIN_ISSUER, seen.names[0], NULL), RH_OK);
	pin_kit_list(f->store, RH_PIN_ISSUER, &seen);
	assert_non_null(strstr(seen.source, "/s??et"));
}

/* As many as are kept, and no more. */
static void limits(void **state)
{
	struct pin_kit *f = *state;
	struct issue_keys *many[60];
	char name[200], *text;
	rh_error error;
	size_t kept = 0;
	int code = RH_OK;

	pin_kit_put_set(f, 0, 1, NULL);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof name, "issuer %03d", (i * 7) % 256);
		assert_int_equal(
		    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, name, NULL, NULL, NULL),
		    RH_OK);
	}
	refuse(f, RH_PIN_ISSUER, f->path, "one more", RH_E_ARGUMENT, "one more");
	pin_kit_put_set(f, 0, 2, NULL);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, "issuer 077", NULL, NULL, &error),
	    RH_S_UPDATED);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_ISSUER), 256);

	for (size_t i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "key %zu", i);
		many[i] = issue_keys_new(name, "ECDH-ES+A256KW");
	}
	text = issue_set(many, 60, NULL);
	pin_kit_put(f, text, strlen(text));
	free(text);
	for (; code == RH_OK && kept < 256; kept++) {
		snprintf(name, sizeof name, "service %03zu", kept);
		code = rh_pin_add(f->store, RH_PIN_SERVICE, f->path, name, NULL, NULL, &error);
	}
	assert_int_equal(code, RH_E_ARGUMENT);
	assert_true(kept > 5 && kept < 256);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_SERVICE), kept - 1);
	/* Neither does one grow over the limit, but others may go and come. */
	pin_kit_put_set(f, 2, 1, NULL);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_SERVICE, f->path, "service 000", NULL, NULL, &error),
	    RH_S_UPDATED);
	for (size_t i = 0; i < 60; i++)
		issue_keys_free(many[i]);
}

/* Every process reads and writes in one transaction: nobody's pin is lost. */
static void side_by_side(void **state)
{
	struct pin_kit *f = *state;
	struct pins_seen *seen = calloc(1, sizeof *seen);
	pid_t children[4];
	int status;

	assert_non_null(seen);
	pin_kit_put_set(f, 0, 1, NULL);
	for (int i = 0; i < 4; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] > 0)
			continue;
		rh_store *store = NULL;
		int code = rh_store_open(f->kit.store, 0, &store, NULL);

		for (int k = 0; k < 8 && code == RH_OK; k++) {
			char name[32];

			snprintf(name, sizeof name, "%d of %d", k, i);
			code =
			    rh_pin_add(store, RH_PIN_ISSUER, f->path, name, NULL, NULL, NULL);
		}
		rh_store_close(store);
		_exit(code);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	pin_kit_list(f->store, RH_PIN_ISSUER, seen);
	assert_int_equal(seen->count, 32);
	for (size_t i = 1; i < seen->count; i++)
		assert_true(strcmp(seen->names[i - 1], seen->names[i]) < 0);
	free(seen);
}

/* Answers one request with ${text}; runs in a child. */
static void answer(int listener, const char *text)
{
	char request[4096];
	int connection = accept(listener, NULL, NULL);

	if (connection < 0 || read(connection, request, sizeof request) <= 0)
		_exit(1);
	dprintf(
	    connection, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(text), text);
	close(connection);
	_exit(0);
}

static void from_an_address(void **state)
{
	struct pin_kit *f = *state;
	struct sockaddr_in name = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof name;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
	char *set = issue_set(f->keys, 2, ISSUER), address[64];
	struct pins_seen seen = {0};
	rh_error error = {0};
	pid_t child;

	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof name), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
	snprintf(address, sizeof address, "http://127.0.0.1:%d/keys", ntohs(name.sin_port));
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		answer(listener, set);
	if (rh_pin_add(f->store, RH_PIN_ISSUER, address, NULL, pin_kit_see, &seen, &error) !=
	    RH_OK)
		fail_msg("%s", error.text);
	assert_string_equal(seen.source, address);
	assert_string_equal(seen.names[0], ISSUER);
	assert_int_equal(seen.keys, 2);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(listener);
	free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(come_and_go, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(services, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(refusals, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(strange_names, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(limits, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(side_by_side, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(from_an_address, pin_kit_setup, pin_kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
