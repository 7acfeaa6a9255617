/* The messages: what is written is read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "authority/message.h"

#define THUMBPRINT "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define STATEMENT "a.b.c"
#define SEALED "a..b.c.d"
#define KEY "0123456789abcdef"

#define SAME(a, b)                                                                             \
	do {                                                                                   \
		if ((a) == NULL)                                                               \
			assert_null(b);                                                        \
		else                                                                           \
			assert_string_equal(a, b);                                             \
	} while (0)

static void test_computers(void **state)
{
	struct computers_request request = {"Grandma\xe2\x80\x99s \"old\" one", THUMBPRINT,
				     NULL},
				 got = {0};
	struct computers_reply reply = {STATEMENT, "d.e.f", NULL}, reply_got = {0};
	struct buffer out = {0};

	(void)state;
	assert_int_equal(computers_request_write(&request, &out, NULL), RH_OK);
	assert_int_equal(computers_request_read(&got, out.data, out.size, NULL), RH_OK);
	SAME(request.name, got.name);
	SAME(request.release, got.release);
	computers_request_free(&got);
	assert_null(got.name);

	buffer_clear(&out);
	assert_int_equal(
	    computers_request_write(&(struct computers_request){0}, &out, NULL), RH_OK);
	assert_int_equal(out.size, 2);
	assert_int_equal(computers_request_read(&got, out.data, out.size, NULL), RH_OK);
	assert_null(got.name);
	assert_null(got.release);
	computers_request_free(&got);

	buffer_clear(&out);
	assert_int_equal(computers_reply_write(&reply, &out, NULL), RH_OK);
	assert_int_equal(computers_reply_read(&reply_got, out.data, out.size, NULL), RH_OK);
	SAME(reply.certificate, reply_got.certificate);
	SAME(reply.head, reply_got.head);
	computers_reply_free(&reply_got);
	buffer_free(&out);
}

static void check_request(enum message_path path)
{
	struct request_license licenses[] = {{"document 1", 10, "AAAA", 4, NULL, NULL},
	    {"a.\n\"\\b.c-and-more", 9, NULL, 0, NULL, NULL}};
	struct restore_request request = {.path = path,
	    .idempotency_key = KEY,
	    .key = SEALED,
	    .owner = STATEMENT,
	    .claim = "d.e.f",
	    .head = "g.h.i",
	    .licenses = licenses,
	    .license_count = 2};
	struct restore_request got = {.path = path};
	struct buffer out = {0};

	assert_int_equal(restore_request_write(&request, &out, NULL), RH_OK);
	assert_int_equal(restore_request_read(&got, out.data, out.size, NULL), RH_OK);
	assert_int_equal(got.path, path);
	SAME(path == MESSAGE_COMMIT ? request.idempotency_key : NULL, got.idempotency_key);
	SAME(path == MESSAGE_COMMIT ? request.key : NULL, got.key);
	SAME(path != MESSAGE_LICENSES ? request.owner : NULL, got.owner);
	SAME(request.claim, got.claim);
	SAME(request.head, got.head);
	assert_int_equal(got.license_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(got.licenses[i].document_size, licenses[i].document_size);
		assert_memory_equal(
		    got.licenses[i].document, licenses[i].document, licenses[i].document_size);
	}
	SAME(path == MESSAGE_COMMIT ? "AAAA" : NULL, got.licenses[0].secret);
	assert_int_equal(got.licenses[0].secret_size, path == MESSAGE_COMMIT ? 4 : 0);
	assert_null(got.licenses[1].secret);
	restore_request_free(&got);
	assert_int_equal(got.path, path);
	assert_null(got.licenses);
	/* One that was filled by hand keeps its list. */
	restore_request_free(&request);
	buffer_free(&out);
}

static void test_restore_request(void **state)
{
	(void)state;
	check_request(MESSAGE_PLAN);
	check_request(MESSAGE_COMMIT);
	check_request(MESSAGE_LICENSES);
}

