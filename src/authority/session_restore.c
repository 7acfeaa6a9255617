#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jsontext.h"

#include "authority/session_call.h"

/* ---- Leaves ---- */

static bool is_granted(const struct reply_license *license)
{
	return license->result == MESSAGE_FREE || license->result == MESSAGE_GRANTED;
}

static int make_leaf(const struct reply_license *license, const char *computer,
    uint8_t ret[DIGEST_SIZE], rh_error *error)
{
	const struct grant grant = {.issuer = license->issuer,
	    .license = license->id,
	    .computer = computer,
	    .number = license->computers,
	    .limit = license->limit,
	    .since = license->since};
	rh_error why = {0};
	int code;

	if (license->id == NULL || license->issuer == NULL || license->computers == 0 ||
	    license->limit == 0 || license->since == MESSAGE_TIME_NONE)
		return error_set(error, RH_E_SERVICE_REPLY,
		    "the service grants a licence without saying which, when, or how many "
		    "computers have it");
	code = grant_leaf(&grant, ret, &why);
	if (code == RH_E_LICENSE_INVALID)
		return error_set(error, RH_E_SERVICE_REPLY,
		    "the service grants a licence that cannot be named: %.400s", why.text);
	if (code != RH_OK)
		return error_set(error, code, "%.400s", why.text);
	return RH_OK;
}

int session_leaves(const struct restore_reply *reply, const char *computer,
    uint8_t (**ret)[DIGEST_SIZE], size_t *ret_count, rh_error *error)
{
	uint8_t(*leaves)[DIGEST_SIZE];
	size_t count = 0, i = 0;
	int code = RH_OK;

	for (size_t license = 0; license < reply->license_count; license++)
		count += is_granted(&reply->licenses[license]);
	if (count == 0) {
		*ret = NULL;
		*ret_count = 0;
		return RH_OK;
	}
	leaves = calloc(count, sizeof *leaves);
	if (leaves == NULL)
		return error_memory(error);
	for (size_t license = 0; license < reply->license_count && code == RH_OK; license++) {
		if (is_granted(&reply->licenses[license]))
			code =
			    make_leaf(&reply->licenses[license], computer, leaves[i++], error);
	}
	if (code != RH_OK) {
		free(leaves);
		return code;
	}
	*ret = leaves;
	*ret_count = count;
	return RH_OK;
}

/* ---- Is it an answer to what was asked? ---- */

/* What a licence says it is, unverified: "jti" and "iss" of the claims; NULL if that cannot be
 * read. */
static int read_claims(const struct request_license *license, json_t **ret, rh_error *error)
{
	const char *end = license->document + license->document_size;
	const char *claims = memchr(license->document, '.', license->document_size);
	const char *signature =
	    claims != NULL ? memchr(claims + 1, '.', (size_t)(end - claims - 1)) : NULL;
	struct buffer bytes = {0};
	ptrdiff_t size = -1;
	int code = RH_OK;

	*ret = NULL;
	if (signature == NULL)
		return RH_OK;
	claims++;
	code = buffer_reserve(&bytes, (size_t)(signature - claims) + 1, error);
	if (code == RH_OK)
		size = base64_decode(bytes.data, bytes.capacity, claims,
		    (size_t)(signature - claims), BASE64_URL | BASE64_NO_PAD);
	if (size > 0 && jsontext_read(bytes.data, (size_t)size, ret, NULL) == RH_E_MEMORY)
		code = error_memory(error);
	buffer_free(&bytes);
	return code;
}

static bool same_text(
    const char *text, const char *wanted, const json_t *claims, const char *name)
{
	if (claims != NULL)
		wanted = json_string_value(json_object_get(claims, name));
	return text != NULL && wanted != NULL && strcmp(text, wanted) == 0;
}

/* A licence may go without its name if it is refused, but not under another's. */
static int check_name(const struct request_license *asked, const char *id, const char *issuer,
    bool needed, rh_error *error)
{
	json_t *claims = NULL;
	bool same = true;
	int code = RH_OK;

	if (asked->id == NULL || asked->issuer == NULL)
		code = read_claims(asked, &claims, error);
	if (code != RH_OK)
		return code;
	if (id != NULL || needed)
		same = same_text(id, asked->id, claims, "jti");
	if (issuer != NULL || needed)
		same = same && same_text(issuer, asked->issuer, claims, "iss");
	json_decref(claims);
	return same ? RH_OK
		    : error_set(error, RH_E_SERVICE_REPLY,
			  "the service answers about another licence than was asked");
}

