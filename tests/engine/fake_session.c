#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

#include "failing.h"
#include "fake_session.h"

struct fake fake;

static struct jose_key *keys[4]; /* signs, is sealed for, signs later, a stranger's */

struct session {
	struct session_setup setup;
	char *certificate;
	char *head;
};

int __wrap_session_open(
    const struct session_setup *setup, struct session **ret, rh_error *error);
void __wrap_session_close(struct session *session);
int __wrap_session_connect(struct session *session, rh_error *error);
int __wrap_session_individualize(struct session *session,
    const struct computers_request *request, struct computers_reply *ret, rh_error *error);
int __wrap_session_status(struct session *session, struct restore_request *request,
    struct status_reply *ret, rh_error *error);
int __wrap_session_release(struct session *session, const struct jose_key *release_key,
    struct release_request *request, struct release_reply *ret, rh_error *error);
int __wrap_session_set_certificate(
    struct session *session, const char *certificate, rh_error *error);
const char *__wrap_session_head(const struct session *session);
int __wrap_session_fetch_keys(const char *asked_at, int (*stop)(void *context), void *context,
    struct buffer *ret, rh_error *error);

void fake_open(void)
{
	uint8_t secret[KEY_SIZE];

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		assert_int_equal(jose_key_generate(&keys[i], secret, NULL), RH_OK);
	fake_clear();
}

void fake_close(void)
{
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		jose_key_free(keys[i]);
}

void fake_clear(void)
{
	fake = (struct fake){.seq = 1, .refused_from = -1, .effective = RH_TIME_NONE};
}

/* ---- Keys ---- */

static void add_key(char *text, size_t size, size_t key, const char *id, const char *use)
{
	const char *jwk = jose_key_jwk(keys[key]);
	size_t length = strlen(text);

	snprintf(text + length, size - length, "%s{\"kid\":\"%s\",\"use\":\"%s\",%s",
	    text[length - 1] == '[' ? "" : ",", id, use, jwk + 1);
}

int __wrap_session_fetch_keys(const char *asked_at, int (*stop)(void *context), void *context,
    struct buffer *ret, rh_error *error)
{
	char text[4096];
	bool strange = fake.set == FAKE_STRANGERS;

	fake.fetches++;
	snprintf(fake.asked_at, sizeof fake.asked_at, "%s", asked_at);
	if (stop != NULL && stop(context))
		return error_set(error, RH_E_CANCELED, "canceled");
	if (fake.hook != NULL)
		fake.hook(fake.hook_context);
	if (fake.fetch != RH_OK)
		return error_set(error, fake.fetch, "no keys today");
	snprintf(text, sizeof text, "{\"service\":\"%s\",\"keys\":[",
	    fake.set == FAKE_OTHERS_NAME ? "https://other.example" : FAKE_SERVICE);
	add_key(text, sizeof text, strange ? 3 : 0, "s1", "sig");
	add_key(text, sizeof text, strange ? 2 : 1, "e1", "enc");
	if (fake.set == FAKE_ROTATED)
		add_key(text, sizeof text, 2, "s2", "sig");
	if (fake.set != FAKE_RUBBISH)
		snprintf(text + strlen(text), sizeof text - strlen(text), "]}");
	buffer_clear(ret);
	return buffer_append_text(ret, text, error);
}

/* ---- The session ---- */

