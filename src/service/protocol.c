#include <stdlib.h>
#include <string.h>

#include "license/license.h"
#include "service/documents.h"
#include "service/guard.h"
#include "service/keys.h"

/* The smaller resources of PROTOCOL.md; restore.c has the large ones. */

void handle_keys(struct service *service, const struct request *request, struct reply *reply)
{
	const char *text = service_keys_public(service->keys);
	struct buffer json = {0};
	rh_error error;
	int code = buffer_append_text(&json, text, &error);

	if (code == RH_OK)
		reply_json(reply, 200, &json);
	else
		reply_failure(service, reply, request, &error);
	buffer_free(&json);
}

/* The nonce itself is in a header of every reply. */
void handle_nonce(struct service *service, const struct request *request, struct reply *reply)
{
	(void)service;
	(void)request;
	reply->status = 204;
}

/* What came of a message that was read: RH_OK also if it is refused. */
static int refuse_malformed(
    int code, const rh_error *why, enum problem *problem, rh_error *error)
{
	if (code == RH_E_LICENSE_INVALID) {
		*problem = PROBLEM_MALFORMED;
		return RH_OK;
	}
	if (code != RH_OK && error != NULL)
		*error = *why;
	return code;
}

static int sign_head(
    const struct service *service, const struct head *head, char **ret, rh_error *error)
{
	return head_sign(
	    service_keys_signing(service->keys), service->address, head, ret, error);
}

static void finish(struct service *service, const struct request *request, struct reply *reply,
    int code, enum problem problem, const rh_error *error)
{
	if (code != RH_OK)
		reply_failure(service, reply, request, error);
	else if (problem != PROBLEM_NONE)
		reply_problem(reply, request, problem, NULL);
}

/* ---- /v1/computers ---- */

static int certify(struct service *service, const struct guard *guard, const struct head *head,
    int64_t now, struct reply *reply, rh_error *error)
{
	char *certificate = NULL, *head_text = NULL;
	struct computers_reply message = {0};
	struct buffer json = {0};
	int code = certificate_sign(service_keys_signing(service->keys), service->address,
	    guard->computer, now, &certificate, error);

	if (code == RH_OK)
		code = sign_head(service, head, &head_text, error);
	message.certificate = certificate;
	message.head = head_text;
	if (code == RH_OK)
		code = computers_reply_write(&message, &json, error);
	if (code == RH_OK)
		reply_json(reply, 200, &json);
	buffer_free(&json);
	free(certificate);
	free(head_text);
	return code;
}

void handle_computers(
    struct service *service, const struct request *request, struct reply *reply)
{
	struct computers_request message = {0};
	enum problem problem = PROBLEM_NONE;
	struct guard guard;
	struct head head;
	rh_error why, error;
	int64_t now;
	int code;

	if (!guard_request(service, request, false, &guard, reply))
		return;
	now = service_now(service);
	code = computers_request_read(&message, request->body, request->body_size, &why);
	code = refuse_malformed(code, &why, &problem, &error);
	if (code == RH_OK && problem == PROBLEM_NONE)
		code = ledger_enroll(service->ledger, now, guard.computer, message.name,
		    message.release, guard.proof.nonce, &problem, &head, &error);
	if (code == RH_OK && problem == PROBLEM_NONE)
		code = certify(service, &guard, &head, now, reply, &error);
	finish(service, request, reply, code, problem, &error);
	computers_request_free(&message);
	guard_free(&guard);
}

/* ---- /v1/licenses ---- */

/* What is asked, and what the ledger tells of each. */
struct question {
	struct service *service;
	const struct request *request;
	const struct guard *guard;
	int64_t now;
	struct restore_request message;
	struct ledger_license *licenses;
	struct ledger_status *statuses;
	struct status_license *answers;
	char (*titles)[512];
	char claim[JOSE_THUMBPRINT_SIZE];
	struct head seen;
	struct head head;
};

