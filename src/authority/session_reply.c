#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/text.h"

#include "authority/session_call.h"

#define TITLE_SIZE 260 /* bytes of words that are quoted, with NUL */
#define DETAIL_SIZE 460

/* ---- The headers ---- */

static void take_nonce(struct session *session)
{
	const char *nonce = exchange_header(&session->exchange, "Rehost-Nonce");
	size_t length = nonce != NULL ? strlen(nonce) : 0;

	if (length == 0 || length > MESSAGE_NONCE_MAX)
		return;
	for (size_t i = 0; i < length; i++) {
		if (nonce[i] < '!' || nonce[i] > '~')
			return;
	}
	memcpy(session->nonce, nonce, length + 1);
}

static void take_clock(struct session *session)
{
	const char *date = exchange_header(&session->exchange, "Date");
	time_t time = date != NULL ? curl_getdate(date, NULL) : -1;

	if (time > 0)
		session->ahead = time - clock_now();
}

/* Milliseconds that the service wants to be left alone; 0 if it does not say. */
static long retry_after(const struct session *session)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(session->exchange.curl, CURLINFO_RETRY_AFTER, &seconds);
	if (seconds <= 0)
		return 0;
	return seconds < SESSION_RETRY_AFTER_MS / 1000 ? (long)seconds * 1000
						       : SESSION_RETRY_AFTER_MS;
}

/* Whether the reply is of this media type, whatever its parameters are. */
static bool is_type(const struct session *session, const char *type)
{
	const char *text = exchange_header(&session->exchange, "Content-Type");
	size_t length = strlen(type);

	if (text == NULL || strncasecmp(text, type, length) != 0)
		return false;
	text += length + strspn(text + length, " \t");
	return *text == '\0' || *text == ';';
}

/* ---- Refusals ---- */

/* Copies what a service says, for one line within a sentence. */
static void copy_words(char *target, size_t size, const char *words)
{
	size_t length;

	text_copy(target, size, words != NULL ? words : "", words != NULL ? strlen(words) : 0);
	length = strlen(target);
	while (length > 0 && (target[length - 1] == ' ' || target[length - 1] == '.'))
		target[--length] = '\0';
}

static int refused(const struct exchange_request *request, const struct problem_reply *problem,
    int code, rh_error *error)
{
	char title[TITLE_SIZE], detail[DETAIL_SIZE];

	copy_words(title, sizeof title, problem->title);
	copy_words(detail, sizeof detail, problem->detail);
	return error_set(error, code, "%.200s refuses: %s%s%s", request->address->host,
	    *title != '\0' ? title : problem->code, *detail != '\0' ? ": " : "", detail);
}

/* What a problem means; ${ret_verdict} for those that are no failure yet. */
static int meaning(
    const char *problem, long status, enum message_path path, enum verdict *ret_verdict)
{
	static const struct {
		const char *problem;
		int code;
		enum verdict verdict;
	} known[] = {{"ledger-rolled-back", RH_E_SERVICE_ROLLED_BACK, VERDICT_OVER},
	    {"nonce-unknown", RH_E_SERVICE_REFUSED, VERDICT_ANEW},
	    {"nonce-used", RH_E_SERVICE_REFUSED, VERDICT_ANEW},
	    {"proof-stale", RH_E_SERVICE_REFUSED, VERDICT_ANEW},
	    {"certificate-missing", RH_E_INDIVIDUALIZE, VERDICT_OVER},
	    {"certificate-invalid", RH_E_INDIVIDUALIZE, VERDICT_OVER}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(problem, known[i].problem) == 0) {
			*ret_verdict = known[i].verdict;
			return known[i].code;
		}
	}
	if (status >= 500 || status == 429) {
		*ret_verdict = VERDICT_AGAIN;
		return RH_E_SERVICE_UNAVAILABLE;
	}
	return path == MESSAGE_COMPUTERS ? RH_E_INDIVIDUALIZE_FAILED : RH_E_SERVICE_REFUSED;
}

/* A reply that is not the good one. */
static int judge_status(struct session *session, const struct exchange_request *request,
    enum message_path path, enum verdict *ret, rh_error *error)
{
	const struct buffer *body = &session->exchange.body;
	struct problem_reply problem = {0};
	long status = exchange_status(&session->exchange);
	bool later = status >= 500 || status == 429;
	int code = RH_E_LICENSE_INVALID;

