#include <string.h>
#include <strings.h>

#include "authority/exchange.h"
#include "base/clock.h"

#include "authority/fetch.h"

#define NANOSECONDS_A_MS 1000000

bool authority_is_address(const char *text)
{
	return strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0;
}

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
static int step(struct exchange *exchange, struct address *address, size_t limit,
    long milliseconds, bool *ret_done, rh_error *error)
{
	struct curl_slist *headers =
	    curl_slist_append(NULL, "Accept: application/jwk-set+json, application/json");
	const struct exchange_request request = {.address = address,
	    .headers = headers,
	    .limit = limit,
	    .connect_ms =
		milliseconds < AUTHORITY_CONNECT_MS ? milliseconds : AUTHORITY_CONNECT_MS,
	    .total_ms = milliseconds};
	enum exchange_end end =
	    headers != NULL ? exchange_run(exchange, &request) : EXCHANGE_MEMORY;
	long status = 0;
	int code = RH_OK;

	if (end == EXCHANGE_DONE)
		status = exchange_status(exchange);
	else
		code = exchange_explain(exchange, &request, end, RH_E_NETWORK, error);
	*ret_done = status == 200;
	if (code == RH_OK && status >= 301 && status <= 308 && status != 304)
		code = follow(address, exchange->curl, error);
	else if (code == RH_OK && !*ret_done)
		code = error_set(error, RH_E_NETWORK, "%.200s answers with the status %ld",
		    address->host, status);
	curl_slist_free_all(headers);
	return code;
}

static int fetch(struct exchange *exchange, struct address *address, size_t limit,
    long milliseconds, rh_error *error)
{
	uint64_t start = clock_monotonic();
	long left = milliseconds;
	bool done = false;
	int redirects = 0, code = RH_OK;

	while (code == RH_OK && !done) {
		if (redirects++ > AUTHORITY_REDIRECTS_MAX)
			code = error_set(error, RH_E_NETWORK,
			    "%.200s answers with too many redirects", address->host);
		else if (left <= 0)
			code = error_set(error, RH_E_NETWORK, "%.200s is not reached in time",
			    address->host);
		else
			code = step(exchange, address, limit, left, &done, error);
		left = milliseconds - (long)((clock_monotonic() - start) / NANOSECONDS_A_MS);
	}
	return code;
}

int authority_fetch_within(
    const char *text, size_t limit, long milliseconds, struct buffer *ret, rh_error *error)
{
	struct exchange exchange = {0};
	struct address address = {0};
	int code = exchange_open(&exchange, error);

	if (code == RH_OK)
		code = address_read(&address, text, error);
	if (code == RH_OK)
		code = fetch(&exchange, &address, limit, milliseconds, error);
	if (code == RH_OK) {
		buffer_free(ret);
		*ret = exchange.body;
		exchange.body = (struct buffer){0};
	}
	address_free(&address);
	exchange_close(&exchange);
	return code;
}

int authority_fetch(const char *address, size_t limit, struct buffer *ret, rh_error *error)
{
	return authority_fetch_within(address, limit, AUTHORITY_FETCH_MS, ret, error);
}
