#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

#include "crypto/jsontext.h"
#include "license/license.h"
#include "service/admin.h"

/* ---- Issuers ---- */

/* The set's own words for who it is of. */
static const char *issuer_name(const json_t *arguments)
{
	const char *name = admin_text(arguments, "name");

	return name[0] != '\0' ? name
			       : admin_text(json_object_get(arguments, "keys"), "issuer");
}

static int issuer_add(struct admin *admin, const json_t *arguments, rh_error *error)
{
	struct ledger_issuer issuer = {.name = issuer_name(arguments),
	    .title = admin_text(arguments, "title"),
	    .contact = admin_text(arguments, "contact"),
	    .added = admin->now};
	char *keys = json_dumps(json_object_get(arguments, "keys"), JSON_COMPACT);
	struct jose_set set;
	int code;

	if (keys == NULL)
		return error_memory(error);
	if (issuer.name[0] == '\0') {
		free(keys);
		return error_set(error, RH_E_ARGUMENT,
		    "the keys do not say whose they are; give the issuer's name");
	}
	issuer.keys = keys;
	code = jose_set_read(&set, keys, strlen(keys), "issuer", error);
	if (code == RH_OK) {
		jose_set_free(&set);
		code =
		    ledger_issuer_put(admin->ledger, admin->now, admin->actor, &issuer, error);
	}
	if (code == RH_OK)
		code = admin_result(admin, json_pack("{s:s}", "issuer", issuer.name), error);
	free(keys);
	return code;
}

static int tell_issuer(void *context, const struct ledger_issuer *issuer, rh_error *error)
{
	json_t *keys = NULL;
	int code = jsontext_read(issuer->keys, strlen(issuer->keys), &keys, error);

	if (code == RH_OK)
		code = admin_result(context,
		    json_pack("{s:s,s:s,s:s,s:o,s:o}", "issuer", issuer->name, "title",
			issuer->title, "contact", issuer->contact, "added",
			admin_time(issuer->added), "keys", keys),
		    error);
	return code;
}

static int issuer_list(struct admin *admin, const json_t *arguments, rh_error *error)
{
	(void)arguments;
	return ledger_issuers(admin->ledger, tell_issuer, admin, error);
}

static int issuer_remove(struct admin *admin, const json_t *arguments, rh_error *error)
{
	const char *name = admin_text(arguments, "name");
	int code = ledger_issuer_remove(admin->ledger, admin->now, admin->actor, name, error);

	return code == RH_OK ? admin_result(admin, json_pack("{s:s}", "removed", name), error)
			     : code;
}

/* ---- Policies ---- */

/* Of a licence, of an issuer, or of the service, by what is named. */
static enum policy_scope scope_of(const json_t *arguments)
{
	if (admin_text(arguments, "id")[0] != '\0')
		return POLICY_LICENSE;
	return admin_text(arguments, "issuer")[0] != '\0' ? POLICY_ISSUER : POLICY_SERVICE;
}

static json_t *policy_json(const json_t *arguments, const struct policy *policy)
{
	static const char *const names[] = {
	    "computers", "period", "period_computers", "cooldown", "release_wait"};
	const int64_t values[] = {policy->computers, policy->period, policy->period_computers,
	    policy->cooldown, policy->release_wait};
	json_t *object = json_pack("{s:s,s:s}", "issuer", admin_text(arguments, "issuer"), "id",
	    admin_text(arguments, "id"));

	for (size_t i = 0; i < sizeof names / sizeof *names && object != NULL; i++)
		json_object_set_new(object, names[i],
		    values[i] == POLICY_UNSET ? json_null() : json_integer(values[i]));
	return object;
}

struct lookup {
	const char *name;
	bool there;
};

static int look(void *context, const struct ledger_issuer *issuer, rh_error *error)
{
	struct lookup *lookup = context;

	(void)error;
	lookup->there |= strcmp(issuer->name, lookup->name) == 0;
	return RH_OK;
}

/* Policies are of issuers that are served, and licences of those. */
static int check_scope(struct admin *admin, const json_t *arguments, rh_error *error)
{
	struct lookup lookup = {admin_text(arguments, "issuer"), false};
	int code;

	if (scope_of(arguments) == POLICY_SERVICE)
		return RH_OK;
	if (lookup.name[0] == '\0')
		return error_set(
		    error, RH_E_ARGUMENT, "the policy of a licence needs its issuer, too");
	code = ledger_issuers(admin->ledger, look, &lookup, error);
	if (code == RH_OK && !lookup.there)
		code = error_set(error, RH_E_PIN_UNKNOWN,
		    "this service does not serve the issuer %s", lookup.name);
	return code;
}

