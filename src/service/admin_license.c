#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "license/license.h"
#include "service/documents.h"
#include "service/admin.h"

/* Licences and cases, for administrators. */

#define CANDIDATES_MAX 64 /* licences of several issuers with one id */

/* ---- Which one is meant ---- */

struct search {
	const char *id;
	const char *issuer; /* "": any */
	struct ledger_license *found;
	unsigned count;
};

static int look(void *context, const struct ledger_license *license, rh_error *error)
{
	struct search *search = context;

	(void)error;
	if (strcmp(license->id, search->id) != 0 ||
	    (search->issuer[0] != '\0' && strcmp(license->issuer, search->issuer) != 0))
		return RH_OK;
	search->count++;
	*search->found = *license;
	return RH_OK;
}

/* The licence of the arguments "id" and, if there are several of that id, "issuer". */
static int find(
    struct admin *admin, const json_t *arguments, struct ledger_license *ret, rh_error *error)
{
	struct search search = {.id = admin_text(arguments, "id"),
	    .issuer = admin_text(arguments, "issuer"),
	    .found = ret};
	int code =
	    ledger_licenses(admin->ledger, search.id, CANDIDATES_MAX, look, &search, error);

	if (code != RH_OK)
		return code;
	if (search.count == 0)
		return error_set(
		    error, RH_E_LICENSE_UNKNOWN, "the ledger has no licence %.200s", search.id);
	if (search.count > 1)
		return error_set(error, RH_E_ARGUMENT,
		    "%u issuers have a licence %.200s; say which issuer", search.count,
		    search.id);
	return RH_OK;
}

/* The same, or one of a named issuer that was never seen: it can be decided on beforehand. */
static int find_or_new(
    struct admin *admin, const json_t *arguments, struct ledger_license *ret, rh_error *error)
{
	const char *issuer = admin_text(arguments, "issuer"), *id = admin_text(arguments, "id");
	int code = find(admin, arguments, ret, error);

	if (code != RH_E_LICENSE_UNKNOWN || issuer[0] == '\0' ||
	    strlen(issuer) >= sizeof ret->issuer || strlen(id) >= sizeof ret->id)
		return code;
	memset(ret, 0, sizeof *ret);
	strcpy(ret->issuer, issuer);
	strcpy(ret->id, id);
	return RH_OK;
}

/* ---- Telling ---- */

static json_t *license_json(const struct ledger_license *license)
{
	char title[512];

	documents_title(title, license, LANGUAGE_ENGLISH);
	return json_pack("{s:s,s:s,s:s,s:o,s:o}", "id", license->id, "issuer", license->issuer,
	    "title", title, "issued", admin_time(license->issued), "says_computers",
	    license->computers != 0 ? json_integer(license->computers) : json_null());
}

static json_t *computers_json(const struct ledger_status *status)
{
	json_t *list = json_array();

	for (size_t i = 0; i < status->count && list != NULL; i++) {
		const struct ledger_computer *one = &status->computers[i];
		json_t *object = json_pack("{s:s,s:s,s:o,s:o,s:b,s:b}", "computer",
		    one->computer, "name", one->name, "since", admin_time(one->since),
		    "releasing", admin_time(one->releasing), "original", one->original, "known",
		    one->known);

		if (json_array_append_new(list, object) != 0) {
			json_decref(list);
			list = NULL;
		}
	}
	return list;
}

/* Puts the members of the second object into the first, and gives both up; NULL: no memory. */
static json_t *joined(json_t *object, json_t *more)
{
	if (object == NULL || more == NULL || json_object_update(object, more) != 0) {
		json_decref(object);
		object = NULL;
	}
	json_decref(more);
	return object;
}

static json_t *status_json(
    const struct ledger_license *license, const struct ledger_status *status)
{
	return joined(license_json(license),
	    json_pack("{s:I,s:I,s:o,s:b,s:o}", "limit", (json_int_t)status->limit, "used",
		(json_int_t)status->used, "next", admin_time(status->next), "blocked",
		status->blocked, "computers", computers_json(status)));
}

static int tell_license(void *context, const struct ledger_license *license, rh_error *error)
{
	return admin_result(context, license_json(license), error);
}

int admin_license_list(struct admin *admin, const json_t *arguments, rh_error *error)
{
	int64_t limit = admin_number(arguments, "limit", LIST_DEFAULT);

	return ledger_licenses(admin->ledger, admin_text(arguments, "prefix"),
	    (unsigned)(limit < LIST_MAX ? limit : LIST_MAX), tell_license, admin, error);
}

int admin_license_show(struct admin *admin, const json_t *arguments, rh_error *error)
{
	struct ledger_status status = {0};
	struct ledger_license license;
	int code = find(admin, arguments, &license, error);

	if (code == RH_OK)
		code = ledger_status(admin->ledger, admin->now, &license, &status, error);
	if (code == RH_OK)
		code = admin_result(admin, status_json(&license, &status), error);
	free(status.computers);
	return code;
}

/* ---- Changing ---- */

static int set_blocked(
    struct admin *admin, const json_t *arguments, bool blocked, rh_error *error)
{
	struct ledger_license license;
	int code = find_or_new(admin, arguments, &license, error);

	if (code == RH_OK)
		code = ledger_block(admin->ledger, admin->now, admin->actor, license.issuer,
		    license.id, blocked, admin_text(arguments, "reason"), error);
	return code == RH_OK ? admin_license_show(admin, arguments, error) : code;
}

int admin_license_block(struct admin *admin, const json_t *arguments, rh_error *error)
{
	return set_blocked(admin, arguments, true, error);
}

int admin_license_unblock(struct admin *admin, const json_t *arguments, rh_error *error)
{
	return set_blocked(admin, arguments, false, error);
}

int admin_license_allow(struct admin *admin, const json_t *arguments, rh_error *error)
{
	int64_t extra = admin_number(arguments, "extra", 1);
	int64_t until = admin_number(arguments, "until", LICENSE_TIME_NONE);
	struct ledger_license license;
	int code = find_or_new(admin, arguments, &license, error);

	if (code == RH_OK && until != LICENSE_TIME_NONE && until <= admin->now)
		code = error_set(error, RH_E_ARGUMENT, "until must be a time to come");
	if (code == RH_OK && (extra < 1 || extra > 1000000))
		code = error_set(error, RH_E_ARGUMENT, "extra must be from 1 to 1000000");
	if (code == RH_OK)
		code = ledger_exception_add(admin->ledger, admin->now, admin->actor,
		    license.issuer, license.id, (uint32_t)extra, until,
		    admin_text(arguments, "reason"), error);
	return code == RH_OK ? admin_license_show(admin, arguments, error) : code;
}

/* ---- Cases ---- */

int admin_case_show(struct admin *admin, const json_t *arguments, rh_error *error)
{
	struct ledger_case found = {0};
	int code = ledger_case(admin->ledger, admin->now, NULL,
	    admin_number(arguments, "number", 0), &found, error);

	if (code == RH_OK)
		code = admin_result(admin,
		    joined(json_pack("{s:I,s:o,s:s,s:s}", "case", (json_int_t)found.number,
			       "created", admin_time(found.created), "problem",
			       problem_code(found.problem), "refused", found.computer),
			status_json(&found.license, &found.status)),
		    error);
	free(found.status.computers);
	return code;
}
