#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/managed.h"

#include "engine/managed.h"

#define IDEMPOTENCY_BYTES 24

void managed_batch_free(struct managed_batch *batch)
{
	if (batch == NULL)
		return;
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->slots[i] != NULL)
			content_free(&batch->slots[i]->content);
		free(batch->slots[i]);
	}
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

static int make_idempotency_key(char ret[BASE64_SIZE(IDEMPOTENCY_BYTES)], rh_error *error)
{
	uint8_t bytes[IDEMPOTENCY_BYTES];
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

/* ${licenses} and ${text} are the request's, as long as it is. */
static int fill_licenses(const struct managed_batch *batch, bool commit,
    struct request_license **licenses, struct buffer *text, bool *ret_secrets, rh_error *error)
{
	size_t room = 0;
	int code;

	*ret_secrets = false;
	*licenses = calloc(batch->count, sizeof **licenses);
	if (*licenses == NULL)
		return error_memory(error);
	for (size_t i = 0; i < batch->count; i++)
		room += BASE64_SIZE(batch->slots[i]->content.secret.size);
	code = buffer_reserve(text, room, error);
	for (size_t i = 0; i < batch->count && code == RH_OK; i++) {
		fill_license(&batch->slots[i]->content, commit, text, &(*licenses)[i]);
		*ret_secrets |= (*licenses)[i].secret != NULL;
	}
	return code;
}

static int send_batch(struct restore *run, struct managed_service *service,
    const struct managed_batch *batch, struct restore_reply *ret, rh_error *error)
{
	char idempotency[BASE64_SIZE(IDEMPOTENCY_BYTES)];
	struct request_license *licenses = NULL;
	struct buffer text = {0};
	struct restore_request request = {
	    .path = run->plan ? MESSAGE_PLAN : MESSAGE_COMMIT,
	    .owner = service->owner,
	    .license_count = batch->count,
	};
	bool secrets;
	int code = fill_licenses(batch, !run->plan, &licenses, &text, &secrets, error);

	request.licenses = licenses;
	if (code == RH_OK)
		code = make_claim(run, service, batch, &request.claim, error);
	if (code == RH_OK && !run->plan) {
		request.key = secrets ? service->key : NULL;
		request.idempotency_key = idempotency;
		code = make_idempotency_key(idempotency, error);
	}
	if (code == RH_OK)
		code = link_restore(service->link, &request, ret, error);
	free(licenses);
	buffer_free(&text);
	return code;
}

/* ---- The reply ---- */

/* Of a licence that is granted: seals its secret for the store. */
static int take_secret(struct restore *run, const struct managed_service *service,
    const uint8_t key[KEY_SIZE], const struct reply_license *reply, struct managed_slot *slot,
    rh_error *error)
{
	struct store_row *row = &slot->content.row;
	struct buffer sealed = {0}, secret = {0};
	ptrdiff_t size = -1;
	int code = RH_OK;

	if (!row->has_secret)
		return RH_OK;
	if (reply->secret != NULL && key != NULL) {
		code = buffer_reserve(&sealed, strlen(reply->secret) + 1, error);
		if (code == RH_OK)
			size = base64_decode(sealed.data, sealed.capacity, reply->secret,
			    strlen(reply->secret), BASE64_URL | BASE64_NO_PAD);
	}
	if (code == RH_OK && size <= 0)
		code = error_set(error, RH_E_LICENSE_DAMAGED, "no secret");
	if (code == RH_OK)
		code = managed_open(key, service->address, row->facts.id, sealed.data,
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
	if (limit && reply->page != NULL)
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
    const uint8_t *key, const struct reply_license *reply, struct managed_slot *slot,
    rh_error *error)
{
	slot->code = reply->result == MESSAGE_GRANTED ? RH_S_GRANTED : RH_S_FREE;
	slot->grant.number = reply->computers;
	slot->grant.limit = reply->limit;
	slot->grant.since = reply->since;
	describe(run, reply, slot);
	buffer_free(&slot->content.document);
	buffer_free(&slot->content.secret);
	return take_secret(run, service, key, reply, slot, error);
}

/* The batch key of a reply: NULL in ${*ret} if it has none.  Wipe ${key}. */
static int open_key(const struct managed_service *service, const struct restore_reply *reply,
    uint8_t key[KEY_SIZE], const uint8_t **ret, rh_error *error)
{
	struct buffer opened = {0};
	int code;

	*ret = NULL;
	if (reply->key == NULL)
		return RH_OK;
	code = jose_open(service->link->key, reply->key, strlen(reply->key), &opened, error);
	if (code == RH_OK && opened.size == KEY_SIZE) {
		memcpy(key, opened.data, KEY_SIZE);
		*ret = key;
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
    const uint8_t *key, const struct reply_license *reply, rh_error *error)
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
		code = take_granted(run, batch->service, key, reply, slot, error);
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
	uint8_t memory[KEY_SIZE];
	const uint8_t *key = NULL;
	int code = RH_OK;

	if (reply->license_count != batch->count)
		return error_set(error, RH_E_SERVICE_REPLY,
		    "%s answered for %zu of %zu licences", service->address,
		    reply->license_count, batch->count);
	snprintf(batch->grants.service, sizeof batch->grants.service, "%s", service->address);
	if (!run->plan) {
		code = open_key(service, reply, memory, &key, error);
		if (code == RH_OK)
			code = take_leaves(batch, reply, service->link->computer, error);
	}
	for (size_t i = 0; i < batch->count && code == RH_OK; i++)
		code = take_license(run, batch, i, key, &reply->licenses[i], error);
	bytes_wipe(memory, sizeof memory);
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

int managed_ask(struct restore *run, struct managed_service *service, rh_error *error)
{
	struct managed *managed = run->managed;
	struct managed_batch *batch = service->batch;
	struct restore_reply reply = {0};
	rh_error why;
	int code;

	error_clear(&why);
	service->batch = NULL;
	managed->collected -= batch->count;
	managed->collected_bytes -= batch->bytes;
	code = send_batch(run, service, batch, &reply, &why);
	if (code == RH_OK) {
		service->heard = true;
		code = take_reply(run, batch, &reply, &why);
		restore_reply_free(&reply);
	}
	if (code != RH_OK && stops_everything(code)) {
		*error = why;
	} else if (code != RH_OK) {
		give_up(run, service, batch, &why);
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