static void test_restore_reply(void **state)
{
	struct reply_license licenses[] = {
	    {.id = "1",
		.issuer = "i",
		.result = MESSAGE_FREE,
		.computers = 1,
		.limit = 4,
		.since = 0,
		.next = MESSAGE_TIME_NONE,
		.secret = "AAAA"},
	    {.id = "2",
		.issuer = "i",
		.result = MESSAGE_COSTS,
		.computers = 2,
		.limit = UINT32_MAX,
		.since = MESSAGE_TIME_NONE,
		.next = MESSAGE_TIME_NONE},
	    {.id = "3",
		.issuer = "i",
		.result = MESSAGE_GRANTED,
		.computers = 3,
		.limit = 4,
		.since = 253402300799,
		.next = MESSAGE_TIME_NONE},
	    {.id = "4",
		.issuer = "i",
		.result = MESSAGE_REFUSED,
		.computers = 4,
		.limit = 4,
		.since = MESSAGE_TIME_NONE,
		.next = 1,
		.code = "limit-reached",
		.detail = "no \"slot\" is free",
		.page = "https://licences.example/c/1"},
	    {.result = MESSAGE_REFUSED,
		.since = MESSAGE_TIME_NONE,
		.next = MESSAGE_TIME_NONE,
		.code = "license-malformed"},
	};
	struct restore_reply reply = {.licenses = licenses,
				 .license_count = 5,
				 .grants = STATEMENT,
				 .key = SEALED,
				 .head = "g.h.i"},
			     got = {0};
	struct buffer out = {0};

	(void)state;
	assert_int_equal(restore_reply_write(&reply, &out, NULL), RH_OK);
	assert_int_equal(restore_reply_read(&got, out.data, out.size, NULL), RH_OK);
	SAME(reply.grants, got.grants);
	SAME(reply.key, got.key);
	SAME(reply.head, got.head);
	assert_int_equal(got.license_count, 5);
	for (size_t i = 0; i < 5; i++) {
		const struct reply_license *a = &licenses[i], *b = &got.licenses[i];

		SAME(a->id, b->id);
		SAME(a->issuer, b->issuer);
		assert_int_equal(a->result, b->result);
		assert_int_equal(a->computers, b->computers);
		assert_int_equal(a->limit, b->limit);
		assert_true(a->since == b->since);
		assert_true(a->next == b->next);
		SAME(a->code, b->code);
		SAME(a->detail, b->detail);
		SAME(a->page, b->page);
		SAME(a->secret, b->secret);
	}
	restore_reply_free(&got);
	buffer_free(&out);
}

static void test_status_reply(void **state)
{
	struct status_computer computers[] = {
	    {THUMBPRINT, "at home", 5, 9, true, false},
	    {THUMBPRINT, NULL, MESSAGE_TIME_NONE, MESSAGE_TIME_NONE, false, true},
	};
	struct status_license licenses[] = {
	    {.id = "1",
		.issuer = "i",
		.title = "A song",
		.limit = 4,
		.free = 2,
		.next = 7,
		.computers = computers,
		.computer_count = 2},
	    {.code = "license-malformed", .detail = "no licence", .next = MESSAGE_TIME_NONE},
	    {.id = "3", .issuer = "i", .limit = 1, .free = 1, .next = MESSAGE_TIME_NONE},
	    {.id = "4",
		.issuer = "i",
		.limit = 1,
		.next = MESSAGE_TIME_NONE,
		.computers = computers + 1,
		.computer_count = 1},
	};
	struct status_reply reply = {.licenses = licenses,
				.license_count = 4,
				.head = STATEMENT},
			    got = {0};
	struct buffer out = {0};

	(void)state;
	assert_int_equal(status_reply_write(&reply, &out, NULL), RH_OK);
	assert_int_equal(status_reply_read(&got, out.data, out.size, NULL), RH_OK);
	SAME(reply.head, got.head);
	assert_int_equal(got.license_count, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct status_license *a = &licenses[i], *b = &got.licenses[i];

		SAME(a->id, b->id);
		SAME(a->issuer, b->issuer);
		SAME(a->title, b->title);
		SAME(a->code, b->code);
		SAME(a->detail, b->detail);
		assert_int_equal(a->limit, b->limit);
		assert_int_equal(a->free, b->free);
		assert_true(a->next == b->next);
		assert_int_equal(a->computer_count, b->computer_count);
		for (size_t j = 0; j < a->computer_count; j++) {
			SAME(a->computers[j].computer, b->computers[j].computer);
			SAME(a->computers[j].name, b->computers[j].name);
			assert_true(a->computers[j].since == b->computers[j].since);
			assert_true(a->computers[j].releasing == b->computers[j].releasing);
			assert_int_equal(a->computers[j].original, b->computers[j].original);
			assert_int_equal(a->computers[j].you, b->computers[j].you);
		}
	}
	status_reply_free(&got);
	buffer_free(&out);
}

