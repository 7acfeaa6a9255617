#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority/fetch.h"
#include "base/text.h"
#include "crypto/managed.h"

#include "engine/managed.h"

/* Batches that are under way at once, each at another service. */
#define AWAY_MAX 4

static void request_free(struct managed_request *request)
{
	free(request->licenses);
	buffer_free(&request->text);
	*request = (struct managed_request){.licenses = NULL};
}

void managed_batch_free(struct managed_batch *batch)
{
	if (batch == NULL)
		return;
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->slots[i] != NULL)
			content_free(&batch->slots[i]->content);
		free(batch->slots[i]);
	}
	request_free(&batch->request);
	store_grant_free(&batch->grants);
	free(batch);
}

/* The slot is done with. */
static void drop_slot(struct managed_batch *batch, size_t i)
{
	content_free(&batch->slots[i]->content);
	free(batch->slots[i]);
	batch->slots[i] = NULL;
}

/* Closes the gaps. */
static void compact(struct managed_batch *batch)
{
	size_t count = 0;

	for (size_t i = 0; i < batch->count; i++)
		if (batch->slots[i] != NULL)
			batch->slots[count++] = batch->slots[i];
	batch->count = count;
}

/* ---- The request ---- */

/* Says that this computer is the one that a licence of the batch was issued to, if it is. */
static int make_claim(struct restore *run, struct managed_service *service,
    const struct managed_batch *batch, const char **ret, rh_error *error)
{
	const struct jose_key *key;
	bool ours = false;
	int code = RH_OK;

	*ret = NULL;
	for (size_t i = 0; i < batch->count && !ours && run->computer[0] != '\0'; i++)
		ours = strcmp(batch->slots[i]->content.computer, run->computer) == 0;
	if (ours && service->claim == NULL) {
		code = computer_license_key(run->store->computer, &key, error);
		if (code == RH_OK)
			code = claim_sign(key, service->address, service->link->computer,
			    &service->claim, error);
	}
	if (code == RH_OK && ours)
		*ret = service->claim;
	return code;
}

static int make_idempotency_key(
    char ret[BASE64_SIZE(MANAGED_IDEMPOTENCY_BYTES)], rh_error *error)
{
	uint8_t bytes[MANAGED_IDEMPOTENCY_BYTES];
	int code = random_bytes(bytes, sizeof bytes, error);

	if (code == RH_OK)
		base64_encode(ret, bytes, sizeof bytes, BASE64_URL | BASE64_NO_PAD);
	return code;
}

/* Secrets as base64url go to ${text}, which has room for all. */
static void fill_license(const struct content *content, bool commit, struct buffer *text,
    struct request_license *license)
{
	const struct buffer *document = &content->document;

	*license = (struct request_license){.document = (const char *)document->data,
	    .document_size = document->size,
	    .id = content->row.facts.id,
	    .issuer = content->row.facts.issuer};
	/* A signed licence may end with a line feed, a compact JWS not. */
	if (document->size > 0 && document->data[document->size - 1] == '\n')
		license->document_size--;
	if (!commit || content->secret.size == 0)
		return;
	license->secret = (const char *)text->data + text->size;
	license->secret_size = base64_encode((char *)text->data + text->size,
	    content->secret.data, content->secret.size, BASE64_URL | BASE64_NO_PAD);
	text->size += license->secret_size + 1;
}

static int fill_licenses(
    struct managed_batch *batch, bool commit, bool *ret_secrets, rh_error *error)
{
	struct managed_request *request = &batch->request;
	size_t room = 0;
	int code;

	*ret_secrets = false;
	request->licenses = calloc(batch->count, sizeof *request->licenses);
	if (request->licenses == NULL)
		return error_memory(error);
	for (size_t i = 0; i < batch->count; i++)
		room += BASE64_SIZE(batch->slots[i]->content.secret.size);
	code = buffer_reserve(&request->text, room, error);
	for (size_t i = 0; i < batch->count && code == RH_OK; i++) {
		fill_license(
		    &batch->slots[i]->content, commit, &request->text, &request->licenses[i]);
		*ret_secrets |= request->licenses[i].secret != NULL;
	}
	return code;
}

static int make_request(struct restore *run, struct managed_service *service,
    struct managed_batch *batch, rh_error *error)
{
	struct managed_request *request = &batch->request;
	struct restore_request *message = &request->message;
	bool secrets;
	int code = fill_licenses(batch, !run->plan, &secrets, error);

