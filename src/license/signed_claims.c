#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "license/signed.h"

/* The claims of a signed licence: FORMATS.md, "signed". */

#define TIME_LAST INT64_C(253402300799) /* the end of 9999 */
#define EXACT_MAX INT64_C(9007199254740991) /* 2^53 - 1 */
#define COMPUTERS_MAX 1000000

static int fail(
    const struct signed_license *token, int code, const char *claim, const char *what)
{
	return reader_fail(
	    token->document, token->error, code, "signed licence: claim %s %s", claim, what);
}

static int invalid(const struct signed_license *token, const char *claim, const char *what)
{
	return fail(token, RH_E_LICENSE_INVALID, claim, what);
}

/* ---- Claims of a type; each of them may be absent ---- */

static int get_string(
    const struct signed_license *token, const char *claim, const char **ret, size_t *ret_size)
{
	const json_t *value = json_object_get(token->claims, claim);

	*ret = NULL;
	if (value == NULL)
		return RH_OK;
	if (!json_is_string(value))
		return invalid(token, claim, "is no text");
	*ret = json_string_value(value);
	*ret_size = json_string_length(value);
	return RH_OK;
}

/* ${target} stays as it is if the claim is absent. */
static int get_text(
    const struct signed_license *token, const char *claim, char *target, size_t capacity)
{
	const char *text;
	size_t size;
	int code = get_string(token, claim, &text, &size);

	if (code != RH_OK || text == NULL)
		return code;
	if (!reader_exact_text(target, capacity, text, size))
		return invalid(token, claim, "is empty, too long, or holds control characters");
	return RH_OK;
}

static int get_key_id(
    const struct signed_license *token, const char *claim, char *target, size_t capacity)
{
	const char *text;
	size_t size;
	int code = get_string(token, claim, &text, &size);

	if (code != RH_OK || text == NULL)
		return code;
	if (!reader_identifier(target, capacity, text, size))
		return fail(token, RH_E_LICENSE_KEY_ID, claim, "is a malformed key id");
	return RH_OK;
}

static int check_integer(const struct signed_license *token, const char *place,
    const json_t *value, int64_t least, int64_t most, int64_t *ret)
{
	if (value == NULL)
		return RH_OK;
	if (!json_is_integer(value))
		return invalid(token, place, "is no whole number");
	if (json_integer_value(value) < least || json_integer_value(value) > most)
		return invalid(token, place, "is out of range");
	*ret = json_integer_value(value);
	return RH_OK;
}

static int get_integer(const struct signed_license *token, const char *claim, int64_t least,
    int64_t most, int64_t *ret)
{
	return check_integer(
	    token, claim, json_object_get(token->claims, claim), least, most, ret);
}

/* ---- One part of the claims after the other ---- */

static int read_identity(struct signed_license *token)
{
	struct license *license = &token->license;
	const char *subject;
	size_t size;
	int code = get_text(token, "jti", license->id, sizeof license->id);

	if (code == RH_OK && license->id[0] == '\0')
		code = invalid(token, "jti", "is missing");
	if (code == RH_OK)
		code = get_text(token, "iss", license->issuer, sizeof license->issuer);
	if (code == RH_OK && license->issuer[0] == '\0')
		code = invalid(token, "iss", "is missing");
	if (code == RH_OK)
		code = get_string(token, "sub", &subject, &size);
	if (code == RH_OK)
		code = get_key_id(token, "key_id", license->key_id, sizeof license->key_id);
	if (code == RH_OK)
		code = get_key_id(
		    token, "root_key_id", token->rights.root, sizeof token->rights.root);
	return code;
}

static int read_times(struct signed_license *token)
{
	struct license *license = &token->license;
	int code = get_integer(token, "iat", 0, TIME_LAST, &license->issued);

	if (code == RH_OK && license->issued == LICENSE_TIME_NONE)
		code = invalid(token, "iat", "is missing");
	if (code == RH_OK)
		code = get_integer(token, "nbf", 0, TIME_LAST, &license->not_before);
	if (code == RH_OK)
		code = get_integer(token, "exp", 0, TIME_LAST, &license->not_after);
	return code;
}

static int read_computer(struct signed_license *token)
{
	json_t *cnf = json_object_get(token->claims, "cnf");
	const json_t *value = json_object_get(cnf, "jkt");

	if (cnf == NULL)
		return RH_OK;
	if (!json_is_object(cnf))
		return invalid(token, "cnf", "is no object");
	if (value == NULL)
		return invalid(token, "cnf.jkt", "is missing");
	if (!json_is_string(value) || !reader_thumbprint(token->rights.computer,
					  json_string_value(value), json_string_length(value)))
		return invalid(token, "cnf.jkt", "is no thumbprint of a key");
	return RH_OK;
}

static int read_title(struct signed_license *token)
{
	json_t *title = json_object_get(token->claims, "title"), *text;
	const char *tag;

	if (title == NULL)
		return RH_OK;
	if (json_is_string(title)) {
		if (json_string_length(title) == 0)
			return invalid(token, "title", "is empty");
		title_from_text(
		    &token->license, json_string_value(title), json_string_length(title));
		return RH_OK;
	}
	if (!json_is_object(title))
		return invalid(token, "title", "is neither text nor object");
	if (json_object_size(title) == 0)
		return invalid(token, "title", "is empty");
	json_object_foreach(title, tag, text)
	{
		if (!title_tag(tag))
			return invalid(token, "title", "has a member that is no language tag");
		if (!json_is_string(text) || json_string_length(text) == 0)
			return invalid(token, "title", "has a member that is no text");
	}
	title_from_object(&token->license, title);
	return RH_OK;
}