static int policy_show(struct admin *admin, const json_t *arguments, rh_error *error)
{
	struct policy policy;
	int code = check_scope(admin, arguments, error);

	if (code == RH_OK)
		code = ledger_policy_get(admin->ledger, scope_of(arguments),
		    admin_text(arguments, "issuer"), admin_text(arguments, "id"), &policy,
		    error);
	return code == RH_OK ? admin_result(admin, policy_json(arguments, &policy), error)
			     : code;
}

static int policy_set(struct admin *admin, const json_t *arguments, rh_error *error)
{
	const struct policy policy = {admin_number(arguments, "computers", POLICY_UNSET),
	    admin_number(arguments, "period", POLICY_UNSET),
	    admin_number(arguments, "period_computers", POLICY_UNSET),
	    admin_number(arguments, "cooldown", POLICY_UNSET),
	    admin_number(arguments, "release_wait", POLICY_UNSET)};
	int code = check_scope(admin, arguments, error);

	if (code == RH_OK)
		code = ledger_policy_set(admin->ledger, admin->now, admin->actor,
		    scope_of(arguments), admin_text(arguments, "issuer"),
		    admin_text(arguments, "id"), &policy, error);
	return code == RH_OK ? policy_show(admin, arguments, error) : code;
}

/* ---- Computers ---- */

static int tell_computer(
    void *context, const struct ledger_computer *computer, uint64_t licenses, rh_error *error)
{
	return admin_result(context,
	    json_pack("{s:s,s:s,s:o,s:o,s:b,s:I}", "computer", computer->computer, "name",
		computer->name, "since", admin_time(computer->since), "releasing",
		admin_time(computer->releasing), "known", computer->known, "licenses",
		(json_int_t)licenses),
	    error);
}

static int computer_list(struct admin *admin, const json_t *arguments, rh_error *error)
{
	return ledger_computers(
	    admin->ledger, admin_text(arguments, "prefix"), tell_computer, admin, error);
}

static int release(struct admin *admin, const json_t *arguments, bool cancel, rh_error *error)
{
	static const char *const states[] = {[RELEASE_WAITING] = "waiting",
	    [RELEASE_RELEASED] = "released",
	    [RELEASE_CANCELLED] = "cancelled"};
	const struct ledger_release asked = {.computer = admin_text(arguments, "computer"),
	    .cancel = cancel,
	    .actor = admin->actor};
	enum problem problem = PROBLEM_NONE;
	enum release_state state;
	int64_t effective;
	struct head head;
	int code = ledger_release(
	    admin->ledger, admin->now, &asked, &state, &effective, &problem, &head, error);

	if (code == RH_OK && problem == PROBLEM_ROLLED_BACK)
		code = error_set(error, RH_E_SERVICE_ROLLED_BACK,
		    "the ledger was put back to an old copy and changes nothing until that is "
		    "resolved");
	else if (code == RH_OK && problem != PROBLEM_NONE)
		code = error_set(
		    error, RH_E_PIN_UNKNOWN, "there is no computer %.100s", asked.computer);
	if (code == RH_OK)
		code = admin_result(admin,
		    json_pack("{s:s,s:s,s:o}", "computer", asked.computer, "state",
			states[state], "effective", admin_time(effective)),
		    error);
	return code;
}

static int computer_release(struct admin *admin, const json_t *arguments, rh_error *error)
{
	return release(admin, arguments, false, error);
}

static int computer_keep(struct admin *admin, const json_t *arguments, rh_error *error)
{
	return release(admin, arguments, true, error);
}

/* ---- Tokens ---- */

