#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/managed.h"
#include "service/documents.h"
#include "service/guard.h"
#include "service/keys.h"
#include "service/rehearse.h"

/* "/v1/plan" and "/v1/commit". */

#define BASE64_JOSE (BASE64_URL | BASE64_NO_PAD)
#define CASES "/cases/"

/* One batch of licences on its way through. */
struct batch {
	struct service *service;
	const struct request *request;
	const struct guard *guard;
	int64_t now;
	struct restore_request message;
	struct ledger_license *licenses; /* as many as in the message */
	struct ledger_outcome *outcomes;
	struct buffer *secrets; /* opened; empty where the licence has none */
	struct ledger_visitor visitor;
	char claim[JOSE_THUMBPRINT_SIZE];
	char owner_license_key[JOSE_THUMBPRINT_SIZE];
	char owner_release[JOSE_THUMBPRINT_SIZE];
	struct head seen; /* by the computer, before */
	/* What is answered. */
	struct head head;
	char *head_text;
	char *grants;
	char *key; /* the new batch key, sealed for the computer */
	struct reply_license *replies;
	char *texts; /* that the replies point to */
};

static void batch_free(struct batch *batch)
{
	for (size_t i = 0; batch->secrets != NULL && i < batch->message.license_count; i++)
		buffer_free_secret(&batch->secrets[i]);
	free(batch->secrets);
	free(batch->licenses);
	free(batch->outcomes);
	free(batch->head_text);
	free(batch->grants);
	free(batch->key);
	free(batch->replies);
	free(batch->texts);
	restore_request_free(&batch->message);
}

/* ---- What is asked ---- */

static int read_message(struct batch *batch, enum problem *problem, rh_error *error)
{
	const struct request *request = batch->request;
	rh_error why;
	int code;

	batch->message.path = strcmp(request->path, message_paths[MESSAGE_COMMIT]) == 0
				  ? MESSAGE_COMMIT
				  : MESSAGE_PLAN;
	code = restore_request_read(&batch->message, request->body, request->body_size, &why);
	if (code == RH_E_LICENSE_INVALID)
		*problem = PROBLEM_MALFORMED;
	else if (code != RH_OK && error != NULL)
		*error = why;
	return *problem != PROBLEM_NONE ? RH_OK : code;
}

static int read_visitor(struct batch *batch, enum problem *problem, rh_error *error)
{
	const struct service *service = batch->service;
	struct ledger_visitor *visitor = &batch->visitor;
	const char *computer = batch->guard->computer;
	bool has_seen = false;
	int code =
	    guard_claim(service, batch->message.claim, computer, batch->claim, problem, error);

	if (code == RH_OK && *problem == PROBLEM_NONE)
		code = guard_owner(service, batch->message.owner, batch->owner_license_key,
		    batch->owner_release, problem, error);
	if (code == RH_OK && *problem == PROBLEM_NONE)
		code = guard_head(
		    service, batch->message.head, &batch->seen, &has_seen, problem, error);
	visitor->computer = computer;
	if (batch->message.claim != NULL)
		visitor->claim = batch->claim;
	if (batch->message.owner != NULL) {
		visitor->owner_license_key = batch->owner_license_key;
		visitor->owner_release = batch->owner_release;
	}
	if (has_seen)
		visitor->head = &batch->seen;
	return code;
}

/* ---- Secrets, opened before anything is charged ---- */

static int open_key(
    const struct batch *batch, struct buffer *ret, enum problem *problem, rh_error *error)
{
	const char *text = batch->message.key;
	rh_error why;
	int code;

	if (text == NULL) {
		*problem = PROBLEM_KEY;
		return RH_OK;
	}
	code = service_keys_open_jwe(batch->service->keys, text, strlen(text), ret, &why);
	if (code == RH_E_LICENSE_CONTENT_KEY || (code == RH_OK && ret->size != KEY_SIZE))
		*problem = PROBLEM_KEY;
	else if (code != RH_OK && error != NULL)
		*error = why;
	return *problem != PROBLEM_NONE ? RH_OK : code;
}

/* ${sealed} takes what base64 gives. */
static int open_secret(struct managed_box *box, const struct request_license *asked,
    struct ledger_license *license, uint8_t *sealed, struct buffer *ret, rh_error *error)
{
	ptrdiff_t size = base64_decode(
	    sealed, MANAGED_SECRET_MAX, asked->secret, asked->secret_size, BASE64_JOSE);
	rh_error why;
	int code;

