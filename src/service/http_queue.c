#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "service/rehearse.h"
#include "service/http_internal.h"

#define NANOSECONDS UINT64_C(1000000000)
#define STACK_SIZE (1024 * 1024) /* JSON may nest 2,048 deep, which takes 192 KiB */

static void rehearse(struct visit *visit)
{
	struct service *service = visit->http->service;

	if (!rehearsal_before(service, &visit->request, &visit->reply))
		visit->route->handler(service, &visit->request, &visit->reply);
	rehearsal_after(service, &visit->reply);
}

void visit_handle(struct visit *visit)
{
	struct service *service = visit->http->service;

	visit->request.body = visit->body.data;
	visit->request.body_size = visit->body.size;
	if (service->rehearsal == NULL)
		visit->route->handler(service, &visit->request, &visit->reply);
	else
		rehearse(visit);
	visit->request.body = NULL;
	buffer_free_secret(&visit->body);
	visit->answered = true;
}

static struct visit *take(struct http *http)
{
	struct visit *visit;

	pthread_mutex_lock(&http->lock);
	while (http->first == NULL && !http->ending)
		pthread_cond_wait(&http->work, &http->lock);
	visit = http->first;
	if (visit != NULL) {
		http->first = visit->next;
		if (http->first == NULL)
			http->last = &http->first;
	}
	pthread_mutex_unlock(&http->lock);
	return visit;
}

static void *handle_queue(void *context)
{
	struct http *http = context;
	struct visit *visit;

	while ((visit = take(http)) != NULL) {
		/* Who waited so long is told to come again before he gives up by himself. */
		if (clock_monotonic() - visit->queued > HTTP_QUEUE_SECONDS * NANOSECONDS) {
			visit->refused = PROBLEM_BUSY;
			visit->answered = true;
		} else {
			visit_handle(visit);
		}
		MHD_resume_connection(visit->connection);
	}
	return NULL;
}

bool queue_put(struct visit *visit)
{
	struct http *http = visit->http;
	bool there;

	visit->queued = clock_monotonic();
	visit->next = NULL;
	pthread_mutex_lock(&http->lock);
	there = !http->ending;
	if (there) {
		/* Before a handler can resume it. */
		MHD_suspend_connection(visit->connection);
		*http->last = visit;
		http->last = &visit->next;
		pthread_cond_signal(&http->work);
	}
	pthread_mutex_unlock(&http->lock);
	return there;
}

int queue_start(struct http *http, rh_error *error)
{
	pthread_attr_t attributes;
	int result = 0;

	if (pthread_attr_init(&attributes) != 0)
		return error_memory(error);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	http->last = &http->first;
	/* A script is played in one order. */
	while (result == 0 &&
	       http->threads < (http->service->rehearsal == NULL ? HTTP_HANDLERS : 1)) {
		result = pthread_create(
		    &http->handlers[http->threads], &attributes, handle_queue, http);
		http->threads += result == 0;
	}
	pthread_attr_destroy(&attributes);
	if (result != 0)
		return error_errno(error, RH_E_INTERNAL, result, "cannot start a thread");
	return RH_OK;
}

void queue_end(struct http *http)
{
	pthread_mutex_lock(&http->lock);
	http->ending = true;
	pthread_cond_broadcast(&http->work);
	pthread_mutex_unlock(&http->lock);
	while (http->threads > 0)
		pthread_join(http->handlers[--http->threads], NULL);
}