static int token_make(struct admin *admin, const json_t *arguments, rh_error *error)
{
	const char *scope = admin_text(arguments, "scope");
	struct ledger_token token = {.scope = TOKEN_READ,
	    .created = admin->now,
	    .expires = admin_number(arguments, "expires", LICENSE_TIME_NONE)};
	char *text = NULL;
	int code;

	if (token.expires != LICENSE_TIME_NONE && token.expires <= admin->now)
		return error_set(error, RH_E_ARGUMENT, "expires must be a time to come");
	if (strlen(admin_text(arguments, "name")) >= sizeof token.name)
		return error_set(error, RH_E_ARGUMENT, "name is too long");
	snprintf(token.name, sizeof token.name, "%s", admin_text(arguments, "name"));
	if (strcmp(scope, "write") == 0)
		token.scope |= TOKEN_WRITE;
	else if (scope[0] != '\0' && strcmp(scope, "read") != 0)
		return error_set(error, RH_E_ARGUMENT, "scope must be read or write");
	code = ledger_token_make(admin->ledger, admin->now, admin->actor, &token, &text, error);
	if (code == RH_OK)
		code = admin_result(
		    admin, json_pack("{s:s,s:s}", "name", token.name, "token", text), error);
	if (text != NULL)
		bytes_wipe(text, strlen(text));
	free(text);
	return code;
}

static int tell_token(void *context, const struct ledger_token *token, rh_error *error)
{
	return admin_result(context,
	    json_pack("{s:s,s:s,s:o,s:o}", "name", token->name, "scope",
		token->scope & TOKEN_WRITE ? "write" : "read", "created",
		admin_time(token->created), "expires", admin_time(token->expires)),
	    error);
}

static int token_list(struct admin *admin, const json_t *arguments, rh_error *error)
{
	(void)arguments;
	return ledger_tokens(admin->ledger, tell_token, admin, error);
}

static int token_remove(struct admin *admin, const json_t *arguments, rh_error *error)
{
	const char *name = admin_text(arguments, "name");
	int code = ledger_token_remove(admin->ledger, admin->now, admin->actor, name, error);

	return code == RH_OK ? admin_result(admin, json_pack("{s:s}", "removed", name), error)
			     : code;
}

/* ---- The log ---- */

static int tell_entry(void *context, const struct ledger_entry *entry, rh_error *error)
{
	json_t *body = NULL;
	rh_error why;
	char hash[2 * DIGEST_SIZE + 1];

	/* One that was tampered with is told as it stands. */
	if (jsontext_read(entry->body, strlen(entry->body), &body, &why) == RH_E_MEMORY)
		return error_memory(error);
	text_hex(hash, entry->hash, DIGEST_SIZE);
	return admin_result(context,
	    json_pack("{s:I,s:o,s:s,s:s,s:o,s:s}", "seq", (json_int_t)entry->seq, "time",
		admin_time(entry->time), "kind", entry->kind, "actor", entry->actor, "body",
		body != NULL ? body : json_string(entry->body), "hash", hash),
	    error);
}

static int audit_list(struct admin *admin, const json_t *arguments, rh_error *error)
{
	int64_t limit = admin_number(arguments, "limit", LIST_DEFAULT);
	int64_t from = admin_number(arguments, "from", 0);
	struct ledger_counts counts = {0};
	int code = RH_OK;

	if (limit > LIST_MAX)
		limit = LIST_MAX;
	if (from == 0) {
		code = ledger_counts(admin->ledger, &counts, error);
		from = counts.entries - limit + 1;
	}
	return code == RH_OK ? ledger_audit(admin->ledger, from, (unsigned)limit, tell_entry,
				   admin, error)
			     : code;
}

static int audit_verify(struct admin *admin, const json_t *arguments, rh_error *error)
{
	struct head seen = {0};
	uint64_t entries = 0;
	bool rolled_back = false;
	int code = ledger_audit_verify(admin->ledger, &entries, error);

	(void)arguments;
	if (code == RH_OK)
		code = ledger_rolled_back(admin->ledger, &rolled_back, &seen, error);
	if (code == RH_OK)
		code = admin_result(admin,
		    json_pack("{s:I,s:b,s:o}", "entries", (json_int_t)entries, "rolled_back",
			rolled_back, "seen",
			rolled_back ? json_pack("{s:I,s:o}", "seq", (json_int_t)seen.seq,
					  "time", admin_time(seen.time))
				    : json_null()),
		    error);
	return code;
}

static int audit_resolve(struct admin *admin, const json_t *arguments, rh_error *error)
{
	int code = ledger_resolve(
	    admin->ledger, admin->now, admin->actor, admin_text(arguments, "reason"), error);

	return code == RH_OK ? audit_verify(admin, arguments, error) : code;
}

