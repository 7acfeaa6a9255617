#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/http_internal.h"
#include "service/http.h"

#define NANOSECONDS UINT64_C(1000000000)
#define SWEEP_NANOSECONDS (250 * 1000 * 1000)
#define STACK_SIZE (256 * 1024)
/* More than this is not read to its end for the sake of an answer. */
#define DISCARD_MAX (4ull * 1024 * 1024)
/* Who connected and asked nothing yet is waited for so long when the service stops. */
#define FRESH_SECONDS 1

static void set_deadline(struct visit *visit, unsigned seconds)
{
	struct http *http = visit->http;

	pthread_mutex_lock(&http->lock);
	visit->caller->deadline = seconds == 0 ? 0 : clock_monotonic() + seconds * NANOSECONDS;
	pthread_mutex_unlock(&http->lock);
}

/* ---- What libmicrohttpd calls ---- */

static void on_connection(void *context, struct MHD_Connection *connection,
    void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct http *http = context;
	struct caller *caller = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		caller = calloc(1, sizeof *caller);
		if (caller == NULL)
			return;
		*caller = (struct caller){.connection = connection,
		    .fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			      ->connect_fd,
		    .fresh = true,
		    .deadline = clock_monotonic() + http->timeout * NANOSECONDS};
		pthread_mutex_lock(&http->lock);
		caller->next = http->callers;
		if (caller->next != NULL)
			caller->next->previous = caller;
		http->callers = caller;
		http->caller_count++;
		pthread_mutex_unlock(&http->lock);
		*socket_context = caller;
		metrics_connections(http->service->metrics, 1);
	} else if (caller != NULL) {
		pthread_mutex_lock(&http->lock);
		if (caller->next != NULL)
			caller->next->previous = caller->previous;
		if (caller->previous != NULL)
			caller->previous->next = caller->next;
		else
			http->callers = caller->next;
		http->caller_count--;
		pthread_mutex_unlock(&http->lock);
		*socket_context = NULL;
		free(caller);
		metrics_connections(http->service->metrics, -1);
	}
}

/* The first line of a request is there. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http *http = context;
	struct visit *visit;

	if (info == NULL || info->socket_context == NULL)
		return NULL;
	visit = calloc(1, sizeof *visit);
	if (visit == NULL)
		return NULL;
	visit->http = http;
	visit->connection = connection;
	visit->caller = info->socket_context;
	visit->target_size = strlen(target);
	visit->began = clock_monotonic();
	pthread_mutex_lock(&http->lock);
	visit->caller->fresh = false;
	visit->caller->busy = true;
	visit->caller->deadline = visit->began + http->timeout * NANOSECONDS;
	pthread_mutex_unlock(&http->lock);
	return visit;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
    enum MHD_RequestTerminationCode code)
{
	struct visit *visit = *request;
	struct http *http = context;

	(void)connection;
	(void)code;
	if (visit == NULL)
		return;
	pthread_mutex_lock(&http->lock);
	visit->caller->busy = false;
	visit->caller->deadline = clock_monotonic() + 2 * http->timeout * NANOSECONDS;
	pthread_mutex_unlock(&http->lock);
	if (!visit->sent)
		metrics_aborted(http->service->metrics);
	visit_drop_body(visit);
	if (visit->reply.secret)
		buffer_free_secret(&visit->reply.body);
	else
		buffer_free(&visit->reply.body);
	free(visit);
	*request = NULL;
}

static enum MHD_Result send_reply(struct visit *visit)
{
	set_deadline(visit, 2 * visit->http->timeout);
	return visit_send(visit);
}

/*
 * A refusal of a body that is not read ends the connection, and many clients do not read it
 * before they have sent everything: so what is not too much is read.
 */