/* ---- Actions ---- */

static bool action_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return length > 0 && name[length] == '\0' &&
	       length < sizeof(((struct license_action *)0)->name);
}

static int read_action(struct signed_license *token, const char *name, const json_t *value)
{
	struct license_action *action = &token->rights.actions[token->rights.action_count++];
	struct license *license = &token->license;
	char place[64];
	int64_t count = 0;
	int code;

	strcpy(action->name, name);
	snprintf(place, sizeof place, "actions.%s", name);
	if (!json_is_object(value))
		return invalid(token, place, "is no object");
	snprintf(place, sizeof place, "actions.%s.count", name);
	code =
	    check_integer(token, place, json_object_get(value, "count"), 1, EXACT_MAX, &count);
	if (code != RH_OK)
		return code;
	action->count = count > 0 ? (uint64_t)count : LICENSE_UNLIMITED;
	if (count > 0 && license->count_count == LICENSE_COUNTS_MAX)
		return invalid(token, "actions", "has too many counted actions");
	if (count > 0) {
		strcpy(license->counts[license->count_count].action, name);
		license->counts[license->count_count++].remaining = (uint64_t)count;
	}
	snprintf(place, sizeof place, "actions.%s.period", name);
	return check_integer(
	    token, place, json_object_get(value, "period"), 1, EXACT_MAX, &action->period);
}

static int read_actions(struct signed_license *token)
{
	json_t *actions = json_object_get(token->claims, "actions"), *value;
	const char *name;
	int code;

	if (actions == NULL)
		return RH_OK;
	if (!json_is_object(actions))
		return invalid(token, "actions", "is no object");
	if (json_object_size(actions) > LICENSE_ACTIONS_MAX)
		return invalid(token, "actions", "has too many members");
	json_object_foreach(actions, name, value)
	{
		if (!action_name(name))
			return invalid(token, "actions", "has a malformed name of an action");
		code = read_action(token, name, value);
		if (code != RH_OK)
			return code;
	}
	return RH_OK;
}

/* ---- Backup, service, content key ---- */

/* "https://" or "http://" and no white space behind it. */
static bool web_address(const char *text)
{
	size_t scheme = strncmp(text, "https://", 8) == 0  ? 8
			: strncmp(text, "http://", 7) == 0 ? 7
							   : 0;

	return scheme > 0 && text[scheme] != '\0' && strpbrk(text, " \t\r\n") == NULL;
}

static int read_policy(struct signed_license *token)
{
	const json_t *backup = json_object_get(token->claims, "backup");
	struct license *license = &token->license;
	int64_t computers = 0, priority = 0;
	int code;

	if (backup != NULL && !json_is_boolean(backup))
		return invalid(token, "backup", "is neither true nor false");
	license->backup = json_is_true(backup) ? LICENSE_YES : LICENSE_NO;
	if (license->backup == LICENSE_NO)
		license->reason = "the licence does not grant the right to back up";
	code = get_text(token, "service", license->service, sizeof license->service);
	if (code == RH_OK && license->service[0] != '\0' && !web_address(license->service))
		code = invalid(
		    token, "service", "is no address that begins with https:// or http://");
	if (code == RH_OK)
		code = get_integer(token, "computers", 1, COMPUTERS_MAX, &computers);
	if (code == RH_OK && computers > 0 && license->service[0] == '\0')
		code = invalid(token, "computers", "stands without a claim service");
	if (code == RH_OK)
		code = get_integer(token, "priority", INT32_MIN, INT32_MAX, &priority);
	token->rights.computers = (uint32_t)computers;
	token->rights.priority = (int32_t)priority;
	return code;
}

/* Whether ${text} could be a compact JWE; what is in its five parts is looked at when it is
 * opened. */
static bool compact_jwe(const char *text, size_t size)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_.";
	size_t dots = 0;

	for (size_t i = 0; i < size; i++)
		dots += text[i] == '.';
	return dots == 4 && size <= JOSE_JWE_MAX && strspn(text, alphabet) == size;
}

static int read_content_key(struct signed_license *token)
{
	int code =
	    get_string(token, "content_key", &token->content_key, &token->content_key_size);

	if (code != RH_OK || token->content_key == NULL)
		return code;
	if (!compact_jwe(token->content_key, token->content_key_size))
		return invalid(token, "content_key", "is no compact JWE");
	return RH_OK;
}

/* What is held by one computer only needs to say by which. */
static int check_bound(const struct signed_license *token)
{
	if (token->rights.computer[0] != '\0')
		return RH_OK;
	if (token->license.count_count > 0)
		return invalid(token, "cnf", "is missing, and there are counted actions");
	if (token->content_key != NULL)
		return invalid(token, "cnf", "is missing, and there is a content_key");
	return RH_OK;
}

int signed_claims_read(struct signed_license *token)
{
	static const char *const known[] = {"jti", "iss", "sub", "iat", "nbf", "exp", "cnf",
	    "key_id", "title", "actions", "backup", "service", "computers", "priority",
	    "root_key_id", "content_key", "crit", NULL};
	/* First, since what is critical may change what the other claims are. */
	int code =
	    signed_critical(token, "claims", json_object_get(token->claims, "crit"), known);

	if (code == RH_OK)
		code = read_identity(token);
	if (code == RH_OK)
		code = read_times(token);
	if (code == RH_OK)
		code = read_computer(token);
	if (code == RH_OK)
		code = read_title(token);
	if (code == RH_OK)
		code = read_actions(token);
	if (code == RH_OK)
		code = read_policy(token);
	if (code == RH_OK)
		code = read_content_key(token);
	if (code == RH_OK)
		code = check_bound(token);
	return code;
}
