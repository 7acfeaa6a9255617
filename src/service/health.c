#include <stdio.h>
#include <string.h>

#include "service/metrics.h"
#include "service/service.h"

static void answer(struct reply *reply, int status, const char *word)
{
	struct buffer text = {0};

	if (buffer_append_text(&text, "{\"status\":\"", NULL) == RH_OK &&
	    buffer_append_text(&text, word, NULL) == RH_OK &&
	    buffer_append_text(&text, "\"}\n", NULL) == RH_OK) {
		reply_json(reply, status, &text);
	} else {
		buffer_free(&text);
		reply->status = 503;
	}
}

void handle_healthz(struct service *service, const struct request *request, struct reply *reply)
{
	(void)service;
	(void)request;
	answer(reply, 200, "alive");
}

void handle_readyz(struct service *service, const struct request *request, struct reply *reply)
{
	bool rolled_back = false;
	struct head seen;

	(void)request;
	if (service->stopping)
		answer(reply, 503, "stopping");
	else if (ledger_rolled_back(service->ledger, &rolled_back, &seen, NULL) != RH_OK)
		answer(reply, 503, "database");
	else if (rolled_back)
		answer(reply, 503, problem_code(PROBLEM_ROLLED_BACK));
	else
		answer(reply, 200, "ready");
}

/*
 * Numbers of the ledger are the operator's: this computer may read them, and who has a token.
 * Behind a proxy everybody seems to be on this computer.
 */
static enum problem may_read(struct service *service, const struct request *request)
{
	const char *header = request_header(request, "Authorization");
	struct ledger_token token;

	if (header == NULL && service->proxy_header == NULL &&
	    (strncmp(request->client, "127.", 4) == 0 || strcmp(request->client, "::1") == 0))
		return PROBLEM_NONE;
	if (header == NULL || strncmp(header, "Bearer ", 7) != 0)
		return PROBLEM_UNAUTHORIZED;
	switch (ledger_token_check(
	    service->ledger, service_now(service), header + 7, &token, NULL)) {
	case RH_OK:
		return (token.scope & TOKEN_READ) != 0 ? PROBLEM_NONE : PROBLEM_FORBIDDEN;
	case RH_E_NO_RIGHT:
		return PROBLEM_UNAUTHORIZED;
	default:
		return PROBLEM_UNAVAILABLE;
	}
}

void handle_metrics(struct service *service, const struct request *request, struct reply *reply)
{
	const enum problem problem = may_read(service, request);
	struct ledger_counts counts;
	bool rolled_back = false, there;
	struct head seen;
	rh_error error;

	if (problem != PROBLEM_NONE) {
		reply_problem(reply, request, problem, NULL);
		return;
	}
	there = ledger_counts(service->ledger, &counts, NULL) == RH_OK &&
		ledger_rolled_back(service->ledger, &rolled_back, &seen, NULL) == RH_OK;
	if (metrics_write(service->metrics, there ? &counts : NULL, rolled_back, &reply->body,
		&error) != RH_OK) {
		reply_failure(service, reply, request, &error);
		return;
	}
	reply->status = 200;
	reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
}