static void test_release(void **state)
{
	struct release_request request = {THUMBPRINT, STATEMENT, "d.e.f", true, NULL},
			       got = {0};
	struct buffer out = {0};

	(void)state;
	for (int i = 0; i < 2; i++) {
		buffer_clear(&out);
		assert_int_equal(release_request_write(&request, &out, NULL), RH_OK);
		assert_int_equal(release_request_read(&got, out.data, out.size, NULL), RH_OK);
		SAME(request.computer, got.computer);
		SAME(request.proof, got.proof);
		SAME(request.owner, got.owner);
		assert_int_equal(request.cancel, got.cancel);
		release_request_free(&got);
		request.owner = NULL;
		request.cancel = false;
	}
	for (int i = RELEASE_WAITING; i <= RELEASE_CANCELLED; i++) {
		struct release_reply reply = {THUMBPRINT, (enum release_state)i,
		    i == RELEASE_CANCELLED ? MESSAGE_TIME_NONE : 77, STATEMENT, NULL};
		struct release_reply reply_got = {0};

		buffer_clear(&out);
		assert_int_equal(release_reply_write(&reply, &out, NULL), RH_OK);
		assert_int_equal(
		    release_reply_read(&reply_got, out.data, out.size, NULL), RH_OK);
		SAME(reply.computer, reply_got.computer);
		assert_int_equal(reply.state, reply_got.state);
		assert_true(reply.effective == reply_got.effective);
		SAME(reply.head, reply_got.head);
		release_reply_free(&reply_got);
	}
	buffer_free(&out);
}

static void test_problem(void **state)
{
	struct problem_reply problem = {409, "ledger-rolled-back", "The ledger was put back",
				 "Ask \xc3\xbc", NULL},
			     got = {0};
	struct buffer out = {0};

	(void)state;
	assert_int_equal(problem_reply_write(&problem, &out, NULL), RH_OK);
	assert_int_equal(buffer_append(&out, "", 1, NULL), RH_OK);
	assert_string_equal((char *)out.data,
	    "{\"type\":\"urn:rehost:problem:ledger-rolled-back\","
	    "\"title\":\"The ledger was put back\",\"status\":409,\"detail\":\"Ask \xc3\xbc\","
	    "\"code\":\"ledger-rolled-back\"}");
	assert_int_equal(problem_reply_read(&got, out.data, out.size - 1, NULL), RH_OK);
	assert_int_equal(got.status, 409);
	SAME(problem.code, got.code);
	SAME(problem.title, got.title);
	SAME(problem.detail, got.detail);
	problem_reply_free(&got);
	buffer_free(&out);
}

static void test_paths(void **state)
{
	(void)state;
	assert_string_equal(message_paths[MESSAGE_KEYS], "/v1/keys");
	assert_string_equal(message_paths[MESSAGE_NONCE], "/v1/nonce");
	assert_string_equal(message_paths[MESSAGE_PRIVACY], "/v1/privacy");
	assert_string_equal(message_paths[MESSAGE_COMPUTERS], "/v1/computers");
	assert_string_equal(message_paths[MESSAGE_PLAN], "/v1/plan");
	assert_string_equal(message_paths[MESSAGE_COMMIT], "/v1/commit");
	assert_string_equal(message_paths[MESSAGE_LICENSES], "/v1/licenses");
	assert_string_equal(message_paths[MESSAGE_RELEASE], "/v1/release");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_computers),
	    cmocka_unit_test(test_restore_request),
	    cmocka_unit_test(test_restore_reply),
	    cmocka_unit_test(test_status_reply),
	    cmocka_unit_test(test_release),
	    cmocka_unit_test(test_problem),
	    cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
