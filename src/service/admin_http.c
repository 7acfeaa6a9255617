#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/jsontext.h"
#include "service/admin.h"
#include "service/service.h"

/* Administration over HTTP: POST /admin/v1/GROUP/WORD, a bearer token (RFC 6750), JSON. */

#define RESULT_MAX (8u << 20) /* bytes of a reply */

struct answer {
	json_t *results;
	size_t bytes;
};

static int collect(void *context, const json_t *result, rh_error *error)
{
	struct answer *answer = context;

	answer->bytes += json_dumpb(result, NULL, 0, JSON_COMPACT);
	if (answer->bytes > RESULT_MAX)
		return error_set(
		    error, RH_E_ARGUMENT, "the answer is too long; ask for less at once");
	if (json_array_append(answer->results, (json_t *)result) != 0)
		return error_memory(error);
	return RH_OK;
}

/* Whose token it is; PROBLEM_UNAUTHORIZED for none that holds. */
static int authorize(struct service *service, const struct request *request,
    struct ledger_token *ret, enum problem *ret_problem, rh_error *error)
{
	const char *header = request_header(request, "Authorization");
	int code;

	*ret_problem = PROBLEM_UNAUTHORIZED;
	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return RH_OK;
	code =
	    ledger_token_check(service->ledger, service_now(service), header + 7, ret, error);
	if (code == RH_E_NO_RIGHT)
		return RH_OK;
	*ret_problem = PROBLEM_NONE;
	return code;
}

/* "issuer/add" is "issuer add". */
static const struct admin_operation *operation_of(const char *path)
{
	char name[64];
	char *slash;

	if (strlen(path) >= sizeof name)
		return NULL;
	strcpy(name, path);
	slash = strchr(name, '/');
	if (slash == NULL)
		return NULL;
	*slash = ' ';
	return admin_find(name);
}

static int read_arguments(const struct request *request, json_t **ret, rh_error *error)
{
	int code;

	if (request->body_size == 0) {
		*ret = json_object();
		return *ret != NULL ? RH_OK : error_memory(error);
	}
	code = jsontext_read(request->body, request->body_size, ret, error);
	if (code == RH_OK && !json_is_object(*ret)) {
		json_decref(*ret);
		*ret = NULL;
		code = error_set(error, RH_E_LICENSE_INVALID, "the body is no JSON object");
	}
	return code;
}

static int write_results(struct reply *reply, json_t *results, rh_error *error)
{
	struct buffer json = {0};
	json_t *object = json_pack("{s:O}", "results", results);
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	int code = RH_OK;

	json_decref(object);
	if (text == NULL)
		return error_memory(error);
	code = buffer_append_text(&json, text, error);
	free(text);
	if (code == RH_OK)
		reply_json(reply, 200, &json);
	return code;
}

/* What the operation's failure is for who asked. */
static enum problem problem_of(int code)
{
	switch (code) {
	case RH_E_ARGUMENT:
	case RH_E_PIN_KEYS:
	case RH_E_LICENSE_INVALID:
		return PROBLEM_MALFORMED;
	case RH_E_LICENSE_UNKNOWN:
	case RH_E_PIN_UNKNOWN:
		return PROBLEM_NOT_FOUND;
	case RH_E_SERVICE_ROLLED_BACK:
		return PROBLEM_ROLLED_BACK;
	default:
		return PROBLEM_NONE;
	}
}

static int operate(struct service *service, const struct request *request,
    const struct admin_operation *operation, const char *actor, struct reply *reply,
    rh_error *error)
{
	struct answer answer = {json_array(), 0};
	struct admin admin = {service->ledger, service_now(service), actor, collect, &answer};
	json_t *arguments = NULL;
	int code = answer.results != NULL ? RH_OK : error_memory(error);

	if (code == RH_OK)
		code = read_arguments(request, &arguments, error);
	if (code == RH_OK)
		code = admin_run(&admin, operation, arguments, error);
	if (code == RH_OK)
		code = write_results(reply, answer.results, error);
	json_decref(arguments);
	json_decref(answer.results);
	return code;
}

/* What is wrong with the request in place of the problem's own advice, which is an owner's. */
static void refuse(struct reply *reply, const struct request *request, enum problem problem,
    const rh_error *error)
{
	const struct problem_reply message = {.status = problem_status(problem),
	    .code = problem_code(problem),
	    .title = problem_title(problem, request->language),
	    .detail = error->text};

	reply_problem(reply, request, problem, NULL);
	buffer_clear(&reply->body);
	/* Without memory the status has to do. */
	if (problem_reply_write(&message, &reply->body, NULL) != RH_OK)
		buffer_clear(&reply->body);
}

/* Of the log: nothing that waiting would help against. */
static void tell_damage(struct service *service, struct reply *reply,
    const struct request *request, const rh_error *error)
{
	reply_failure(service, reply, request, error);
	refuse(reply, request, PROBLEM_UNAVAILABLE, error);
}

void handle_admin(struct service *service, const struct request *request, struct reply *reply)
{
	const struct admin_operation *operation = operation_of(request->rest);
	struct ledger_token token;
	enum problem problem;
	char actor[80];
	rh_error error;
	int code = authorize(service, request, &token, &problem, &error);

	if (code == RH_OK && problem == PROBLEM_NONE) {
		if (operation == NULL || operation->local)
			problem = PROBLEM_NOT_FOUND;
		else if (!(token.scope & (operation->writes ? TOKEN_WRITE : TOKEN_READ)))
			problem = PROBLEM_FORBIDDEN;
	}
	if (code == RH_OK && problem != PROBLEM_NONE) {
		reply_problem(reply, request, problem, NULL);
		return;
	}
	if (code == RH_OK) {
		snprintf(actor, sizeof actor, "token:%s", token.name);
		code = operate(service, request, operation, actor, reply, &error);
	}
	if (code != RH_OK && problem_of(code) != PROBLEM_NONE)
		refuse(reply, request, problem_of(code), &error);
	else if (code == RH_E_STORE_DAMAGED)
		tell_damage(service, reply, request, &error);
	else if (code != RH_OK)
		reply_failure(service, reply, request, &error);
}