static bool refuses_at_once(const struct visit *visit)
{
	const char *expect = request_header(&visit->request, "Expect");
	const char *length = request_header(&visit->request, "Content-Length");

	return visit->refused != PROBLEM_NONE &&
	       (expect != NULL || (length != NULL && strtoull(length, NULL, 10) > DISCARD_MAX));
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
    const char *path, const char *method, const char *version, const char *upload,
    size_t *upload_size, void **request)
{
	struct visit *visit = *request;

	(void)context;
	(void)connection;
	(void)version;
	if (visit == NULL)
		return MHD_NO;
	if (!visit->headers_seen) {
		visit->headers_seen = true;
		visit_begin(visit, path, method);
		return refuses_at_once(visit) ? send_reply(visit) : MHD_YES;
	}
	if (*upload_size > 0) {
		visit_body(visit, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (visit->answered || visit->refused != PROBLEM_NONE)
		return send_reply(visit);
	set_deadline(visit, 0);
	if (visit->route->quick && visit->http->service->rehearsal == NULL) {
		visit_handle(visit);
		return send_reply(visit);
	}
	if (!queue_put(visit)) {
		visit->refused = PROBLEM_UNAVAILABLE;
		return send_reply(visit);
	}
	return MHD_YES;
}

/* ---- Clients that take too long ---- */

static void sweep(struct http *http)
{
	const uint64_t now = clock_monotonic();

	for (struct caller *caller = http->callers; caller != NULL; caller = caller->next)
		if (caller->deadline != 0 && caller->deadline < now)
			shutdown(caller->fd, SHUT_RDWR);
}

static void *sweep_all(void *context)
{
	struct http *http = context;
	struct timespec until;

	pthread_mutex_lock(&http->lock);
	while (!http->ending) {
		sweep(http);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += SWEEP_NANOSECONDS;
		until.tv_sec += until.tv_nsec / (long)NANOSECONDS;
		until.tv_nsec %= (long)NANOSECONDS;
		pthread_cond_timedwait(&http->tick, &http->lock, &until);
	}
	pthread_mutex_unlock(&http->lock);
	return NULL;
}

/* ---- Start and stop ---- */

static int start_daemon(struct http *http, const struct http_setup *setup, rh_error *error)
{
	const bool tls = setup->tls != NULL;
	const struct MHD_OptionItem secure[] = {
	    {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
	    {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)tls_callback(setup->tls)},
	    {MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	http->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME |
		MHD_USE_SUPPRESS_DATE_NO_CLOCK | (tls ? MHD_USE_TLS : 0),
	    0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, setup->fd,
	    MHD_OPTION_ARRAY, tls ? secure : none, MHD_OPTION_THREAD_POOL_SIZE, HTTP_READERS,
	    MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_SIZE, MHD_OPTION_CONNECTION_LIMIT,
	    setup->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, setup->per_address,
	    MHD_OPTION_CONNECTION_TIMEOUT, setup->timeout, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)HTTP_HEADER_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_URI_LOG_CALLBACK,
	    on_target, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
	if (http->daemon == NULL)
		return error_set(error, RH_E_INTERNAL, "libmicrohttpd does not start");
	return RH_OK;
}

static void http_free(struct http *http)
{
	pthread_cond_destroy(&http->tick);
	pthread_cond_destroy(&http->work);
	pthread_mutex_destroy(&http->lock);
	free(http);
}

/* Handlers and the sweeper are gone when it returns. */
static void end_threads(struct http *http)
{
	queue_end(http);
	pthread_mutex_lock(&http->lock);
	pthread_cond_signal(&http->tick);
	pthread_mutex_unlock(&http->lock);
	if (http->sweeping)
		pthread_join(http->sweeper, NULL);
	http->sweeping = false;
}

int http_start(const struct http_setup *setup, struct http **ret, rh_error *error)
{
	struct http *http = calloc(1, sizeof *http);
	pthread_condattr_t monotonic;
	int code;

	if (http == NULL) {
		close(setup->fd);
		return error_memory(error);
	}
	http->service = setup->service;
	http->tls = setup->tls;
	http->timeout = setup->timeout;
	http->secure = strncmp(setup->service->address, "https:", 6) == 0;
	pthread_mutex_init(&http->lock, NULL);
	pthread_cond_init(&http->work, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&http->tick, &monotonic);
	pthread_condattr_destroy(&monotonic);
	code = queue_start(http, error);
	if (code == RH_OK) {
		http->sweeping = pthread_create(&http->sweeper, NULL, sweep_all, http) == 0;
		if (!http->sweeping)
			code = error_set(error, RH_E_INTERNAL, "cannot start a thread");
	}
	if (code == RH_OK)
		code = start_daemon(http, setup, error);
	if (code != RH_OK) {
		end_threads(http);
		http_free(http);
		close(setup->fd);
		return code;
	}
	*ret = http;
	return RH_OK;
}

/* Whether somebody waits for an answer; who asked nothing yet counts as ${fresh} says. */
static bool is_busy(struct http *http, bool fresh)
{
	bool busy = false;

	pthread_mutex_lock(&http->lock);
	for (struct caller *caller = http->callers; caller != NULL; caller = caller->next)
		busy = busy || caller->busy || (fresh && caller->fresh);
	pthread_mutex_unlock(&http->lock);
	return busy;
}

bool http_stop(struct http *http, unsigned seconds)
{
	const uint64_t began = clock_monotonic();
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	uint64_t lasted = 0;
	int fd;

	if (http == NULL)
		return true;
	fd = MHD_quiesce_daemon(http->daemon);
	if (fd >= 0)
		close(fd);
	while (is_busy(http, lasted < FRESH_SECONDS * NANOSECONDS)) {
		lasted = clock_monotonic() - began;
		if (lasted > seconds * NANOSECONDS)
			return false;
		nanosleep(&pause, NULL);
	}
	end_threads(http);
	MHD_stop_daemon(http->daemon);
	http_free(http);
	return true;
}