	if (size < 0) {
		license->problem = PROBLEM_LICENSE_SECRET;
		return RH_OK;
	}
	code = managed_box_open(
	    box, license->service, license->id, sealed, (size_t)size, ret, &why);
	if (code == RH_E_LICENSE_DAMAGED) {
		license->problem = PROBLEM_LICENSE_SECRET;
		return RH_OK;
	}
	if (code != RH_OK && error != NULL)
		*error = why;
	return code;
}

static bool any_secret(const struct batch *batch)
{
	for (size_t i = 0; i < batch->message.license_count; i++)
		if (batch->message.licenses[i].secret != NULL)
			return true;
	return false;
}

static int open_secrets(struct batch *batch, enum problem *problem, rh_error *error)
{
	size_t count = batch->message.license_count;
	struct managed_box *box = NULL;
	struct buffer key = {0};
	uint8_t *sealed;
	int code;

	if (!any_secret(batch))
		return RH_OK;
	code = open_key(batch, &key, problem, error);
	if (code != RH_OK || *problem != PROBLEM_NONE) {
		buffer_free_secret(&key);
		return code;
	}
	sealed = malloc(MANAGED_SECRET_MAX);
	batch->secrets = calloc(count, sizeof *batch->secrets);
	if (sealed == NULL || batch->secrets == NULL)
		code = error_memory(error);
	if (code == RH_OK)
		code = managed_box_new(key.data, &box, error);
	for (size_t i = 0; code == RH_OK && i < count; i++)
		if (batch->message.licenses[i].secret != NULL &&
		    batch->licenses[i].problem == PROBLEM_NONE)
			code = open_secret(box, &batch->message.licenses[i],
			    &batch->licenses[i], sealed, &batch->secrets[i], error);
	managed_box_free(box);
	free(sealed);
	buffer_free_secret(&key);
	return code;
}

/* ---- The ledger ---- */

static int ask_ledger(struct batch *batch, enum problem *problem, rh_error *error)
{
	struct ledger *ledger = batch->service->ledger;
	size_t count = batch->message.license_count;
	struct ledger_commit commit = {
	    .idempotency_key = batch->message.idempotency_key,
	    .nonce = batch->guard->proof.nonce,
	};
	uint8_t body[DIGEST_SIZE];
	int code;

	batch->outcomes = calloc(count, sizeof *batch->outcomes);
	if (batch->outcomes == NULL)
		return error_memory(error);
	if (batch->message.path == MESSAGE_PLAN)
		return ledger_plan(ledger, batch->now, &batch->visitor, batch->licenses, count,
		    batch->outcomes, problem, &batch->head, error);
	code = sha256(body, batch->request->body, batch->request->body_size, error);
	if (code != RH_OK)
		return code;
	commit.body = body;
	return ledger_commit(ledger, batch->now, &batch->visitor, &commit, batch->licenses,
	    count, batch->outcomes, &batch->grants, problem, &batch->head, error);
}

/* ---- What is answered ---- */

static bool is_given(const struct batch *batch, size_t i)
{
	enum message_result result = batch->outcomes[i].result;

	return batch->secrets != NULL && batch->secrets[i].size > 0 &&
	       (result == MESSAGE_FREE || result == MESSAGE_GRANTED);
}

/* Characters of the texts of one reply. */
static size_t text_room(const struct batch *batch, size_t i)
{
	size_t room = strlen(batch->service->address) + sizeof CASES + LEDGER_TOKEN_SIZE;

	if (is_given(batch, i))
		room += BASE64_SIZE(batch->secrets[i].size + SEAL_OVERHEAD);
	return room;
}

static int make_room(struct batch *batch, rh_error *error)
{
	size_t count = batch->message.license_count, room = 0;

	for (size_t i = 0; i < count; i++)
		room += text_room(batch, i);
	batch->replies = calloc(count, sizeof *batch->replies);
	batch->texts = malloc(room);
	if (batch->replies == NULL || batch->texts == NULL)
		return error_memory(error);
	return RH_OK;
}

/* Seals the secret again, for nobody but this computer. */
static int seal_secret(const struct batch *batch, size_t i, struct managed_box *box,
    struct buffer *sealed, char **text, rh_error *error)
{
	const struct ledger_license *license = &batch->licenses[i];
	const struct buffer *secret = &batch->secrets[i];
	int code;

	buffer_clear(sealed);
	code = managed_box_seal(
	    box, license->service, license->id, secret->data, secret->size, sealed, error);
	if (code != RH_OK)
		return code;
	batch->replies[i].secret = *text;
	*text += base64_encode(*text, sealed->data, sealed->size, BASE64_JOSE) + 1;
	return RH_OK;
}