static void question_free(struct question *question)
{
	for (size_t i = 0; i < question->message.license_count; i++) {
		if (question->statuses != NULL)
			free(question->statuses[i].computers);
		if (question->answers != NULL)
			free(question->answers[i].computers);
	}
	free(question->licenses);
	free(question->statuses);
	free(question->answers);
	free(question->titles);
	restore_request_free(&question->message);
}

static int read_question(struct question *question, enum problem *problem, rh_error *error)
{
	const struct request *request = question->request;
	struct ledger_visitor visitor = {.computer = question->guard->computer};
	struct service *service = question->service;
	bool has_seen = false;
	rh_error why;
	int code;

	question->message.path = MESSAGE_LICENSES;
	code =
	    restore_request_read(&question->message, request->body, request->body_size, &why);
	code = refuse_malformed(code, &why, problem, error);
	if (code == RH_OK && *problem == PROBLEM_NONE)
		code = guard_claim(service, question->message.claim, visitor.computer,
		    question->claim, problem, error);
	if (code == RH_OK && *problem == PROBLEM_NONE)
		code = guard_head(service, question->message.head, &question->seen, &has_seen,
		    problem, error);
	if (code != RH_OK || *problem != PROBLEM_NONE)
		return code;
	if (question->message.claim != NULL)
		visitor.claim = question->claim;
	if (has_seen)
		visitor.head = &question->seen;
	return ledger_head(
	    service->ledger, question->now, &visitor, problem, &question->head, error);
}

static int put_computers(const struct question *question, const struct ledger_status *status,
    struct status_license *answer, rh_error *error)
{
	answer->computers = calloc(status->count + 1, sizeof *answer->computers);
	if (answer->computers == NULL)
		return error_memory(error);
	answer->computer_count = status->count;
	for (size_t i = 0; i < status->count; i++) {
		const struct ledger_computer *from = &status->computers[i];
		struct status_computer *to = &answer->computers[i];

		to->computer = from->computer;
		to->name = from->name[0] != '\0' ? from->name : NULL;
		to->since = from->since;
		to->releasing = from->releasing;
		to->original = from->original;
		to->you = strcmp(from->computer, question->guard->computer) == 0 ||
			  (question->claim[0] != '\0' &&
			      strcmp(from->computer, question->claim) == 0);
	}
	return RH_OK;
}

static int tell(struct question *question, size_t i, rh_error *error)
{
	const struct ledger_license *license = &question->licenses[i];
	struct ledger_status *status = &question->statuses[i];
	struct status_license *answer = &question->answers[i];
	int code;

	answer->next = MESSAGE_TIME_NONE;
	if (license->problem != PROBLEM_NONE) {
		answer->code = problem_code(license->problem);
		answer->detail = problem_detail(license->problem, question->request->language);
		return RH_OK;
	}
	code = ledger_status(question->service->ledger, question->now, license, status, error);
	if (code != RH_OK)
		return code;
	answer->id = license->id;
	answer->issuer = license->issuer;
	documents_title(question->titles[i], license, question->request->language);
	answer->title = question->titles[i][0] != '\0' ? question->titles[i] : NULL;
	answer->limit = status->limit;
	if (!status->blocked && status->used < status->limit)
		answer->free = status->limit - status->used;
	answer->next = status->next;
	return put_computers(question, status, answer, error);
}

static int tell_all(struct question *question, struct reply *reply, rh_error *error)
{
	size_t count = question->message.license_count;
	struct status_reply message = {.license_count = count};
	struct buffer json = {0};
	char *head = NULL;
	int code;

	reply->licenses = (uint32_t)count;
	question->statuses = calloc(count, sizeof *question->statuses);
	question->answers = calloc(count, sizeof *question->answers);
	question->titles = calloc(count, sizeof *question->titles);
	if (question->statuses == NULL || question->answers == NULL || question->titles == NULL)
		return error_memory(error);
	code = documents_read(
	    question->service, question->message.licenses, count, &question->licenses, error);
	for (size_t i = 0; code == RH_OK && i < count; i++)
		code = tell(question, i, error);
	if (code == RH_OK)
		code = sign_head(question->service, &question->head, &head, error);
	message.licenses = question->answers;
	message.head = head;
	if (code == RH_OK)
		code = status_reply_write(&message, &json, error);
	if (code == RH_OK)
		reply_json(reply, 200, &json);
	buffer_free(&json);
	free(head);
	return code;
}