	if (status >= 400 && is_type(session, "application/problem+json"))
		code = problem_reply_read(&problem, body->data, body->size, NULL);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK) {
		*ret = later ? VERDICT_AGAIN : VERDICT_OVER;
		return error_set(error, later ? RH_E_SERVICE_UNAVAILABLE : RH_E_SERVICE_REPLY,
		    "%.200s answers with the status %ld", request->address->host, status);
	}
	text_copy(
	    session->problem, sizeof session->problem, problem.code, strlen(problem.code));
	code = meaning(problem.code, status, path, ret);
	if (*ret == VERDICT_ANEW)
		take_clock(session);
	code = refused(request, &problem, code, error);
	problem_reply_free(&problem);
	return code;
}

/* ---- One try ---- */

static int judge_good(const struct session *session, const struct exchange_request *request,
    enum message_path path, rh_error *error)
{
	if (path == MESSAGE_NONCE)
		return session->nonce[0] != '\0'
			   ? RH_OK
			   : error_set(error, RH_E_SERVICE_REPLY, "%.200s gives no nonce",
				 request->address->host);
	if (is_type(session, "application/json") ||
	    (path == MESSAGE_KEYS && is_type(session, "application/jwk-set+json")))
		return RH_OK;
	return error_set(error, RH_E_SERVICE_REPLY,
	    "%.200s answers with something else than JSON", request->address->host);
}

int session_judge(struct session *session, const struct exchange_request *request,
    enum message_path path, enum exchange_end end, enum verdict *ret, long *ret_pause,
    rh_error *error)
{
	static const int codes[] = {[EXCHANGE_UNREACHED] = RH_E_SERVICE_UNAVAILABLE,
	    [EXCHANGE_LATE] = RH_E_SERVICE_UNAVAILABLE,
	    [EXCHANGE_BROKEN] = RH_E_SERVICE_UNAVAILABLE,
	    [EXCHANGE_UNPROVEN] = RH_E_SERVICE_CERTIFICATE,
	    [EXCHANGE_LARGE] = RH_E_SERVICE_REPLY,
	    [EXCHANGE_RUBBISH] = RH_E_SERVICE_REPLY};
	long good = path == MESSAGE_NONCE ? 204 : 200;
	int code;

	*ret = VERDICT_OVER;
	if (end != EXCHANGE_DONE) {
		code = exchange_explain(&session->exchange, request, end, codes[end], error);
		if (code == RH_E_SERVICE_UNAVAILABLE)
			*ret = VERDICT_AGAIN;
		return code;
	}
	take_nonce(session);
	if (exchange_status(&session->exchange) == good)
		return judge_good(session, request, path, error);
	code = judge_status(session, request, path, ret, error);
	if (*ret == VERDICT_AGAIN)
		*ret_pause = retry_after(session);
	return code;
}

/* ---- What the service signed ---- */

int session_unusable(const struct session *session, const char *what, int code,
    const rh_error *why, rh_error *error)
{
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code == RH_E_INTERNAL)
		return error_set(error, code, "%.400s", why->text);
	return error_set(error,
	    code == RH_E_LICENSE_ISSUER ? RH_E_SERVICE_KEYS : RH_E_SERVICE_REPLY,
	    "%s of the service %.300s cannot be used: %.400s", what, session->setup.address,
	    why->text);
}

int session_keep_head(struct session *session, const char *text, rh_error *error)
{
	struct head head;
	rh_error why = {0};
	char *copy;
	int code = head_check(text, session->setup.keys, session->setup.address, &head, &why);

	if (code != RH_OK)
		return session_unusable(session, "the ledger's head", code, &why, error);
	if (session->head != NULL && !head_follows(&head, &session->seen))
		return error_set(error, RH_E_SERVICE_ROLLED_BACK,
		    "the ledger of %.300s is not what it was: entry %lld before, now %lld",
		    session->setup.address, (long long)session->seen.seq, (long long)head.seq);
	copy = strdup(text);
	if (copy == NULL)
		return error_memory(error);
	free(session->head);
	session->head = copy;
	session->seen = head;
	return RH_OK;
}
