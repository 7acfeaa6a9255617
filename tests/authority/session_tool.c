#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "authority/session.h"
#include "base/text.h"
#include "failing.h"

/*
 * usage: session-tool < SCRIPT: plays a script of calls in one session and prints a JSON list
 * with what each came to.  test_session.py writes the scripts.
 */

/* One call of the script, and how it is to be stopped. */
struct play {
	const json_t *script;
	const char *stop_at; /* name of a state of the exchange, or "" for none */
	int stop_behind; /* questions in that state */
	int asked; /* so often whether to stop */
	int asked_there;
	enum session_http http;
	json_t *seen; /* progress, without what is the same */
};

static const char *const states[] = {
    "idle", "connecting", "requesting", "receiving", "completed"};

/* A lookup that takes longer than anybody waits: REHOST_TEST_LOOKUP is its seconds. */
__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
    const struct addrinfo *hints, struct addrinfo **result)
{
	const char *seconds = getenv("REHOST_TEST_LOOKUP");
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
	    NULL;
	void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");

	if (seconds != NULL)
		sleep((unsigned)strtoul(seconds, NULL, 10));
	memcpy(&real, &symbol, sizeof real);
	return real(name, service, hints, result);
}

static const char *text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static void die(const char *why)
{
	fprintf(stderr, "session-tool: %s\n", why);
	exit(2);
}

static int stop(void *context)
{
	struct play *play = context;

	play->asked++;
	if (*play->stop_at == '\0' || strcmp(play->stop_at, states[play->http]) != 0)
		return 0;
	return ++play->asked_there > play->stop_behind;
}

static void progress(void *context, const struct session_progress *now)
{
	struct play *play = context;
	size_t count = json_array_size(play->seen);
	const char *last =
	    count > 0 ? json_string_value(json_array_get(play->seen, count - 1)) : "";

	play->http = now->http;
	failing_pause();
	if (strcmp(last, states[now->http]) != 0)
		json_array_append_new(play->seen, json_string(states[now->http]));
	failing_resume();
}

/* ---- The calls ---- */

static int individualize(
    struct session *session, const json_t *script, json_t *ret, rh_error *error)
{
	struct computers_request request = {
	    .name = text(script, "name"), .release = text(script, "release")};
	struct computers_reply reply;
	int code = session_individualize(session, &request, &reply, error);

	if (code != RH_OK)
		return code;
	code = session_set_certificate(session, reply.certificate, error);
	failing_pause();
	json_object_set_new(ret, "certificate", json_string(reply.certificate));
	failing_resume();
	computers_reply_free(&reply);
	return code;
}

static struct request_license *licenses(const json_t *script, size_t *ret_count)
{
	const json_t *list = json_object_get(script, "licenses");
	size_t count = json_array_size(list);
	struct request_license *made = __real_calloc(count, sizeof *made);

	if (made == NULL)
		die("no memory");
	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_array_get(list, i);

		made[i].document = text(one, "document");
		made[i].document_size = strlen(made[i].document);
		made[i].secret = text(one, "secret");
		made[i].secret_size = made[i].secret != NULL ? strlen(made[i].secret) : 0;
	}
	*ret_count = count;
	return made;
}

static void show_restore(const struct restore_reply *reply, json_t *ret)
{
	json_t *list = json_array();

	for (size_t i = 0; i < reply->license_count; i++) {
		const struct reply_license *license = &reply->licenses[i];

		json_array_append_new(
		    list, json_pack("{s:s*,s:i,s:i,s:i,s:s*}", "id", license->id, "result",
			      (int)license->result, "computers", (int)license->computers,
			      "limit", (int)license->limit, "code", license->code));
	}
	json_object_set_new(ret, "licenses", list);
}

static int leaves(
    const struct restore_reply *reply, const json_t *script, json_t *ret, rh_error *error)
{
	uint8_t(*made)[DIGEST_SIZE] = NULL;
	size_t count = 0;
	json_t *list;
	int code = session_leaves(reply, text(script, "computer"), &made, &count, error);

	failing_pause();
	list = json_array();
	for (size_t i = 0; i < count && code == RH_OK; i++) {
		char hex[2 * DIGEST_SIZE + 1];

		text_hex(hex, made[i], DIGEST_SIZE);
		json_array_append_new(list, json_string(hex));
	}
	json_object_set_new(ret, "leaves", list);
	failing_resume();
	free(made);
	return code;
}

