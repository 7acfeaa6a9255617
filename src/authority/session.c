#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "authority/session_call.h"

#include "authority/session.h"

/* ---- Open and close ---- */

/* Whether resources stand below it as PROTOCOL.md says. */
static int check_address(const char *text, rh_error *error)
{
	struct address address;
	int code = address_read(&address, text, error);

	if (code != RH_OK)
		return code;
	if (!text_is_service(text))
		code = error_set(error, RH_E_NETWORK,
		    "the address at %.200s is not one of a service: it ends with '/', or holds "
		    "a query, an escape or '..'",
		    address.host);
	address_free(&address);
	return code;
}

static int copy(const char *text, char **ret, rh_error *error)
{
	char *made = strdup(text);

	if (made == NULL)
		return error_memory(error);
	free(*ret);
	*ret = made;
	return RH_OK;
}

static int make_privacy(struct session *session, rh_error *error)
{
	const char *address = session->setup.address;
	const char *path = message_paths[MESSAGE_PRIVACY];
	struct buffer text = {0};
	int code = buffer_append_text(&text, address, error);

	if (code == RH_OK)
		code = buffer_append_text(&text, path, error);
	if (code == RH_OK)
		code = buffer_append(&text, "", 1, error);
	if (code == RH_OK)
		code = copy((const char *)text.data, &session->privacy, error);
	buffer_free(&text);
	return code;
}

/* The head that was kept says from where on the ledger may go. */
static int take_head(struct session *session, const char *head, rh_error *error)
{
	return head != NULL ? session_keep_head(session, head, error) : RH_OK;
}

int session_open(const struct session_setup *setup, struct session **ret, rh_error *error)
{
	struct session *session = calloc(1, sizeof *session);
	int code = session != NULL ? RH_OK : error_memory(error);

	if (code == RH_OK) {
		session->setup = *setup;
		code = exchange_open(&session->exchange, error);
	}
	if (code == RH_OK && setup->asked_at != NULL)
		code = check_address(setup->asked_at, error);
	else if (code == RH_OK)
		code = check_address(setup->address, error);
	if (code == RH_OK)
		code = make_privacy(session, error);
	if (code == RH_OK && setup->certificate != NULL)
		code = copy(setup->certificate, &session->certificate, error);
	if (code == RH_OK)
		code = take_head(session, setup->head, error);
	if (code == RH_OK)
		*ret = session;
	else
		session_close(session);
	return code;
}

void session_close(struct session *session)
{
	if (session == NULL)
		return;
	exchange_close(&session->exchange);
	free(session->privacy);
	free(session->certificate);
	free(session->head);
	free(session);
}

int session_set_certificate(struct session *session, const char *certificate, rh_error *error)
{
	return copy(certificate, &session->certificate, error);
}

const char *session_head(const struct session *session)
{
	return session->head;
}

const char *session_privacy(const struct session *session)
{
	return session->privacy;
}

const char *session_problem(const struct session *session)
{
	return session->problem;
}

/* ---- What is not signed ---- */

int session_connect(struct session *session, rh_error *error)
{
	const struct call call = {.path = MESSAGE_NONCE};

	return session_call(session, &call, error);
}

int session_fetch_keys(const char *asked_at, int (*stop)(void *context), void *context,
    struct buffer *ret, rh_error *error)
{
	const struct session_setup setup = {
	    .address = asked_at, .stop = stop, .context = context};
	const struct call call = {.path = MESSAGE_KEYS};
	struct session *session = NULL;
	int code = session_open(&setup, &session, error);

	if (code == RH_OK)
		code = session_call(session, &call, error);
	if (code == RH_OK) {
		buffer_free(ret);
		*ret = session->exchange.body;
		session->exchange.body = (struct buffer){0};
	}
	session_close(session);
	return code;
}

/* ---- Individualization ---- */

static int write_computers(
    const struct session *session, void *context, struct buffer *ret, rh_error *error)
{
	(void)session;
	return computers_request_write(context, ret, error);
}

int session_individualize(struct session *session, const struct computers_request *request,
    struct computers_reply *ret, rh_error *error)
{
	const struct buffer *body = &session->exchange.body;
	struct computers_request copied = *request;
	const struct call call = {
	    .path = MESSAGE_COMPUTERS, .write = write_computers, .context = &copied};
	struct computers_reply reply = {0};
	rh_error why = {0};
	int code = session_call(session, &call, error);

	if (code != RH_OK)
		return code;
	code = computers_reply_read(&reply, body->data, body->size, &why);
	if (code != RH_OK)
		return session_unusable(session, "an answer", code, &why, error);
	code = certificate_check(reply.certificate, session->setup.keys, session->setup.address,
	    jose_key_thumbprint(session->setup.key), &why);
	if (code != RH_OK)
		code = session_unusable(session, "a certificate", code, &why, error);
	if (code == RH_OK)
		code = session_keep_head(session, reply.head, error);
	if (code == RH_OK)
		*ret = reply;
	else
		computers_reply_free(&reply);
	return code;
}

/* ---- Release ---- */

struct release {
	const struct jose_key *key;
	const struct release_request *request;
};

static int write_release(
    const struct session *session, void *context, struct buffer *ret, rh_error *error)
{
	const struct release *release = context;
	struct release_request request = *release->request;
	char *proof = NULL;
	int code = release_sign(release->key, session->setup.address, request.computer,
	    session->nonce, &proof, error);

	request.proof = proof;
	if (code == RH_OK)
		code = release_request_write(&request, ret, error);
	free(proof);
	return code;
}

static int check_release(
    const struct release_request *request, const struct release_reply *reply, rh_error *error)
{
	if (strcmp(reply->computer, request->computer) == 0)
		return RH_OK;
	return error_set(error, RH_E_SERVICE_REPLY,
	    "the service answers about another computer than was asked");
}

int session_release(struct session *session, const struct jose_key *release_key,
    struct release_request *request, struct release_reply *ret, rh_error *error)
{
	const struct buffer *body = &session->exchange.body;
	struct release release = {release_key, request};
	const struct call call = {.path = MESSAGE_RELEASE,
	    .write = write_release,
	    .context = &release,
	    .afresh = true};
	struct release_reply reply = {0};
	rh_error why = {0};
	int code = session_call(session, &call, error);

	if (code != RH_OK)
		return code;
	code = release_reply_read(&reply, body->data, body->size, &why);
	if (code != RH_OK)
		return session_unusable(session, "an answer", code, &why, error);
	code = check_release(request, &reply, error);
	if (code == RH_OK)
		code = session_keep_head(session, reply.head, error);
	if (code == RH_OK)
		*ret = reply;
	else
		release_reply_free(&reply);
	return code;
}