/* ---- The table ---- */

#define NEEDS(name, kind)                                                                      \
	{                                                                                      \
		name, ADMIN_##kind, true                                                       \
	}
#define TAKES(name, kind)                                                                      \
	{                                                                                      \
		name, ADMIN_##kind, false                                                      \
	}
#define POLICY_ARGUMENTS                                                                       \
	TAKES("computers", NUMBER), TAKES("period", DURATION),                                 \
	    TAKES("period_computers", NUMBER), TAKES("cooldown", DURATION),                    \
	    TAKES("release_wait", DURATION)

static const struct admin_argument none[] = {{NULL, 0, false}};
static const struct admin_argument issuer_add_takes[] = {NEEDS("keys", OBJECT),
    TAKES("name", TEXT), TAKES("title", TEXT), TAKES("contact", TEXT), {NULL, 0, false}};
static const struct admin_argument name_takes[] = {NEEDS("name", TEXT), {NULL, 0, false}};
static const struct admin_argument policy_show_takes[] = {
    TAKES("issuer", TEXT), TAKES("id", TEXT), {NULL, 0, false}};
static const struct admin_argument policy_set_takes[] = {
    TAKES("issuer", TEXT), TAKES("id", TEXT), POLICY_ARGUMENTS, {NULL, 0, false}};
static const struct admin_argument list_takes[] = {
    TAKES("prefix", TEXT), TAKES("limit", NUMBER), {NULL, 0, false}};
static const struct admin_argument license_takes[] = {
    NEEDS("id", TEXT), TAKES("issuer", TEXT), {NULL, 0, false}};
static const struct admin_argument block_takes[] = {
    NEEDS("id", TEXT), TAKES("issuer", TEXT), NEEDS("reason", TEXT), {NULL, 0, false}};
static const struct admin_argument allow_takes[] = {NEEDS("id", TEXT), TAKES("issuer", TEXT),
    TAKES("extra", NUMBER), TAKES("until", TIME), NEEDS("reason", TEXT), {NULL, 0, false}};
static const struct admin_argument computer_takes[] = {
    NEEDS("computer", TEXT), {NULL, 0, false}};
static const struct admin_argument prefix_takes[] = {TAKES("prefix", TEXT), {NULL, 0, false}};
static const struct admin_argument token_takes[] = {
    NEEDS("name", TEXT), TAKES("scope", TEXT), TAKES("expires", TIME), {NULL, 0, false}};
static const struct admin_argument audit_takes[] = {
    TAKES("from", NUMBER), TAKES("limit", NUMBER), {NULL, 0, false}};
static const struct admin_argument reason_takes[] = {NEEDS("reason", TEXT), {NULL, 0, false}};
static const struct admin_argument case_takes[] = {NEEDS("number", NUMBER), {NULL, 0, false}};

static const struct admin_operation operations[] = {
    {"issuer add", true, false, issuer_add_takes, issuer_add},
    {"issuer list", false, false, none, issuer_list},
    {"issuer remove", true, false, name_takes, issuer_remove},
    {"policy show", false, false, policy_show_takes, policy_show},
    {"policy set", true, false, policy_set_takes, policy_set},
    {"licence list", false, false, list_takes, admin_license_list},
    {"licence show", false, false, license_takes, admin_license_show},
    {"licence block", true, false, block_takes, admin_license_block},
    {"licence unblock", true, false, block_takes, admin_license_unblock},
    {"licence allow", true, false, allow_takes, admin_license_allow},
    {"computer list", false, false, prefix_takes, computer_list},
    {"computer release", true, false, computer_takes, computer_release},
    {"computer keep", true, false, computer_takes, computer_keep},
    {"case show", false, false, case_takes, admin_case_show},
    {"token make", true, true, token_takes, token_make},
    {"token list", false, true, none, token_list},
    {"token remove", true, true, name_takes, token_remove},
    {"audit list", false, false, audit_takes, audit_list},
    {"audit verify", false, false, none, audit_verify},
    {"audit resolve", true, true, reason_takes, audit_resolve},
};

const struct admin_operation *admin_find(const char *name)
{
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

int admin_run(struct admin *admin, const struct admin_operation *operation,
    const json_t *arguments, rh_error *error)
{
	int code = admin_check(operation, arguments, error);

	return code == RH_OK ? operation->run(admin, arguments, error) : code;
}