static int restore(struct session *session, const json_t *script, json_t *ret, rh_error *error)
{
	struct restore_request request = {
	    .path = strcmp(text(script, "call"), "plan") == 0 ? MESSAGE_PLAN : MESSAGE_COMMIT,
	    .idempotency_key = text(script, "idempotency_key"),
	    .key = text(script, "key")};
	struct restore_reply reply;
	int code;

	request.licenses = licenses(script, &request.license_count);
	code = session_restore(session, &request, &reply, error);
	if (code == RH_OK) {
		failing_pause();
		show_restore(&reply, ret);
		failing_resume();
		if (request.path == MESSAGE_COMMIT)
			code = leaves(&reply, script, ret, error);
		restore_reply_free(&reply);
	}
	free(request.licenses);
	return code;
}

static int status(struct session *session, const json_t *script, json_t *ret, rh_error *error)
{
	struct restore_request request = {0};
	struct status_reply reply;
	int code;

	request.licenses = licenses(script, &request.license_count);
	code = session_status(session, &request, &reply, error);
	if (code == RH_OK) {
		failing_pause();
		json_object_set_new(
		    ret, "licenses", json_integer((json_int_t)reply.license_count));
		failing_resume();
		status_reply_free(&reply);
	}
	free(request.licenses);
	return code;
}

static int release(struct session *session, const json_t *script, json_t *ret, rh_error *error)
{
	struct release_request request = {.computer = text(script, "computer"),
	    .cancel = json_is_true(json_object_get(script, "cancel"))};
	struct release_reply reply;
	struct jose_key *key = NULL;
	uint8_t secret[KEY_SIZE];
	int code;

	failing_pause();
	if (!text_unhex(text(script, "secret"), secret, sizeof secret) ||
	    jose_key_private(secret, &key, error) != RH_OK)
		die("release key");
	failing_resume();
	code = session_release(session, key, &request, &reply, error);
	if (code == RH_OK) {
		failing_pause();
		json_object_set_new(ret, "state", json_integer(reply.state));
		failing_resume();
		release_reply_free(&reply);
	}
	jose_key_free(key);
	return code;
}

static int keys(struct play *play, json_t *ret, rh_error *error)
{
	struct buffer body = {0};
	int code = session_fetch_keys(text(play->script, "address"), stop, play, &body, error);

	if (code == RH_OK)
		json_object_set_new(
		    ret, "keys", json_stringn((const char *)body.data, body.size));
	buffer_free(&body);
	return code;
}

static int call(struct session *session, struct play *play, json_t *ret, rh_error *error)
{
	const char *name = text(play->script, "call");

	if (strcmp(name, "connect") == 0)
		return session_connect(session, error);
	if (strcmp(name, "individualize") == 0)
		return individualize(session, play->script, ret, error);
	if (strcmp(name, "status") == 0)
		return status(session, play->script, ret, error);
	if (strcmp(name, "release") == 0)
		return release(session, play->script, ret, error);
	if (strcmp(name, "keys") == 0)
		return keys(play, ret, error);
	return restore(session, play->script, ret, error);
}

/* ---- The script ---- */

static void start(struct play *play, const json_t *script)
{
	const json_t *state = json_object_get(script, "stop_at");

	json_decref(play->seen);
	*play = (struct play){.script = script,
	    .stop_at = json_is_string(state) ? json_string_value(state) : "",
	    .stop_behind = (int)json_integer_value(json_object_get(script, "stop_behind")),
	    .seen = json_array()};
}

static json_t *finish(const struct play *play, const struct session *session, json_t *result,
    int code, const rh_error *error)
{
	json_object_set_new(result, "code", json_string(rh_code_name(code)));
	json_object_set_new(result, "text", json_string(code == RH_OK ? "" : error->text));
	json_object_set_new(result, "asked", json_integer(play->asked));
	json_object_set(result, "progress", play->seen);
	if (session != NULL && session_head(session) != NULL)
		json_object_set_new(result, "head", json_string(session_head(session)));
	if (session != NULL) {
		json_object_set_new(result, "problem", json_string(session_problem(session)));
		json_object_set_new(result, "privacy", json_string(session_privacy(session)));
	}
	return result;
}

