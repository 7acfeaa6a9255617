#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#include "authority/session_call.h"

#define NANOSECONDS_A_MS 1000000
#define ANEW_MAX 2 /* times that a request is signed anew because the service asks for it */

/* The tries of one call. */
struct tries {
	uint64_t start; /* nanoseconds */
	int left; /* besides the one under way */
	int anew_left;
	long pause; /* milliseconds before the next */
	bool reached; /* there was a connection */
};

static bool stopped(const struct session *session)
{
	return session->setup.stop != NULL && session->setup.stop(session->setup.context) != 0;
}

static int canceled(rh_error *error)
{
	return error_set(error, RH_E_CANCELED, "the operation was canceled");
}

static long elapsed_ms(const struct tries *tries)
{
	return (long)((clock_monotonic() - tries->start) / NANOSECONDS_A_MS);
}

static int wait_ms(const struct session *session, long milliseconds, rh_error *error)
{
	while (milliseconds > 0 && !stopped(session)) {
		long step = milliseconds < SESSION_STOP_MS ? milliseconds : SESSION_STOP_MS;
		struct timespec time = {0, step * NANOSECONDS_A_MS};

		nanosleep(&time, NULL);
		milliseconds -= step;
	}
	return stopped(session) ? canceled(error) : RH_OK;
}

/* ---- What is sent ---- */

static const char *asked_at(const struct session *session)
{
	return session->setup.asked_at != NULL ? session->setup.asked_at
					       : session->setup.address;
}

/* ${base} and the path below it, with NUL. */
static int make_address(
    const char *base, enum message_path path, struct buffer *ret, rh_error *error)
{
	int code = buffer_append_text(ret, base, error);

	if (code == RH_OK)
		code = buffer_append_text(ret, message_paths[path], error);
	return code == RH_OK ? buffer_append(ret, "", 1, error) : code;
}

static int add_header(
    struct curl_slist **headers, const char *name, const char *value, rh_error *error)
{
	struct buffer line = {0};
	struct curl_slist *longer = NULL;
	int code = buffer_append_text(&line, name, error);

	if (code == RH_OK)
		code = buffer_append_text(&line, value, error);
	if (code == RH_OK)
		code = buffer_append(&line, "", 1, error);
	if (code == RH_OK) {
		longer = curl_slist_append(*headers, (const char *)line.data);
		code = longer != NULL ? RH_OK : error_memory(error);
	}
	if (code == RH_OK)
		*headers = longer;
	buffer_free(&line);
	return code;
}

static bool is_language(const char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;

	return length > 0 && length <= 64 &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789-") == length;
}

static int add_common(
    const struct session *session, struct curl_slist **headers, rh_error *error)
{
	int code = add_header(headers,
	    "Accept: application/json, application/jwk-set+json, "
	    "application/problem+json",
	    "", error);

	if (code == RH_OK && is_language(session->setup.language))
		code = add_header(headers, "Accept-Language: ", session->setup.language, error);
	return code;
}

/* Signs the body with the nonce that is at hand, which is spent by that. */
static int add_proof(struct session *session, enum message_path path, const struct buffer *body,
    struct curl_slist **headers, rh_error *error)
{
	struct buffer resource = {0};
	char *text = NULL;
	int code = make_address(session->setup.address, path, &resource, error);
	struct proof proof = {.method = "POST",
	    .address = (const char *)resource.data,
	    .time = clock_now() + session->ahead,
	    .nonce = session->nonce,
	    .certificate = path == MESSAGE_COMPUTERS ? NULL : session->certificate};

	if (code == RH_OK)
		code = proof_sign(
		    session->setup.key, &proof, body->data, body->size, &text, error);
	session->nonce[0] = '\0';
	if (code == RH_OK)
		code = add_header(headers, "Content-Type: application/json", "", error);
	if (code == RH_OK)
		code = add_header(headers, "Expect:", "", error);
	if (code == RH_OK)
		code = add_header(headers, "Rehost-Proof: ", text, error);
	free(text);
	buffer_free(&resource);
	return code;
}

/* ---- One exchange ---- */

static void progress(
    struct session *session, enum session_http http, uint64_t read, uint64_t total)
{
	struct session_progress *now = &session->progress;

	if (now->http == http && now->read == read && now->total == total)
		return;
	now->http = http;
	now->read = read;
	now->total = total;
	if (session->setup.progress != NULL)
		session->setup.progress(session->setup.context, now);
}

static int stop(void *context)
{
	const struct session *session = context;

	return stopped(session);
}

static void watch(void *context, enum exchange_stage stage, uint64_t read, uint64_t total)
{
	static const enum session_http stages[] = {[EXCHANGE_CONNECTS] = SESSION_CONNECTING,
	    [EXCHANGE_ASKS] = SESSION_REQUESTING,
	    [EXCHANGE_RECEIVES] = SESSION_RECEIVING};

	progress(context, stages[stage], read, total);
}

