#include <stdio.h>
#include <string.h>

#include "service/log.h"
#include "service/service.h"

void reply_problem_as(struct reply *reply, const struct request *request, int status,
    enum problem problem, const char *more)
{
	const enum language language = request->language;
	const char *code = problem_code(problem);
	struct problem_reply message = {
	    .status = status, .code = code, .title = problem_title(problem, language)};
	char detail[1024];

	snprintf(detail, sizeof detail, "%s%s%s", problem_detail(problem, language),
	    more == NULL ? "" : " ", more == NULL ? "" : more);
	message.detail = detail;
	buffer_free_secret(&reply->body);
	reply->status = status;
	reply->problem = problem;
	reply->content_type = "application/problem+json";
	/* Without memory the status has to do. */
	if (problem_reply_write(&message, &reply->body, NULL) != RH_OK)
		buffer_clear(&reply->body);
	if (reply->retry_after[0] == '\0' &&
	    (problem == PROBLEM_BUSY || problem == PROBLEM_UNAVAILABLE))
		strcpy(reply->retry_after, "2");
}

void reply_problem(
    struct reply *reply, const struct request *request, enum problem problem, const char *more)
{
	reply_problem_as(reply, request, problem_status(problem), problem, more);
}

void reply_json(struct reply *reply, int status, struct buffer *json)
{
	buffer_free_secret(&reply->body);
	reply->status = status;
	reply->content_type = "application/json";
	reply->body = *json;
	*json = (struct buffer){0};
}

void reply_failure(struct service *service, struct reply *reply, const struct request *request,
    const rh_error *error)
{
	log_line(service->log, LOG_LEVEL_ERROR, "failure", "text", error->text, NULL);
	reply_problem(reply, request, PROBLEM_UNAVAILABLE, NULL);
}