static json_t *play_all(const struct session_setup *setup, struct play *play, json_t *calls)
{
	struct session *session = NULL;
	rh_error error = {0};
	json_t *results = json_array();
	json_t *one;
	size_t i;
	int code = session_open(setup, &session, &error);

	if (code != RH_OK)
		json_array_append_new(results, finish(play, NULL, json_object(), code, &error));
	json_array_foreach(calls, i, one)
	{
		json_t *result = json_object();

		if (session == NULL) {
			json_decref(result);
			break;
		}
		start(play, one);
		error = (rh_error){0};
		code = call(session, play, result, &error);
		json_array_append_new(results, finish(play, session, result, code, &error));
	}
	session_close(session);
	return results;
}

/* One session; what ended it. */
static int play_until(const struct session_setup *setup, struct play *play, json_t *calls)
{
	struct session *session = NULL;
	rh_error error = {0};
	json_t *one, *result = NULL;
	size_t i;
	int code = session_open(setup, &session, &error);

	failing_pause();
	result = json_object();
	json_array_foreach(calls, i, one)
	{
		if (code != RH_OK)
			break;
		start(play, one);
		failing_resume();
		code = call(session, play, result, &error);
		failing_pause();
	}
	json_decref(result);
	session_close(session);
	if (code != RH_OK && (error.code != code || *error.text == '\0'))
		die("a failure without words");
	return code;
}

/* Lets each allocation of a session with these calls fail; how often what came of it. */
static json_t *play_failing(const struct session_setup *setup, struct play *play, json_t *calls,
    void (*fail)(size_t n), bool hooks)
{
	json_t *counts = json_object();
	const char *name = NULL;

	if (hooks)
		json_set_alloc_funcs(__wrap_malloc, free);
	for (size_t n = 1;; n++) {
		int code;

		fail(n);
		code = play_until(setup, play, calls);
		failing_stop();
		name = rh_code_name(code);
		if (!failing_happened())
			break;
		json_object_set_new(counts, name,
		    json_integer(json_integer_value(json_object_get(counts, name)) + 1));
	}
	json_set_alloc_funcs(malloc, free);
	json_object_set_new(counts, "last", json_string(name));
	return counts;
}

/*
 * Our own allocations one by one; then with those of jansson, all behind the first that fails
 * (jansson 2.14 may write behind the end of its own memory if only one fails: jsontext.c);
 * then, if asked for, those of curl.
 */
static json_t *play_all_failing(
    const struct session_setup *setup, struct play *play, const json_t *script)
{
	json_t *calls = json_object_get(script, "calls");
	json_t *results = json_array();

	if (strcmp(text(script, "failing"), "curl") == 0) {
		json_array_append_new(
		    results, play_failing(setup, play, calls, failing_nth, false));
		json_array_append_new(
		    results, play_failing(setup, play, calls, failing_from, false));
		return results;
	}
	json_array_append_new(results, play_failing(setup, play, calls, failing_nth, false));
	json_array_append_new(results, play_failing(setup, play, calls, failing_from, true));
	return results;
}

int main(void)
{
	json_t *script = json_loadf(stdin, 0, NULL);
	json_t *results;
	struct jose_set set = {0};
	struct jose_key *key = NULL;
	struct play play = {.stop_at = "", .seen = json_array()};
	uint8_t secret[KEY_SIZE];
	rh_error error;
	struct session_setup setup = {.address = text(script, "address"),
	    .asked_at = text(script, "asked_at"),
	    .keys = &set,
	    .certificate = text(script, "certificate"),
	    .head = text(script, "head"),
	    .stop = stop,
	    .progress = progress,
	    .context = &play,
	    .request_ms = (long)json_integer_value(json_object_get(script, "request_ms")),
	    .language = text(script, "language")};
	const char *keys_text = text(script, "keys");

	if (!text_unhex(text(script, "secret"), secret, sizeof secret) ||
	    jose_key_private(secret, &key, &error) != RH_OK)
		die("secret");
	if (jose_set_read(&set, keys_text, strlen(keys_text), "service", &error) != RH_OK)
		die(error.text);
	setup.key = key;
	if (text(script, "failing") != NULL && strcmp(text(script, "failing"), "curl") == 0 &&
	    curl_global_init_mem(CURL_GLOBAL_DEFAULT, __wrap_malloc, free, __wrap_realloc,
		__wrap_strdup, __wrap_calloc) != CURLE_OK)
		die("curl");
	if (text(script, "failing") != NULL)
		results = play_all_failing(&setup, &play, script);
	else
		results = play_all(&setup, &play, json_object_get(script, "calls"));
	json_dumpf(results, stdout, JSON_COMPACT);
	json_decref(results);
	json_decref(play.seen);
	jose_key_free(key);
	jose_set_free(&set);
	json_decref(script);
	return 0;
}
