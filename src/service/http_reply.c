#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/nonces.h"
#include "service/http_internal.h"

#define READ_SIZE 4096

/* A header that cannot be added for want of memory is left out. */
static void add(struct MHD_Response *response, const char *name, const char *value)
{
	if (value[0] != '\0')
		MHD_add_response_header(response, name, value);
}

/* RFC 9110, section 5.6.7; the service's time, which signatures are compared with. */
static void add_date(struct MHD_Response *response, int64_t now)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const time_t seconds = (time_t)now;
	struct tm tm;
	char text[64];

	if (gmtime_r(&seconds, &tm) == NULL)
		return;
	snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
	    days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
	add(response, "Date", text);
}

static void add_nonce(struct visit *visit, struct MHD_Response *response, int64_t now)
{
	char nonce[NONCE_SIZE];

	if (strncmp(visit->request.path, "/v1/", 4) == 0 &&
	    nonces_make(visit->http->service->nonces, now, nonce, NULL) == RH_OK)
		add(response, "Rehost-Nonce", nonce);
}

static void add_security(const struct visit *visit, struct MHD_Response *response)
{
	const char *type = visit->reply.content_type;

	add(response, "Cache-Control", "no-store");
	add(response, "X-Content-Type-Options", "nosniff");
	add(response, "Referrer-Policy", "no-referrer");
	if (visit->http->secure)
		add(response, "Strict-Transport-Security", "max-age=31536000");
	if (type != NULL && strncmp(type, "text/html", 9) == 0)
		add(response, "Content-Security-Policy",
		    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
		    "form-action 'none'; frame-ancestors 'none'");
}

static void add_headers(struct visit *visit, struct MHD_Response *response)
{
	const struct reply *reply = &visit->reply;
	const int64_t now = service_now(visit->http->service);

	add_date(response, now);
	add_nonce(visit, response, now);
	add_security(visit, response);
	if (reply->content_type != NULL) {
		add(response, "Content-Type", reply->content_type);
		add(response, "Vary", "Accept-Language");
		if (reply->problem != PROBLEM_NONE)
			add(response, "Content-Language",
			    visit->request.language == LANGUAGE_GERMAN ? "de" : "en");
	}
	add(response, "Location", reply->location);
	add(response, "Retry-After", reply->retry_after);
	if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		add(response, "Allow", visit->allow);
	if (reply->status == MHD_HTTP_UNAUTHORIZED)
		add(response, "WWW-Authenticate",
		    reply->problem == PROBLEM_UNAUTHORIZED ? "Bearer" : "Rehost-Proof");
	if (visit->http->service->stopping)
		add(response, "Connection", "close");
}

static void tell(const struct visit *visit)
{
	const struct service *service = visit->http->service;
	const struct reply *reply = &visit->reply;
	const uint64_t lasted = clock_monotonic() - visit->began;

	log_request(service->log,
	    &(struct log_request){.method = visit->request.method,
		.route = visit->route == NULL ? NULL : visit->route->pattern,
		.status = reply->status,
		.problem = reply->problem == PROBLEM_NONE ? NULL : problem_code(reply->problem),
		.computer = reply->computer,
		.client = visit->client,
		.licenses = reply->licenses,
		.nanoseconds = lasted});
	metrics_answered(service->metrics, visit->route, reply->status, reply->problem, lasted);
}

static void make_refusal(struct visit *visit)
{
	const int status =
	    visit->refused_status != 0 ? visit->refused_status : problem_status(visit->refused);

	reply_problem_as(&visit->reply, &visit->request, status, visit->refused, NULL);
}

/* The first half, and then an end that no reply has. */
static ssize_t read_half(void *context, uint64_t position, char *bytes, size_t size)
{
	const struct reply *reply = context;
	size_t half = reply->body.size / 2;

	if (position >= half)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size = size < half - position ? size : (size_t)(half - position);
	memcpy(bytes, reply->body.data + position, size);
	return (ssize_t)size;
}

enum MHD_Result visit_send(struct visit *visit)
{
	struct reply *reply = &visit->reply;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (visit->refused != PROBLEM_NONE)
		make_refusal(visit);
	/* The visit keeps the bytes until the reply is sent. */
	if (reply->cut)
		response = MHD_create_response_from_callback(
		    reply->body.size, READ_SIZE, read_half, reply, NULL);
	else
		response = MHD_create_response_from_buffer(
		    reply->body.size, reply->body.data, MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return MHD_NO;
	add_headers(visit, response);
	visit->sent = true;
	tell(visit);
	result = MHD_queue_response(visit->connection, (unsigned)reply->status, response);
	MHD_destroy_response(response);
	return result;
}