void handle_licenses(
    struct service *service, const struct request *request, struct reply *reply)
{
	struct guard guard;
	struct question question = {.service = service, .request = request, .guard = &guard};
	enum problem problem = PROBLEM_NONE;
	rh_error error;
	int code;

	if (!guard_request(service, request, true, &guard, reply))
		return;
	question.now = service_now(service);
	code = read_question(&question, &problem, &error);
	if (code == RH_OK && problem == PROBLEM_NONE)
		code = tell_all(&question, reply, &error);
	finish(service, request, reply, code, problem, &error);
	question_free(&question);
	guard_free(&guard);
}

/* ---- /v1/release ---- */

static int check_release(const struct service *service, const struct guard *guard,
    const struct release_request *message, char release[JOSE_THUMBPRINT_SIZE],
    char owner_license_key[JOSE_THUMBPRINT_SIZE], char owner_release[JOSE_THUMBPRINT_SIZE],
    enum problem *problem, rh_error *error)
{
	int code = guard_release(service, message->proof, message->computer, guard->proof.nonce,
	    release, problem, error);

	if (code == RH_OK && *problem == PROBLEM_NONE)
		code = guard_owner(
		    service, message->owner, owner_license_key, owner_release, problem, error);
	return code;
}

static int answer_release(struct service *service, struct release_reply *message,
    const struct head *head, struct reply *reply, rh_error *error)
{
	struct buffer json = {0};
	char *text = NULL;
	int code = sign_head(service, head, &text, error);

	message->head = text;
	if (code == RH_OK)
		code = release_reply_write(message, &json, error);
	if (code == RH_OK)
		reply_json(reply, 200, &json);
	buffer_free(&json);
	free(text);
	return code;
}

static int release(struct service *service, const struct guard *guard,
    const struct release_request *message, struct reply *reply, enum problem *problem,
    rh_error *error)
{
	char key[JOSE_THUMBPRINT_SIZE], owner_license_key[JOSE_THUMBPRINT_SIZE];
	char owner_release[JOSE_THUMBPRINT_SIZE];
	struct release_reply answer = {
	    .computer = message->computer, .effective = MESSAGE_TIME_NONE};
	struct ledger_release wanted = {
	    .computer = message->computer,
	    .release = key,
	    .cancel = message->cancel,
	    .nonce = guard->proof.nonce,
	    .actor = guard->computer,
	};
	struct head head;
	int code = check_release(
	    service, guard, message, key, owner_license_key, owner_release, problem, error);

	if (code != RH_OK || *problem != PROBLEM_NONE)
		return code;
	if (message->owner != NULL) {
		wanted.owner_license_key = owner_license_key;
		wanted.owner_release = owner_release;
	}
	code = ledger_release(service->ledger, service_now(service), &wanted, &answer.state,
	    &answer.effective, problem, &head, error);
	if (code != RH_OK || *problem != PROBLEM_NONE)
		return code;
	return answer_release(service, &answer, &head, reply, error);
}

void handle_release(struct service *service, const struct request *request, struct reply *reply)
{
	struct release_request message = {0};
	enum problem problem = PROBLEM_NONE;
	struct guard guard;
	rh_error why, error;
	int code;

	if (!guard_request(service, request, true, &guard, reply))
		return;
	code = release_request_read(&message, request->body, request->body_size, &why);
	code = refuse_malformed(code, &why, &problem, &error);
	if (code == RH_OK && problem == PROBLEM_NONE)
		code = release(service, &guard, &message, reply, &problem, &error);
	finish(service, request, reply, code, problem, &error);
	release_request_free(&message);
	guard_free(&guard);
}
