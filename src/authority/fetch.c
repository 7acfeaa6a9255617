#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/text.h"

#include "authority/fetch.h"

#define HEADERS_MAX (64 * 1024) /* bytes; the curl library keeps all of them */
#define NANOSECONDS_A_MS 1000000

/* One address, taken apart. */
struct address {
	CURLU *url;
	char *host; /* for messages */
	bool secure; /* https */
	bool here; /* on this machine */
};

/* One exchange. */
struct exchange {
	CURL *curl;
	struct curl_slist *headers;
	size_t limit;
	struct buffer body;
	size_t header_bytes;
	bool body_large;
	bool headers_large;
	int code; /* why the body was not taken, or RH_OK */
	char words[CURL_ERROR_SIZE];
};

bool authority_is_address(const char *text)
{
	return strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0;
}

/* ---- Addresses ---- */

static void address_free(struct address *address)
{
	curl_free(address->host);
	curl_url_cleanup(address->url);
	*address = (struct address){0};
}

static bool is_this_machine(const char *host)
{
	size_t digits = strspn(host, "0123456789.");

	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (strncmp(host, "127.", 4) == 0 && host[digits] == '\0');
}

/* Whether the address carries this part. */
static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

/* ${text} may belong to somebody else: it is quoted as far as the host. */
static int address_read(struct address *ret, const char *text, rh_error *error)
{
	struct address address = {.url = curl_url()};
	char *scheme = NULL;
	CURLUcode result = CURLUE_OUT_OF_MEMORY;
	int code = RH_OK;

	if (address.url != NULL)
		result =
		    curl_url_set(address.url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (result == CURLUE_OK)
		result = curl_url_get(address.url, CURLUPART_SCHEME, &scheme, 0);
	if (result == CURLUE_OK)
		result = curl_url_get(address.url, CURLUPART_HOST, &address.host, 0);
	if (result == CURLUE_OUT_OF_MEMORY) {
		code = error_memory(error);
	} else if (result != CURLUE_OK || !utf8_valid(address.host, strlen(address.host))) {
		code = error_set(error, RH_E_NETWORK, "this is no address that can be fetched");
	} else if (has_part(address.url, CURLUPART_USER) ||
		   has_part(address.url, CURLUPART_PASSWORD)) {
		code = error_set(error, RH_E_NETWORK,
		    "the address at %.200s holds a user name or a password, which none may",
		    address.host);
	} else {
		address.secure = strcasecmp(scheme, "https") == 0;
		address.here = is_this_machine(address.host);
		if (!address.secure && (strcasecmp(scheme, "http") != 0 || !address.here))
			code = error_set(error, RH_E_NETWORK,
			    "the address at %.200s is not an https one", address.host);
	}
	curl_free(scheme);
	if (code == RH_OK)
		*ret = address;
	else
		address_free(&address);
	return code;
}

/* ---- One exchange ---- */

static size_t take_body(char *bytes, size_t one, size_t size, void *context)
{
	struct exchange *exchange = context;
	long status = 0;

	(void)one;
	curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) /* what a refusal or a redirect says besides */
		return size;
	if (size > exchange->limit - exchange->body.size) {
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

static void exchange_free(struct exchange *exchange)
{
	curl_easy_cleanup(exchange->curl);
	curl_slist_free_all(exchange->headers);
	buffer_free(&exchange->body);
	*exchange = (struct exchange){0};
}

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

static CURLcode set_options(
    struct exchange *exchange, const struct address *address, long milliseconds)
{
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {{CURLOPT_NOSIGNAL, 1}, {CURLOPT_NOPROGRESS, 1},
	    {CURLOPT_FOLLOWLOCATION, 0}, {CURLOPT_SSL_VERIFYPEER, 1},
	    {CURLOPT_SSL_VERIFYHOST, 2}, {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
	    {CURLOPT_CONNECTTIMEOUT_MS,
		milliseconds < AUTHORITY_CONNECT_MS ? milliseconds : AUTHORITY_CONNECT_MS},
	    {CURLOPT_TIMEOUT_MS, milliseconds}};
	const struct {
		CURLoption option;
		const void *value;
	} pointers[] = {{CURLOPT_CURLU, address->url}, {CURLOPT_ERRORBUFFER, exchange->words},
	    {CURLOPT_PROTOCOLS_STR, address->secure ? "https" : "http"},
	    {CURLOPT_NOPROXY, address->here ? "*" : NULL},
	    {CURLOPT_USERAGENT, "rehost/" REHOST_VERSION},
	    {CURLOPT_HTTPHEADER, exchange->headers}, {CURLOPT_WRITEDATA, exchange},
	    {CURLOPT_HEADERDATA, exchange}};
	CURLcode result = CURLE_OK;

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers && result == CURLE_OK; i++)
		result = curl_easy_setopt(exchange->curl, numbers[i].option, numbers[i].value);
	for (size_t i = 0; i < sizeof pointers / sizeof *pointers && result == CURLE_OK; i++)
		result =
		    curl_easy_setopt(exchange->curl, pointers[i].option, pointers[i].value);
	if (result == CURLE_OK)
		result = curl_easy_setopt(exchange->curl, CURLOPT_WRITEFUNCTION, take_body);
	if (result == CURLE_OK)
		result = curl_easy_setopt(exchange->curl, CURLOPT_HEADERFUNCTION, take_header);
	return result == CURLE_OK ? set_authorities(exchange->curl) : result;
}

/* What went wrong between us and ${host}. */
static int explain(
    const struct exchange *exchange, const char *host, CURLcode result, rh_error *error)
{
	const char *words = exchange->words;
	size_t length;

	if (result == CURLE_OUT_OF_MEMORY || exchange->code == RH_E_MEMORY)
		return error_memory(error);
	if (exchange->body_large)
		return error_set(error, RH_E_NETWORK, "%.200s answers with more than %zu bytes",
		    host, exchange->limit);
	if (exchange->headers_large)
		return error_set(
		    error, RH_E_NETWORK, "%.200s answers with headers without end", host);
	if (result == CURLE_OPERATION_TIMEDOUT)
		return error_set(error, RH_E_NETWORK, "%.200s does not answer in time", host);
	if (*words == '\0' || !utf8_valid(words, strlen(words)))
		words = curl_easy_strerror(result);
	length = strcspn(words, "\r\n");
	while (length > 0 && words[length - 1] == '.')
		length--;
	return error_set(error, RH_E_NETWORK, "%.200s cannot be asked: %.*s", host,
	    (int)(length < 300 ? length : 300), words);
}

static int exchange_run(struct exchange *exchange, const struct address *address, size_t limit,
    long milliseconds, rh_error *error)
{
	CURLcode result = CURLE_OUT_OF_MEMORY;

	exchange->limit = limit;
	exchange->curl = curl_easy_init();
	exchange->headers =
	    curl_slist_append(NULL, "Accept: application/jwk-set+json, application/json");
	if (exchange->curl != NULL && exchange->headers != NULL)
		result = set_options(exchange, address, milliseconds);
	if (result == CURLE_OK)
		result = curl_easy_perform(exchange->curl);
	if (result == CURLE_OK)
		return RH_OK;
	return explain(exchange, address->host, result, error);
}

/* ---- All of them ---- */

/* Where a redirect leads. */
static int follow(struct address *address, CURL *curl, rh_error *error)
{
	struct address next;
	char *location = NULL;
	rh_error why;
	int code;

	if (curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location) != CURLE_OK ||
	    location == NULL)
		return error_set(error, RH_E_NETWORK,
		    "%.200s answers with a redirect to nowhere", address->host);
	code = address_read(&next, location, &why);
	if (code != RH_OK)
		return error_set(
		    error, code, "%.200s answers with a redirect: %s", address->host, why.text);
	if (address->secure && !next.secure) {
		address_free(&next);
		return error_set(error, RH_E_NETWORK,
		    "%.200s answers with a redirect that leaves https", address->host);
	}
	address_free(address);
	*address = next;
	return RH_OK;
}

/* One exchange; ${*ret_done} if its body is the answer, else ${address} is the next one. */
static int step(struct address *address, size_t limit, long milliseconds, struct buffer *ret,
    bool *ret_done, rh_error *error)
{
	struct exchange exchange = {0};
	long status = 0;
	int code = exchange_run(&exchange, address, limit, milliseconds, error);

	if (code == RH_OK)
		curl_easy_getinfo(exchange.curl, CURLINFO_RESPONSE_CODE, &status);
	*ret_done = status == 200;
	if (code == RH_OK && *ret_done) {
		buffer_free(ret);
		*ret = exchange.body;
		exchange.body = (struct buffer){0};
	} else if (code == RH_OK && status >= 301 && status <= 308 && status != 304) {
		code = follow(address, exchange.curl, error);
	} else if (code == RH_OK) {
		code = error_set(error, RH_E_NETWORK, "%.200s answers with the status %ld",
		    address->host, status);
	}
	exchange_free(&exchange);
	return code;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode once_result = CURLE_FAILED_INIT;

static void set_up(void)
{
	once_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int authority_fetch_within(
    const char *text, size_t limit, long milliseconds, struct buffer *ret, rh_error *error)
{
	uint64_t start = clock_monotonic();
	struct address address;
	long left = milliseconds;
	bool done = false;
	int redirects = 0, code;

	if (pthread_once(&once, set_up) != 0 || once_result != CURLE_OK)
		return error_set(error, RH_E_INTERNAL, "the curl library does not start");
	code = address_read(&address, text, error);
	if (code != RH_OK)
		return code;
	while (code == RH_OK && !done) {
		if (redirects++ > AUTHORITY_REDIRECTS_MAX)
			code = error_set(error, RH_E_NETWORK,
			    "%.200s answers with too many redirects", address.host);
		else if (left <= 0)
			code = error_set(
			    error, RH_E_NETWORK, "%.200s is not reached in time", address.host);
		else
			code = step(&address, limit, left, ret, &done, error);
		left = milliseconds - (long)((clock_monotonic() - start) / NANOSECONDS_A_MS);
	}
	address_free(&address);
	return code;
}

int authority_fetch(const char *address, size_t limit, struct buffer *ret, rh_error *error)
{
	return authority_fetch_within(address, limit, AUTHORITY_FETCH_MS, ret, error);
}
