#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "service/metrics.h"
#include "service/rates.h"
#include "service/http_internal.h"

const char *request_header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* ---- Who asks ---- */

/* Who comes by IPv4 is the same client by whatever socket, or in whatever proxy's words. */
static void write_six(const struct in6_addr *six, char ret[64])
{
	if (IN6_IS_ADDR_V4MAPPED(six))
		inet_ntop(AF_INET, six->s6_addr + 12, ret, 64);
	else
		inet_ntop(AF_INET6, six, ret, 64);
}

static void peer_address(struct visit *visit)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(visit->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info == NULL ? NULL : info->client_addr;

	strcpy(visit->client, "unknown");
	if (address == NULL)
		return;
	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr,
		    visit->client, sizeof visit->client);
	} else if (address->sa_family == AF_INET6) {
		write_six(&((const struct sockaddr_in6 *)address)->sin6_addr, visit->client);
	}
}

/* Takes an address as proxies write it: "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80". */
static bool take_address(const char *text, size_t size, char ret[64])
{
	char copy[64];
	struct in_addr four;
	struct in6_addr six;
	char *end;

	if (size > 0 && text[0] == '[') {
		text++;
		size--;
		end = memchr(text, ']', size);
		size = end == NULL ? 0 : (size_t)(end - text);
	} else if ((end = memchr(text, ':', size)) != NULL &&
		   memchr(end + 1, ':', size - (size_t)(end + 1 - text)) == NULL) {
		size = (size_t)(end - text);
	}
	if (size == 0 || size >= sizeof copy)
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	if (inet_pton(AF_INET6, copy, &six) == 1)
		write_six(&six, ret);
	else if (inet_pton(AF_INET, copy, &four) == 1)
		strcpy(ret, copy);
	else
		return false;
	return true;
}

struct named_header {
	const char *name, *value;
};

static enum MHD_Result keep_last(
    void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct named_header *header = context;

	(void)kind;
	if (value != NULL && strcasecmp(name, header->name) == 0)
		header->value = value;
	return MHD_YES;
}

/* The last of the lines, as a proxy may add one of its own; NULL. */
static const char *last_line(const struct visit *visit, const char *name)
{
	struct named_header header = {name, NULL};

	MHD_get_connection_values(visit->connection, MHD_HEADER_KIND, keep_last, &header);
	return header.value;
}

/*
 * The last element: from the end, as what stands before it is the client's word, whose quotes
 * need not match.
 */
static const char *last_element(const char *list)
{
	const char *start = list + strlen(list);
	bool quoted = false;

	for (; start > list && (quoted || start[-1] != ','); start--)
		if (start[-1] == '"' && (start - list == 1 || start[-2] != '\\'))
			quoted = !quoted;
	return start;
}

/* Its "for=" (RFC 7239); other parameters may hold a client's words in quotes.  NULL. */
static const char *find_for(const char *element)
{
	bool quoted = false, begins = true;

	for (const char *p = element; *p != '\0'; p++) {
		if (begins && strncasecmp(p, "for=", 4) == 0)
			return p[4] == '"' ? p + 5 : p + 4;
		if (*p == '"')
			quoted = !quoted;
		else if (quoted && *p == '\\' && p[1] != '\0')
			p++;
		if (*p != ' ' && *p != '\t')
			begins = !quoted && *p == ';';
	}
	return NULL;
}

/* The address that the proxy saw, which is the last it wrote. */
static void proxied_address(struct visit *visit, const char *name)
{
	const char *value = last_line(visit, name);

	if (value != NULL)
		value = last_element(value);
	if (value != NULL && strcasecmp(name, "Forwarded") == 0)
		value = find_for(value);
	if (value == NULL)
		return;
	value += strspn(value, " \t");
	take_address(value, strcspn(value, "\";, \t"), visit->client);
}

/* A network of IPv6 belongs to one client: all of its addresses count as one. */
static bool comes_too_often(struct visit *visit)
{
	char name[64];
	uint8_t six[16];
	unsigned seconds;

	strcpy(name, visit->client);
	if (inet_pton(AF_INET6, name, six) == 1) {
		memset(six + 8, 0, 8);
		inet_ntop(AF_INET6, six, name, sizeof name);
	}
	if (rates_take(
		visit->http->service->rates, RATE_ADDRESS, name, clock_monotonic(), &seconds))
		return false;
	snprintf(visit->reply.retry_after, sizeof visit->reply.retry_after, "%u", seconds);
	return true;
}

/* ---- What is asked ---- */

