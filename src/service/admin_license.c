#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "license/license.h"
#include "service/admin.h"

/* Licences and cases, for administrators. */

#define LIST_DEFAULT 100
#define LIST_MAX 10000
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

/* ---- Telling ---- */

static json_t *license_json(const struct ledger_license *license)
{
	return json_pack("{s:s,s:s,s:s,s:o,s:i}", "id", license->id, "issuer", license->issuer,
	    "title", license->title, "issued", admin_time(license->issued), "computers",
	    (int)license->computers);
}

static json_t *computers_json(const struct ledger_status *status)
{
	json_t *list = json_array();

	for (size_t i = 0; i < status->count; i++) {
		const struct ledger_computer *one = &status->computers[i];

		json_array_append_new(
		    list, json_pack("{s:s,s:s,s:o,s:o,s:b,s:b}", "computer", one->computer,
			      "name", one->name, "since", admin_time(one->since), "releasing",
			      admin_time(one->releasing), "original", one->original, "known",
			      one->known));
	}
	return list;
}

static json_t *with_status(json_t *object, const struct ledger_status *status)
{
	if (object == NULL)
		return NULL;
	json_object_set_new(object, "limit", json_integer(status->limit));
	json_object_set_new(object, "used", json_integer(status->used));
	json_object_set_new(object, "next", admin_time(status->next));
	json_object_set_new(object, "blocked", json_boolean(status->blocked));
	json_object_set_new(object, "computers", computers_json(status));
	return object;
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
		code = admin_result(admin, with_status(license_json(&license), &status), error);
	free(status.computers);
	return code;
}

/* ---- Changing ---- */

static int set_blocked(
    struct admin *admin, const json_t *arguments, bool blocked, rh_error *error)
{
	struct ledger_license license;
	int code = find(admin, arguments, &license, error);

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
	struct ledger_license license;
	int code = find(admin, arguments, &license, error);

	if (code == RH_OK && (extra < 1 || extra > 1000000))
		code = error_set(error, RH_E_ARGUMENT, "extra must be from 1 to 1000000");
	if (code == RH_OK)
		code = ledger_exception_add(admin->ledger, admin->now, admin->actor,
		    license.issuer, license.id, (uint32_t)extra,
		    admin_number(arguments, "until", LICENSE_TIME_NONE),
		    admin_text(arguments, "reason"), error);
	return code == RH_OK ? admin_license_show(admin, arguments, error) : code;
}

/* ---- Cases ---- */

int admin_case_show(struct admin *admin, const json_t *arguments, rh_error *error)
{
	struct ledger_case found = {0};
	json_t *object;
	int code = ledger_case(admin->ledger, admin->now, NULL,
	    admin_number(arguments, "number", 0), &found, error);

	if (code == RH_OK) {
		object = with_status(license_json(&found.license), &found.status);
		json_object_set_new(object, "case", json_integer(found.number));
		json_object_set_new(object, "created", admin_time(found.created));
		json_object_set_new(
		    object, "problem", json_string(problem_code(found.problem)));
		json_object_set_new(object, "refused", json_string(found.computer));
		code = admin_result(admin, object, error);
	}
	free(found.status.computers);
	return code;
}