static int check_license(const struct restore_request *request,
    const struct request_license *asked, const struct restore_reply *reply,
    const struct reply_license *got, rh_error *error)
{
	bool commit = request->path == MESSAGE_COMMIT;
	int code =
	    check_name(asked, got->id, got->issuer, got->result != MESSAGE_REFUSED, error);

	if (code != RH_OK)
		return code;
	if (got->result == (commit ? MESSAGE_COSTS : MESSAGE_GRANTED))
		return error_set(error, RH_E_SERVICE_REPLY,
		    "the service answers a %s with the result of a %s",
		    commit ? "commit" : "plan", commit ? "plan" : "commit");
	if (got->result == MESSAGE_REFUSED && got->code == NULL)
		return error_set(error, RH_E_SERVICE_REPLY,
		    "the service refuses a licence without saying why");
	if (commit && is_granted(got) && asked->secret != NULL &&
	    (got->secret == NULL || reply->key == NULL))
		return error_set(error, RH_E_SERVICE_REPLY,
		    "the service grants a licence and keeps its secret");
	return RH_OK;
}

static int check_count(size_t asked, size_t got, rh_error *error)
{
	if (got == asked)
		return RH_OK;
	return error_set(error, RH_E_SERVICE_REPLY,
	    "the service was asked about %zu licences and answers about %zu", asked, got);
}

static int check_grants(
    const struct session *session, const struct restore_reply *reply, rh_error *error)
{
	const char *computer = jose_key_thumbprint(session->setup.key);
	uint8_t(*leaves)[DIGEST_SIZE] = NULL;
	size_t count = 0;
	rh_error why = {0};
	int code = session_leaves(reply, computer, &leaves, &count, error);

	if (code == RH_OK && count > 0 && reply->grants == NULL)
		code = error_set(error, RH_E_SERVICE_REPLY,
		    "the service grants licences without signing that");
	if (code == RH_OK && count > 0) {
		code = grants_check(reply->grants, session->setup.keys, session->setup.address,
		    computer, (const uint8_t(*)[DIGEST_SIZE])leaves, count, &why);
		if (code != RH_OK)
			code = session_unusable(session, "a grant", code, &why, error);
	}
	free(leaves);
	return code;
}

/* ---- The calls ---- */

static int write_request(
    const struct session *session, void *context, struct buffer *ret, rh_error *error)
{
	(void)session;
	return restore_request_write(context, ret, error);
}

static int call(struct session *session, struct restore_request *request, rh_error *error)
{
	const struct call call = {
	    .path = request->path, .write = write_request, .context = request};

	request->head = session->head;
	return session_call(session, &call, error);
}

int session_restore(struct session *session, struct restore_request *request,
    struct restore_reply *ret, rh_error *error)
{
	const struct buffer *body = &session->exchange.body;
	struct restore_reply reply = {0};
	rh_error why = {0};
	int code = call(session, request, error);

	request->head = NULL;
	if (code != RH_OK)
		return code;
	code = restore_reply_read(&reply, body->data, body->size, &why);
	if (code != RH_OK)
		return session_unusable(session, "an answer", code, &why, error);
	code = check_count(request->license_count, reply.license_count, error);
	for (size_t i = 0; i < reply.license_count && code == RH_OK; i++)
		code = check_license(
		    request, &request->licenses[i], &reply, &reply.licenses[i], error);
	if (code == RH_OK && request->path == MESSAGE_COMMIT)
		code = check_grants(session, &reply, error);
	if (code == RH_OK)
		code = session_keep_head(session, reply.head, error);
	if (code == RH_OK)
		*ret = reply;
	else
		restore_reply_free(&reply);
	return code;
}

int session_status(struct session *session, struct restore_request *request,
    struct status_reply *ret, rh_error *error)
{
	const struct buffer *body = &session->exchange.body;
	struct status_reply reply = {0};
	rh_error why = {0};
	int code;

	request->path = MESSAGE_LICENSES;
	code = call(session, request, error);
	request->head = NULL;
	if (code != RH_OK)
		return code;
	code = status_reply_read(&reply, body->data, body->size, &why);
	if (code != RH_OK)
		return session_unusable(session, "an answer", code, &why, error);
	code = check_count(request->license_count, reply.license_count, error);
	for (size_t i = 0; i < reply.license_count && code == RH_OK; i++)
		code = check_name(&request->licenses[i], reply.licenses[i].id,
		    reply.licenses[i].issuer, reply.licenses[i].code == NULL, error);
	if (code == RH_OK)
		code = session_keep_head(session, reply.head, error);
	if (code == RH_OK)
		*ret = reply;
	else
		status_reply_free(&reply);
	return code;
}