/* A new batch key, and what seals with it. */
static int seal_key(struct batch *batch, struct managed_box **ret, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code = random_bytes(key, sizeof key, error);

	if (code == RH_OK)
		code = jose_seal(batch->guard->key, NULL, key, sizeof key, &batch->key, error);
	if (code == RH_OK)
		code = managed_box_new(key, ret, error);
	bytes_wipe(key, sizeof key);
	return code;
}

static void answer_license(struct batch *batch, size_t i, char **text)
{
	const struct ledger_license *license = &batch->licenses[i];
	const struct ledger_outcome *outcome = &batch->outcomes[i];
	struct reply_license *reply = &batch->replies[i];

	reply->id = license->id[0] != '\0' ? license->id : NULL;
	reply->issuer = license->issuer[0] != '\0' ? license->issuer : NULL;
	reply->result = outcome->result;
	reply->computers = outcome->number;
	reply->limit = outcome->limit;
	reply->since = outcome->since;
	reply->next = outcome->next;
	if (outcome->result != MESSAGE_REFUSED)
		return;
	reply->code = problem_code(outcome->problem);
	reply->detail = problem_detail(outcome->problem, batch->request->language);
	if (outcome->token[0] == '\0')
		return;
	reply->page = *text;
	*text += sprintf(*text, "%s" CASES "%s", batch->service->address, outcome->token) + 1;
}

static int answer_licenses(struct batch *batch, rh_error *error)
{
	struct managed_box *box = NULL;
	struct buffer sealed = {0};
	char *text = batch->texts;
	int code = RH_OK;

	for (size_t i = 0; code == RH_OK && i < batch->message.license_count; i++) {
		answer_license(batch, i, &text);
		if (!is_given(batch, i))
			continue;
		if (box == NULL)
			code = seal_key(batch, &box, error);
		if (code == RH_OK)
			code = seal_secret(batch, i, box, &sealed, &text, error);
	}
	managed_box_free(box);
	buffer_free(&sealed);
	return code;
}

static int answer(struct batch *batch, struct reply *reply, rh_error *error)
{
	const struct service *service = batch->service;
	struct buffer json = {0};
	struct restore_reply message = {.license_count = batch->message.license_count};
	int code = make_room(batch, error);

	if (code == RH_OK)
		code = answer_licenses(batch, error);
	if (code == RH_OK)
		code = head_sign(service_keys_signing(service->keys), service->address,
		    &batch->head, &batch->head_text, error);
	message.licenses = batch->replies;
	message.grants = batch->grants;
	message.key = batch->key;
	message.head = batch->head_text;
	if (code == RH_OK)
		code = restore_reply_write(&message, &json, error);
	if (code == RH_OK)
		reply_json(reply, 200, &json);
	buffer_free(&json);
	return code;
}

/* ---- One after the other ---- */

static int restore(
    struct batch *batch, struct reply *reply, enum problem *problem, rh_error *error)
{
	int code = read_message(batch, problem, error);

	if (code != RH_OK || *problem != PROBLEM_NONE)
		return code;
	reply->licenses = (uint32_t)batch->message.license_count;
	code = read_visitor(batch, problem, error);
	if (code != RH_OK || *problem != PROBLEM_NONE)
		return code;
	code = documents_read(batch->service, batch->message.licenses,
	    batch->message.license_count, &batch->licenses, error);
	if (code == RH_OK && batch->message.path == MESSAGE_COMMIT)
		code = open_secrets(batch, problem, error);
	if (code == RH_OK && batch->service->rehearsal != NULL)
		code = rehearsal_licenses(
		    batch->service, batch->licenses, batch->message.license_count, error);
	if (code != RH_OK || *problem != PROBLEM_NONE)
		return code;
	code = ask_ledger(batch, problem, error);
	if (code != RH_OK || *problem != PROBLEM_NONE)
		return code;
	return answer(batch, reply, error);
}

void handle_restore(struct service *service, const struct request *request, struct reply *reply)
{
	struct guard guard;
	struct batch batch = {.service = service, .request = request, .guard = &guard};
	enum problem problem = PROBLEM_NONE;
	rh_error error;
	int code;

	if (!guard_request(service, request, true, &guard, reply))
		return;
	batch.now = service_now(service);
	code = restore(&batch, reply, &problem, &error);
	if (code != RH_OK)
		reply_failure(service, reply, request, &error);
	else if (problem != PROBLEM_NONE)
		reply_problem(reply, request, problem, NULL);
	batch_free(&batch);
	guard_free(&guard);
}