/* How long a connection may take: while none ever came about, all tries share a short time. */
static long connect_ms(const struct tries *tries)
{
	long left = SESSION_UNREACHED_MS - elapsed_ms(tries);

	if (tries->reached || left > SESSION_CONNECT_MS)
		return SESSION_CONNECT_MS;
	return left > 1 ? left : 1;
}

static int run(struct session *session, enum message_path path, const struct buffer *body,
    const struct curl_slist *headers, struct tries *tries, enum verdict *ret, rh_error *error)
{
	struct buffer resource = {0};
	struct address address = {0};
	struct exchange_request request = {.address = &address,
	    .headers = headers,
	    .body = body != NULL ? body->data : NULL,
	    .body_size = body != NULL ? body->size : 0,
	    .limit = path == MESSAGE_KEYS ? JOSE_SET_MAX : SESSION_REPLY_MAX,
	    .all_bodies = true,
	    .connect_ms = connect_ms(tries),
	    .total_ms =
		session->setup.request_ms > 0 ? session->setup.request_ms : SESSION_REQUEST_MS,
	    .stop = stop,
	    .watch = watch,
	    .context = session,
	    .stop_ms = SESSION_STOP_MS};
	enum exchange_end end;
	int code = make_address(asked_at(session), path, &resource, error);

	*ret = VERDICT_OVER;
	if (code == RH_OK)
		code = address_read(&address, (const char *)resource.data, error);
	if (code == RH_OK) {
		progress(session, SESSION_CONNECTING, 0, 0);
		end = exchange_run(&session->exchange, &request);
		tries->reached = tries->reached || end != EXCHANGE_UNREACHED;
		if (end == EXCHANGE_DONE) {
			session->progress.requests++;
			progress(session, SESSION_COMPLETED, session->exchange.body.size,
			    session->exchange.body.size);
		}
		code = session_judge(session, &request, path, end, ret, &tries->pause, error);
	}
	address_free(&address);
	buffer_free(&resource);
	return code;
}

static int get(struct session *session, enum message_path path, struct tries *tries,
    enum verdict *ret, rh_error *error)
{
	struct curl_slist *headers = NULL;
	int code = add_common(session, &headers, error);

	*ret = VERDICT_OVER;
	if (code == RH_OK)
		code = run(session, path, NULL, headers, tries, ret, error);
	curl_slist_free_all(headers);
	return code;
}

static int post(struct session *session, const struct call *call, struct buffer *body,
    struct tries *tries, enum verdict *ret, rh_error *error)
{
	struct curl_slist *headers = NULL;
	int code = RH_OK;

	*ret = VERDICT_OVER;
	if (session->nonce[0] == '\0') {
		code = get(session, MESSAGE_NONCE, tries, ret, error);
		if (code != RH_OK)
			return code;
	}
	if (call->afresh)
		buffer_clear(body);
	if (body->size == 0)
		code = call->write(session, call->context, body, error);
	if (code == RH_OK)
		code = add_common(session, &headers, error);
	if (code == RH_OK)
		code = add_proof(session, call->path, body, &headers, error);
	if (code == RH_OK)
		code = run(session, call->path, body, headers, tries, ret, error);
	curl_slist_free_all(headers);
	return code;
}

/* ---- All tries ---- */

/* Whether there is another one; waits for it. */
static bool goes_on(struct session *session, struct tries *tries, enum verdict verdict,
    long *pause, int *code, rh_error *error)
{
	if (verdict == VERDICT_ANEW)
		return tries->anew_left-- > 0;
	if (verdict != VERDICT_AGAIN || tries->left-- == 0)
		return false;
	if (tries->pause < *pause)
		tries->pause = *pause;
	*pause *= 2;
	if (!tries->reached && elapsed_ms(tries) + tries->pause >= SESSION_UNREACHED_MS)
		return false;
	*code = wait_ms(session, tries->pause, error);
	return *code == RH_OK;
}

int session_call(struct session *session, const struct call *call, rh_error *error)
{
	struct tries tries = {
	    .start = clock_monotonic(), .left = SESSION_TRIES - 1, .anew_left = ANEW_MAX};
	struct buffer body = {0};
	enum verdict verdict;
	long pause = SESSION_PAUSE_MS;
	int code = stopped(session) ? canceled(error) : RH_OK;

	session->problem[0] = '\0';
	if (code != RH_OK)
		return code;
	if (call->write != NULL && call->path != MESSAGE_COMPUTERS &&
	    session->certificate == NULL)
		return error_set(error, RH_E_INDIVIDUALIZE,
		    "this computer has no certificate of the service yet");
	do {
		tries.pause = 0;
		code = call->write != NULL ? post(session, call, &body, &tries, &verdict, error)
					   : get(session, call->path, &tries, &verdict, error);
	} while (code != RH_OK && goes_on(session, &tries, verdict, &pause, &code, error));
	if (code == RH_OK)
		error_clear(error);
	buffer_free(&body);
	return code;
}
