#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

#include "authority/exchange.h"

#define HEADERS_MAX (64 * 1024) /* bytes; the curl library keeps all of them */
#define WAIT_MS 1000

/* ---- What comes back ---- */

static size_t take_body(char *bytes, size_t one, size_t size, void *context)
{
	struct exchange *exchange = context;

	(void)one;
	if (!exchange->request->all_bodies && exchange_status(exchange) != 200)
		return size; /* what a refusal or a redirect says besides */
	if (size > exchange->request->limit - exchange->body.size) {
		exchange->body_large = true;
		return 0;
	}
	exchange->code = buffer_append(&exchange->body, bytes, size, NULL);
	return exchange->code == RH_OK ? size : 0;
}

static size_t take_header(char *bytes, size_t one, size_t size, void *context)
{
	struct exchange *exchange = context;

	(void)bytes, (void)one;
	exchange->header_bytes += size;
	exchange->headers_large = exchange->header_bytes > HEADERS_MAX;
	return exchange->headers_large ? 0 : size;
}

long exchange_status(const struct exchange *exchange)
{
	long status = 0;

	curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

const char *exchange_header(const struct exchange *exchange, const char *name)
{
	struct curl_header *header = NULL;

	if (curl_easy_header(exchange->curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

/* ---- What is asked for ---- */

/* A variable of the environment; NULL if it is not set, or empty. */
static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* Who is believed: as openssl takes it from the environment, where the curl library does not.
 */
static CURLcode set_authorities(CURL *curl)
{
	const char *file = setting("SSL_CERT_FILE");
	const char *directory = setting("SSL_CERT_DIR");
	CURLcode result = CURLE_OK;

	if (file == NULL && directory == NULL)
		return CURLE_OK;
	result = curl_easy_setopt(curl, CURLOPT_CAINFO, file);
	if (result == CURLE_OK)
		result = curl_easy_setopt(curl, CURLOPT_CAPATH, directory);
	return result;
}

static CURLcode set_numbers(CURL *curl, const struct exchange_request *request)
{
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_NOPROGRESS, 1},
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_SSL_VERIFYPEER, 1},
		{CURLOPT_SSL_VERIFYHOST, 2},
		{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
#if LIBCURL_VERSION_NUM >= 0x075700
		/* A name that is being looked up is not waited for when we stop. */
		{CURLOPT_QUICK_EXIT, 1},
#endif
		{CURLOPT_CONNECTTIMEOUT_MS, request->connect_ms},
		{CURLOPT_TIMEOUT_MS, request->total_ms},
		{request->body != NULL ? CURLOPT_POST : CURLOPT_HTTPGET, 1}
	};
	CURLcode result = CURLE_OK;

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers && result == CURLE_OK; i++)
		result = curl_easy_setopt(curl, numbers[i].option, numbers[i].value);
	if (result == CURLE_OK)
		result = curl_easy_setopt(
		    curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
	return result;
}

/*
 * A connection stands.  When one that was kept turns out to be gone, the curl library sends
 * the request again by itself; what is signed for one use alone is not sent twice.
 */
static int before_sending(
    void *context, char *address, char *local_address, int port, int local_port)
{
	struct exchange *exchange = context;

	(void)address, (void)local_address, (void)port, (void)local_port;
	if (exchange->sent++ > 0 && exchange->request->body != NULL)
		return CURL_PREREQFUNC_ABORT;
	return CURL_PREREQFUNC_OK;
}

static CURLcode set_options(struct exchange *exchange)
{
	const struct exchange_request *request = exchange->request;
	const struct {
		CURLoption option;
		const void *value;
	} pointers[] = {{CURLOPT_CURLU, request->address->url},
	    {CURLOPT_ERRORBUFFER, exchange->words}, {CURLOPT_POSTFIELDS, request->body},
	    {CURLOPT_PROTOCOLS_STR, request->address->secure ? "https" : "http"},
	    {CURLOPT_NOPROXY, request->address->here ? "*" : NULL},
	    {CURLOPT_USERAGENT, "rehost/" REHOST_VERSION},
	    {CURLOPT_HTTPHEADER, request->headers}, {CURLOPT_WRITEDATA, exchange},
	    {CURLOPT_HEADERDATA, exchange}, {CURLOPT_PREREQDATA, exchange}};
	CURLcode result = CURLE_OK;

	for (size_t i = 0; i < sizeof pointers / sizeof *pointers && result == CURLE_OK; i++)
		result =
		    curl_easy_setopt(exchange->curl, pointers[i].option, pointers[i].value);
	if (result == CURLE_OK)
		result = set_numbers(exchange->curl, request);
	if (result == CURLE_OK)
		result = curl_easy_setopt(exchange->curl, CURLOPT_WRITEFUNCTION, take_body);
	if (result == CURLE_OK)
		result = curl_easy_setopt(exchange->curl, CURLOPT_HEADERFUNCTION, take_header);
	if (result == CURLE_OK)
		result =
		    curl_easy_setopt(exchange->curl, CURLOPT_PREREQFUNCTION, before_sending);
	return result == CURLE_OK ? set_authorities(exchange->curl) : result;
}

/* ---- The exchange ---- */

static void tell(const struct exchange *exchange)
{
	const struct exchange_request *request = exchange->request;
	enum exchange_stage stage = EXCHANGE_CONNECTS;
	curl_off_t read = 0, total = 0;

	if (request->watch == NULL)
		return;
	curl_easy_getinfo(exchange->curl, CURLINFO_SIZE_DOWNLOAD_T, &read);
	curl_easy_getinfo(exchange->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
	if (exchange->header_bytes > 0)
		stage = EXCHANGE_RECEIVES;
	else if (exchange->sent > 0)
		stage = EXCHANGE_ASKS;
	request->watch(request->context, stage, read > 0 ? (uint64_t)read : 0,
	    total > 0 ? (uint64_t)total : 0);
}

/* Why ${result} came about. */
static enum exchange_end judge(struct exchange *exchange, CURLcode result)
{
	exchange->result = result;
	if (result == CURLE_OK)
		return EXCHANGE_DONE;
	if (result == CURLE_OUT_OF_MEMORY || exchange->code == RH_E_MEMORY)
		return EXCHANGE_MEMORY;
	if (exchange->body_large || exchange->headers_large)
		return EXCHANGE_LARGE;
	switch (result) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return EXCHANGE_UNPROVEN;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return EXCHANGE_RUBBISH;
	case CURLE_OPERATION_TIMEDOUT:
		return exchange->sent > 0 ? EXCHANGE_LATE : EXCHANGE_UNREACHED;
	case CURLE_ABORTED_BY_CALLBACK: /* before_sending */
		exchange->result = CURLE_GOT_NOTHING;
		exchange->words[0] = '\0';
		return EXCHANGE_BROKEN;
	default:
		return exchange->sent > 0 ? EXCHANGE_BROKEN : EXCHANGE_UNREACHED;
	}
}

static bool finished(CURLM *multi, CURLcode *ret)
{
	struct CURLMsg *message;
	int left = 0;

	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		if (message->msg == CURLMSG_DONE) {
			*ret = message->data.result;
			return true;
		}
	}
	return false;
}

static enum exchange_end drive(struct exchange *exchange)
{
	const struct exchange_request *request = exchange->request;
	CURLcode result = CURLE_OK;
	CURLMcode multi = CURLM_OK;
	int running = 0;

	while (multi == CURLM_OK) {
		if (request->stop != NULL && request->stop(request->context) != 0)
			return EXCHANGE_STOPPED;
		multi = curl_multi_perform(exchange->multi, &running);
		tell(exchange);
		if (multi == CURLM_OK && finished(exchange->multi, &result))
			return judge(exchange, result);
		if (multi == CURLM_OK)
			multi = curl_multi_poll(exchange->multi, NULL, 0,
			    request->stop != NULL ? request->stop_ms : WAIT_MS, NULL);
	}
	return judge(
	    exchange, multi == CURLM_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_FAILED_INIT);
}

/* Writing to a connection that is gone must not end the program (CURLOPT_NOSIGNAL says nothing
 * about SIGPIPE). */
static bool pipe_block(sigset_t *old)
{
	sigset_t pipe_set, pending;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigemptyset(&pending);
	sigpending(&pending);
	return sigismember(&pending, SIGPIPE) == 0 &&
	       pthread_sigmask(SIG_BLOCK, &pipe_set, old) == 0;
}

static void pipe_restore(bool blocked, const sigset_t *old)
{
	static const struct timespec now = {0, 0};
	sigset_t pipe_set;

	if (!blocked)
		return;
	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	while (sigtimedwait(&pipe_set, NULL, &now) > 0)
		;
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

enum exchange_end exchange_run(
    struct exchange *exchange, const struct exchange_request *request)
{
	enum exchange_end end = EXCHANGE_MEMORY;
	CURLcode result;
	sigset_t old;
	bool blocked = pipe_block(&old);

	buffer_clear(&exchange->body);
	exchange->request = request;
	exchange->sent = 0;
	exchange->header_bytes = 0;
	exchange->body_large = exchange->headers_large = false;
	exchange->code = RH_OK;
	exchange->words[0] = '\0';
	curl_easy_reset(exchange->curl); /* keeps the connection */
	result = set_options(exchange);
	if (result != CURLE_OK) {
		end = judge(exchange, result);
	} else if (curl_multi_add_handle(exchange->multi, exchange->curl) == CURLM_OK) {
		end = drive(exchange);
		curl_multi_remove_handle(exchange->multi, exchange->curl);
	}
	pipe_restore(blocked, &old);
	exchange->request = NULL;
	return end;
}

/* ---- Open and close ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode once_result = CURLE_FAILED_INIT;

static void set_up(void)
{
	once_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int exchange_open(struct exchange *exchange, rh_error *error)
{
	if (pthread_once(&once, set_up) != 0 || once_result != CURLE_OK)
		return error_set(error, RH_E_INTERNAL, "the curl library does not start");
	*exchange = (struct exchange){.multi = curl_multi_init(), .curl = curl_easy_init()};
	if (exchange->multi != NULL && exchange->curl != NULL)
		return RH_OK;
	exchange_close(exchange);
	return error_memory(error);
}

void exchange_close(struct exchange *exchange)
{
	sigset_t old;
	bool blocked = pipe_block(&old);

	curl_easy_cleanup(exchange->curl);
	if (exchange->multi != NULL)
		curl_multi_cleanup(exchange->multi);
	pipe_restore(blocked, &old);
	buffer_free(&exchange->body);
	*exchange = (struct exchange){0};
}

int exchange_explain(const struct exchange *exchange, const struct exchange_request *request,
    enum exchange_end end, int code, rh_error *error)
{
	const char *host = request->address->host, *words = exchange->words;
	size_t length;

	if (end == EXCHANGE_MEMORY)
		return error_memory(error);
	if (end == EXCHANGE_STOPPED)
		return error_set(error, RH_E_CANCELED, "the operation was canceled");
	if (exchange->body_large)
		return error_set(error, code, "%.200s answers with more than %zu bytes", host,
		    request->limit);
	if (exchange->headers_large)
		return error_set(error, code, "%.200s answers with headers without end", host);
	if (exchange->result == CURLE_OPERATION_TIMEDOUT)
		return error_set(error, code, "%.200s does not answer in time", host);
	if (*words == '\0' || !utf8_valid(words, strlen(words)))
		words = curl_easy_strerror(exchange->result);
	length = strcspn(words, "\r\n");
	while (length > 0 && words[length - 1] == '.')
		length--;
	return error_set(error, code, "%.200s cannot be asked: %.*s", host,
	    (int)(length < 300 ? length : 300), words);
}