static char *copy(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

int __wrap_session_open(
    const struct session_setup *setup, struct session **ret, rh_error *error)
{
	struct session *session = calloc(1, sizeof *session);

	if (session == NULL)
		return error_memory(error);
	fake.opens++;
	session->setup = *setup;
	session->certificate = copy(setup->certificate);
	session->head = copy(setup->head);
	if ((setup->certificate != NULL && session->certificate == NULL) ||
	    (setup->head != NULL && session->head == NULL)) {
		__wrap_session_close(session);
		return error_memory(error);
	}
	snprintf(fake.address, sizeof fake.address, "%s", setup->address);
	snprintf(fake.computer, sizeof fake.computer, "%s", jose_key_thumbprint(setup->key));
	snprintf(fake.certificate, sizeof fake.certificate, "%s",
	    setup->certificate != NULL ? setup->certificate : "");
	snprintf(fake.head, sizeof fake.head, "%s", setup->head != NULL ? setup->head : "");
	*ret = session;
	return RH_OK;
}

void __wrap_session_close(struct session *session)
{
	if (session == NULL)
		return;
	fake.closes++;
	free(session->certificate);
	free(session->head);
	free(session);
}

int __wrap_session_set_certificate(
    struct session *session, const char *certificate, rh_error *error)
{
	char *made = strdup(certificate);

	if (made == NULL)
		return error_memory(error);
	free(session->certificate);
	session->certificate = made;
	return RH_OK;
}

const char *__wrap_session_head(const struct session *session)
{
	return session->head;
}

/* What is common to all: progress, a cancel, an unknown key, the next head. */
static int exchange(struct session *session, int code, rh_error *error)
{
	struct session_progress progress = {.requests = 1, .total = 500};
	struct head head = {.seq = fake.seq, .time = 1, .resolved = fake.resolved};
	char *text = NULL;

	for (int http = SESSION_CONNECTING; http <= SESSION_COMPLETED; http++) {
		progress.http = (enum session_http)http;
		progress.read = http == SESSION_COMPLETED ? 500 : 0;
		if (session->setup.progress != NULL)
			session->setup.progress(session->setup.context, &progress);
		if (session->setup.stop(session->setup.context))
			return error_set(error, RH_E_CANCELED, "canceled");
	}
	if (fake.unknown_key > 0) {
		fake.unknown_key--;
		return error_set(error, RH_E_SERVICE_KEYS, "an unknown key");
	}
	if (code != RH_OK)
		return error_set(error, code, "the test said so");
	code = head_sign(keys[0], FAKE_SERVICE, &head, &text, error);
	if (code != RH_OK)
		return code;
	free(session->head);
	session->head = text;
	return RH_OK;
}

int __wrap_session_connect(struct session *session, rh_error *error)
{
	fake.connects++;
	if (session->setup.stop(session->setup.context))
		return error_set(error, RH_E_CANCELED, "canceled");
	if (fake.connect != RH_OK)
		return error_set(error, fake.connect, "the test said so");
	return RH_OK;
}

int __wrap_session_individualize(struct session *session,
    const struct computers_request *request, struct computers_reply *ret, rh_error *error)
{
	static const char json[] =
	    "{\"certificate\":\"a.certificate.x\",\"head\":\"a.head.x\"}";
	int code;

	fake.individualizations++;
	snprintf(
	    fake.computer, sizeof fake.computer, "%s", jose_key_thumbprint(session->setup.key));
	snprintf(fake.name, sizeof fake.name, "%s", request->name != NULL ? request->name : "");
	snprintf(fake.release_thumbprint, sizeof fake.release_thumbprint, "%s",
	    request->release != NULL ? request->release : "");
	code = exchange(session, fake.individualize, error);
	return code == RH_OK ? computers_reply_read(ret, json, sizeof json - 1, error) : code;
}

static void see_claim(const struct session *session, const char *claim)
{
	fake.claimed_by[0] = '\0';
	if (claim == NULL)
		return;
	fake.claims++;
	failing_pause();
	assert_int_equal(claim_check(claim, FAKE_SERVICE,
			     jose_key_thumbprint(session->setup.key), fake.claimed_by, NULL),
	    RH_OK);
	failing_resume();
}

static int status_text(size_t count, struct buffer *ret, rh_error *error)
{
	char text[1024];
	int code = buffer_append_text(ret, "{\"head\":\"a.head.x\",\"licenses\":[", error);

	for (size_t i = 0; i < count && code == RH_OK; i++) {
		size_t number = fake.licenses++;

		snprintf(text, sizeof text,
		    "%s{\"id\":\"%s-%05zu\",\"issuer\":\"https://issuer.example\",",
		    i > 0 ? "," : "", fake.others ? "other" : "m", number);
		if (fake.refused_from >= 0 && number >= (size_t)fake.refused_from)
			strcat(
			    text, "\"code\":\"license-unknown\",\"detail\":\"never heard\"}");
		else
			snprintf(text + strlen(text), sizeof text - strlen(text),
			    "\"title\":\"t\",\"limit\":4,\"free\":2,\"next\":7000,"
			    "\"computers\":["
			    "{\"computer\":\"%s\",\"name\":\"desk\",\"since\":5000,"
			    "\"original\":false,\"you\":true},{\"computer\":\"" FAKE_ANOTHER
			    "\",\"since\":4000,\"original\":true,\"you\":false,"
			    "\"releasing\":9000}]}",
			    fake.computer);
		code = buffer_append_text(ret, text, error);
	}
	return code == RH_OK ? buffer_append_text(ret, "]}", error) : code;
}

int __wrap_session_status(struct session *session, struct restore_request *request,
    struct status_reply *ret, rh_error *error)
{
	struct buffer json = {0};
	int code;

	fake.statuses++;
	assert_int_equal(request->path, MESSAGE_LICENSES);
	see_claim(session, request->claim);
	if (request->license_count > fake.most)
		fake.most = request->license_count;
	for (size_t i = 0; i < request->license_count; i++)
		assert_true(request->licenses[i].document_size > 100);
	code = exchange(session, fake.status, error);
	if (code == RH_OK)
		code = status_text(request->license_count - fake.half, &json, error);
	if (code == RH_OK)
		code = status_reply_read(ret, json.data, json.size, error);
	buffer_free(&json);
	return code;
}

int __wrap_session_release(struct session *session, const struct jose_key *release_key,
    struct release_request *request, struct release_reply *ret, rh_error *error)
{
	static const char *const states[] = {"waiting", "released", "cancelled"};
	char json[300], thumbprint[JOSE_THUMBPRINT_SIZE];
	int code;

	fake.releases++;
	snprintf(fake.lost, sizeof fake.lost, "%s", request->computer);
	snprintf(
	    fake.released_by, sizeof fake.released_by, "%s", jose_key_thumbprint(release_key));
	fake.owner_key[0] = '\0';
	if (request->owner != NULL) {
		failing_pause();
		assert_int_equal(
		    owner_check(request->owner, FAKE_SERVICE, fake.owner_key, thumbprint, NULL),
		    RH_OK);
		assert_string_equal(thumbprint, fake.released_by);
		failing_resume();
	}
	fake.cancel = request->cancel;
	code = exchange(session, fake.release, error);
	if (code != RH_OK)
		return code;
	snprintf(json, sizeof json,
	    "{\"computer\":\"%s\",\"state\":\"%s\",\"effective\":%lld,\"head\":\"a.head.x\"}",
	    request->computer, states[fake.state],
	    (long long)(fake.effective == RH_TIME_NONE ? 0 : fake.effective));
	return release_reply_read(ret, json, strlen(json), error);
}