	*message = (struct restore_request){
	    .path = run->plan ? MESSAGE_PLAN : MESSAGE_COMMIT,
	    .owner = service->owner,
	    .licenses = request->licenses,
	    .license_count = batch->count,
	};
	if (code == RH_OK)
		code = make_claim(run, service, batch, &message->claim, error);
	if (code == RH_OK && !run->plan) {
		message->key = secrets ? service->key : NULL;
		message->idempotency_key = request->idempotency;
		code = make_idempotency_key(request->idempotency, error);
	}
	return code;
}

/* ---- The reply ---- */

/* Of a licence that is granted: seals its secret for the store. */
static int take_secret(struct restore *run, const struct managed_service *service,
    struct managed_box *box, const struct reply_license *reply, struct managed_slot *slot,
    rh_error *error)
{
	struct store_row *row = &slot->content.row;
	struct buffer sealed = {0}, secret = {0};
	ptrdiff_t size = -1;
	int code = RH_OK;

	if (!row->has_secret)
		return RH_OK;
	if (reply->secret != NULL && box != NULL) {
		code = buffer_reserve(&sealed, strlen(reply->secret) + 1, error);
		if (code == RH_OK)
			size = base64_decode(sealed.data, sealed.capacity, reply->secret,
			    strlen(reply->secret), BASE64_URL | BASE64_NO_PAD);
	}
	if (code == RH_OK && size <= 0)
		code = error_set(error, RH_E_LICENSE_DAMAGED, "no secret");
	if (code == RH_OK)
		code = managed_box_open(box, service->address, row->facts.id, sealed.data,
		    (size_t)size, &secret, error);
	if (code == RH_OK && secret.size == 0)
		code = error_set(error, RH_E_LICENSE_DAMAGED, "no secret");
	if (code == RH_OK)
		code = store_seal_secret(run->sealer, row, secret.data, secret.size, error);
	buffer_free(&sealed);
	buffer_free_secret(&secret);
	return code;
}

/* "computer 2 of 4", and what stays behind. */
static void describe(
    const struct restore *run, const struct reply_license *reply, struct managed_slot *slot)
{
	snprintf(slot->text, sizeof slot->text, "computer %u of %u%s", reply->computers,
	    reply->limit,
	    restore_counts_stay(run, &slot->content)
		? "; its counts stay with the computer that it was issued to"
		: "");
}