static bool fits(const struct route *route, const char *path, const char **ret_rest)
{
	const size_t length = strlen(route->pattern);

	if (length > 0 && route->pattern[length - 1] == '*') {
		if (strncmp(path, route->pattern, length - 1) != 0)
			return false;
		*ret_rest = path + length - 1;
		return true;
	}
	*ret_rest = "";
	return strcmp(path, route->pattern) == 0;
}

/* HEAD is GET, without the body. */
static bool is_method(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void allow(struct visit *visit, const char *method)
{
	const size_t used = strlen(visit->allow);

	if (strstr(visit->allow, method) == NULL)
		snprintf(visit->allow + used, sizeof visit->allow - used, "%s%s%s",
		    used == 0 ? "" : ", ", method, strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

static enum problem find_route(struct visit *visit, const char *path, const char *method)
{
	const char *base = visit->http->service->path, *below = NULL, *rest;
	const size_t length = strlen(base);

	if (strncmp(path, base, length) == 0 && (path[length] == '/' || path[length] == '\0'))
		below = path + length;
	for (const struct route *route = routes; route->pattern != NULL; route++) {
		const char *here = route->root ? path : below;

		if (here == NULL || !fits(route, here, &rest))
			continue;
		if (!is_method(route, method)) {
			allow(visit, route->method);
			continue;
		}
		visit->route = route;
		visit->request.path = here;
		visit->request.rest = rest;
		return PROBLEM_NONE;
	}
	visit->request.path = below == NULL ? path : below;
	return visit->allow[0] == '\0' ? PROBLEM_NOT_FOUND : PROBLEM_METHOD;
}

/* ---- Its body ---- */

/* Those that are small need no promise: connections bound them. */
static bool promise(struct visit *visit, size_t size)
{
	struct http *http = visit->http;
	bool there;

	if (size <= HTTP_BODY_SMALL || size <= visit->promised)
		return true;
	pthread_mutex_lock(&http->lock);
	there = http->bodies - visit->promised + size <= HTTP_BODIES_MAX;
	if (there)
		http->bodies += size - visit->promised;
	pthread_mutex_unlock(&http->lock);
	if (there) {
		metrics_bodies(http->service->metrics, (int64_t)(size - visit->promised));
		visit->promised = size;
	}
	return there;
}

void visit_drop_body(struct visit *visit)
{
	struct http *http = visit->http;

	buffer_free_secret(&visit->body);
	if (visit->promised == 0)
		return;
	pthread_mutex_lock(&http->lock);
	http->bodies -= visit->promised;
	pthread_mutex_unlock(&http->lock);
	metrics_bodies(http->service->metrics, -(int64_t)visit->promised);
	visit->promised = 0;
}

/* Whether a body of the announced length may come. */
static enum problem expect_body(struct visit *visit)
{
	const char *length = request_header(&visit->request, "Content-Length");
	const char *coding = request_header(&visit->request, "Transfer-Encoding");
	const size_t max = visit->route->body_max;
	unsigned long long size;

	if (length == NULL && coding == NULL)
		return PROBLEM_NONE;
	/* In chunks: nobody knows. */
	size = coding != NULL ? max : strtoull(length, NULL, 10);
	if (size > max)
		return PROBLEM_TOO_LARGE;
	return promise(visit, (size_t)size) ? PROBLEM_NONE : PROBLEM_BUSY;
}

void visit_body(struct visit *visit, const void *bytes, size_t size)
{
	if (visit->refused != PROBLEM_NONE)
		return;
	if (size > visit->route->body_max - visit->body.size)
		visit->refused = PROBLEM_TOO_LARGE;
	else if (buffer_append(&visit->body, bytes, size, NULL) != RH_OK)
		visit->refused = PROBLEM_BUSY;
	if (visit->refused != PROBLEM_NONE)
		visit_drop_body(visit);
}

/* ---- */

void visit_begin(struct visit *visit, const char *path, const char *method)
{
	struct service *service = visit->http->service;
	struct request *request = &visit->request;

	request->connection = visit->connection;
	request->method = method;
	request->path = path;
	request->rest = "";
	request->client = visit->client;
	request->language = language_pick(request_header(request, "Accept-Language"));
	peer_address(visit);
	if (service->proxy_header != NULL)
		proxied_address(visit, service->proxy_header);
	if (visit->target_size > HTTP_TARGET_MAX) {
		visit->refused = PROBLEM_TOO_LARGE;
		visit->refused_status = MHD_HTTP_URI_TOO_LONG;
		return;
	}
	visit->refused = find_route(visit, path, method);
	/* Who only looks whether the service lives is not counted. */
	if ((visit->route == NULL || !visit->route->root) && comes_too_often(visit))
		visit->refused = PROBLEM_TOO_MANY;
	if (visit->refused == PROBLEM_NONE)
		visit->refused = expect_body(visit);
}