static bool about_limit(const char *code)
{
	static const char *const codes[] = {
	    "limit-reached", "period-limit-reached", "cooldown"};

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

static void refuse(
    struct restore *run, const struct reply_license *reply, const struct content *content)
{
	const char *name = reply->code != NULL ? reply->code : "";
	const char *words = reply->detail != NULL ? reply->detail : name;
	struct license_view view;
	bool limit = about_limit(name);

	managed_fail(run, content, limit ? RH_E_LIMIT_REACHED : RH_E_SERVICE_REFUSED, words);
	/* Whoever hears of it opens it in a browser: no script, no file. */
	if (limit && reply->page != NULL && authority_is_address(reply->page))
		report_limit(run->report,
		    license_view(&view, run->report->language, &content->row.facts,
			content->row.bytes, content->row.added),
		    reply->page);
}

/* What a plan says of one licence. */
static void take_planned(
    struct restore *run, const struct reply_license *reply, struct managed_slot *slot)
{
	if (reply->result == MESSAGE_REFUSED) {
		refuse(run, reply, &slot->content);
		return;
	}
	describe(run, reply, slot);
	run->summary->done++;
	restore_tell(run, &slot->content,
	    reply->result == MESSAGE_COSTS ? RH_S_COSTS : RH_S_FREE, slot->text);
	report_done(run->report, 1, slot->content.row.bytes);
}

/* RH_E_LICENSE_DAMAGED: what came is not what was granted. */
static int take_granted(struct restore *run, const struct managed_service *service,
    struct managed_box *box, const struct reply_license *reply, struct managed_slot *slot,
    rh_error *error)
{
	slot->code = reply->result == MESSAGE_GRANTED ? RH_S_GRANTED : RH_S_FREE;
	slot->grant.number = reply->computers;
	slot->grant.limit = reply->limit;
	slot->grant.since = reply->since;
	describe(run, reply, slot);
	buffer_free(&slot->content.document);
	buffer_free(&slot->content.secret);
	return take_secret(run, service, box, reply, slot, error);
}

/* What the batch key of a reply opens; NULL in ${*ret} if it has none. */
static int open_key(const struct managed_service *service, const struct restore_reply *reply,
    struct managed_box **ret, rh_error *error)
{
	struct buffer opened = {0};
	int code;

	*ret = NULL;
	if (reply->key == NULL)
		return RH_OK;
	code = jose_open(service->link->key, reply->key, strlen(reply->key), &opened, error);
	if (code == RH_OK && opened.size == KEY_SIZE) {
		code = managed_box_new(opened.data, ret, error);
	} else if (code != RH_E_MEMORY) {
		code = error_set(error, RH_E_SERVICE_REPLY,
		    "the key that %s has sent does not open", service->address);
	}
	buffer_free_secret(&opened);
	return code;
}

/* Hashes of all grants of the reply, and where each licence's stands. */
static int take_leaves(struct managed_batch *batch, const struct restore_reply *reply,
    const char *computer, rh_error *error)
{
	struct store_grant *common = &batch->grants;
	int code = RH_OK;

	if (reply->grants == NULL)
		return RH_OK;
	common->leaves = calloc(batch->count, DIGEST_SIZE);
	common->root = strdup(reply->grants);
	if (common->leaves == NULL || common->root == NULL)
		return error_memory(error);
	snprintf(common->computer, sizeof common->computer, "%s", computer);
	for (size_t i = 0; i < batch->count && code == RH_OK; i++) {
		const struct reply_license *license = &reply->licenses[i];
		const struct grant grant = {.issuer = license->issuer,
		    .license = license->id,
		    .computer = computer,
		    .number = license->computers,
		    .limit = license->limit,
		    .since = license->since};

		if (license->result != MESSAGE_FREE && license->result != MESSAGE_GRANTED)
			continue;
		batch->slots[i]->grant.position = common->leaf_count;
		code = grant_leaf(&grant, common->leaves[common->leaf_count++], error);
	}
	return code;
}

static bool same_license(const struct reply_license *reply, const struct content *content)
{
	return reply->id != NULL && reply->issuer != NULL &&
	       strcmp(reply->id, content->row.facts.id) == 0 &&
	       strcmp(reply->issuer, content->row.facts.issuer) == 0;
}

/* Sorts out one licence of the reply; leaves in the batch what is to be stored. */
static int take_license(struct restore *run, struct managed_batch *batch, size_t i,
    struct managed_box *box, const struct reply_license *reply, rh_error *error)
{
	struct managed_slot *slot = batch->slots[i];
	int code = RH_OK;

	if (reply->result == MESSAGE_REFUSED) {
		refuse(run, reply, &slot->content);
	} else if (!same_license(reply, &slot->content)) {
		managed_fail(run, &slot->content, RH_E_SERVICE_REPLY,
		    "its service answered for another licence");
	} else if (run->plan) {
		take_planned(run, reply, slot);
	} else {
		code = take_granted(run, batch->service, box, reply, slot, error);
		if (code == RH_OK)
			return RH_OK;
		if (code == RH_E_LICENSE_DAMAGED) {
			error_clear(error);
			managed_fail(run, &slot->content, RH_E_SERVICE_REPLY,
			    "the secret that its service has sent does not open");
			code = RH_OK;
		}
	}
	drop_slot(batch, i);
	return code;
}

/* RH_E_SERVICE_REPLY before anything of it was taken. */
static int take_reply(struct restore *run, struct managed_batch *batch,
    const struct restore_reply *reply, rh_error *error)
{
	struct managed_service *service = batch->service;
	struct managed_box *box = NULL;
	int code = RH_OK;

	if (reply->license_count != batch->count)
		return error_set(error, RH_E_SERVICE_REPLY,
		    "%s answered for %zu of %zu licences", service->address,
		    reply->license_count, batch->count);
	snprintf(batch->grants.service, sizeof batch->grants.service, "%s", service->address);
	if (!run->plan) {
		code = open_key(service, reply, &box, error);
		if (code == RH_OK)
			code = take_leaves(batch, reply, service->link->computer, error);
	}
	for (size_t i = 0; i < batch->count && code == RH_OK; i++)
		code = take_license(run, batch, i, box, &reply->licenses[i], error);
	managed_box_free(box);
	compact(batch);
	return code;
}

/* ---- Asking ---- */

static bool stops_everything(int code)
{
	return code == RH_E_CANCELED || code == RH_E_MEMORY || code == RH_E_INTERNAL ||
	       (code >= RH_E_STORE_MISSING && code <= RH_E_STORE_CREATE) || code == RH_E_FULL ||
	       code == RH_E_ACCESS;
}

/* The service is not asked again in this run. */
static void give_up(struct restore *run, struct managed_service *service,
    struct managed_batch *batch, const rh_error *why)
{
	service->code = why->code;
	service->why = *why;
	for (size_t i = 0; i < batch->count; i++)
		if (batch->slots[i] != NULL)
			managed_fail_service(run, service, &batch->slots[i]->content);
}

/* What became of a batch: ${code} of its exchange, and ${reply} or ${why}. */
static int take_batch(struct restore *run, struct managed_batch *batch, int code,
    struct restore_reply *reply, rh_error *why, rh_error *error)
{
	struct managed_service *service = batch->service;
	struct managed *managed = run->managed;

	request_free(&batch->request);
	if (code == RH_OK) {
		service->heard = true;
		code = take_reply(run, batch, reply, why);
		restore_reply_free(reply);
	}
	if (code != RH_OK && stops_everything(code)) {
		if (error != NULL)
			*error = *why;
	} else if (code != RH_OK) {
		give_up(run, service, batch, why);
		code = RH_OK;
	} else if (batch->count > 0) {
		batch->next = managed->pending;
		managed->pending = batch;
		managed->pending_count += batch->count;
		return RH_OK;
	}
	managed_batch_free(batch);
	return code;
}

/* The end of what is under way; NULL if nothing is. */
static struct managed_batch *end(struct restore *run, struct managed_service *service,
    struct restore_reply *reply, rh_error *why, int *ret_code)
{
	struct managed_batch *batch = service->asked;

	if (batch == NULL)
		return NULL;
	service->asked = NULL;
	run->managed->away--;
	*ret_code = link_restore_end(service->link, reply, why);
	return batch;
}

int managed_hear(struct restore *run, struct managed_service *service, rh_error *error)
{
	struct restore_reply reply = {0};
	rh_error why;
	int code = RH_OK;
	struct managed_batch *batch = end(run, service, &reply, &why, &code);

	return batch != NULL ? take_batch(run, batch, code, &reply, &why, error) : RH_OK;
}

/* Sends it: now, or while something else is done. */
static int send_batch(struct restore *run, struct managed_service *service,
    struct managed_batch *batch, bool now, rh_error *error)
{
	struct managed *managed = run->managed;
	struct restore_request *message = &batch->request.message;
	struct restore_reply reply = {0};
	rh_error why;
	int code;

	error_clear(&why);
	code = make_request(run, service, batch, &why);
	if (code == RH_OK && !now && managed->away < AWAY_MAX)
		code = link_restore_begin(service->link, message, &why);
	else if (code == RH_OK)
		return take_batch(run, batch,
		    link_restore(service->link, message, &reply, &why), &reply, &why, error);
	if (code != RH_OK)
		return take_batch(run, batch, code, &reply, &why, error);
	service->asked = batch;
	managed->away++;
	return RH_OK;
}

int managed_ask(
    struct restore *run, struct managed_service *service, bool last, rh_error *error)
{
	struct managed *managed = run->managed;
	struct managed_batch *batch = service->batch, *before;
	struct restore_reply reply = {0};
	rh_error why;
	int code = RH_OK, sent = RH_OK;

	service->batch = NULL;
	managed->collected -= batch->count;
	managed->collected_bytes -= batch->bytes;
	before = end(run, service, &reply, &why, &code);
	if (before == NULL)
		return send_batch(run, service, batch, last, error);
	if (code == RH_OK) {
		sent = send_batch(run, service, batch, false, error);
		batch = NULL;
	}
	code = take_batch(run, before, code, &reply, &why, sent == RH_OK ? error : NULL);
	if (batch != NULL && code == RH_OK)
		for (size_t i = 0; i < batch->count; i++)
			managed_fail_service(run, service, &batch->slots[i]->content);
	managed_batch_free(batch);
	return sent != RH_OK ? sent : code;
}
