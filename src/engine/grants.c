#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "engine/grants.h"

int asking_begin(
    struct asking *asking, struct rh_store *store, const char *action, rh_error *error)
{
	int code;

	*asking = (struct asking){.action = action};
	/* Where it cannot be made now, the answer only takes longer. */
	store_index(store->store, NULL);
	code = store_read_begin(store->store, error);
	if (code != RH_OK)
		return code;
	asking->store = store;
	code = moment_now(store, &asking->moment, error);
	if (code == RH_OK)
		code = store_sealer_new(store->store, &asking->sealer, error);
	if (code == RH_OK)
		code = trust_load(store, true, NULL, &asking->trust, error);
	return code;
}

void asking_end(struct asking *asking)
{
	if (asking->store == NULL)
		return;
	trust_free(&asking->trust);
	store_content_free(&asking->content);
	store_sealer_free(asking->sealer);
	store_read_end(asking->store->store);
	asking->store = NULL;
}

/* ---- Opening a licence ---- */

struct reading {
	const char *id;
	struct opened *opened;
	bool found;
};

static int take_license(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct reading *reading = context;

	(void)error;
	if (strcmp(license->id, reading->id) != 0)
		return RH_OK;
	reading->found = true;
	reading->opened->facts = *license;
	reading->opened->known = rights != NULL;
	if (rights != NULL)
		reading->opened->rights = *rights;
	return RH_OK;
}

int asking_open(struct asking *asking, const struct store_row *row, struct opened *ret,
    rh_error *ret_why, rh_error *error)
{
	struct store_content *content = &asking->content;
	struct reading reading = {row->facts.id, ret, false};
	struct license_document document = {.name = row->facts.id};
	int code = store_open_row(asking->sealer, row, content, error);

	if (code != RH_OK)
		return code;
	memset(&ret->rights, 0, sizeof ret->rights);
	ret->facts = row->facts;
	ret->state = content->state;
	ret->known = false;
	document.data = content->document.data;
	document.size = content->document.size;
	document.trust = asking->unproven ? NULL : &asking->trust.trust;
	if (ret->state.name[0] != '\0')
		document.name = ret->state.name;
	if (ret->state.format[0] != '\0')
		document.format = ret->state.format;
	code = license_read(&document, take_license, &reading, ret_why);
	if (code == RH_OK && !reading.found)
		code = error_set(ret_why, RH_E_LICENSE_INVALID,
		    "the document of licence %s holds another licence", row->facts.id);
	ret->code = code;
	if (code == RH_OK || license_code(code))
		return RH_OK;
	if (error != NULL)
		*error = *ret_why;
	return code;
}

int asking_get(struct asking *asking, const char *id, struct store_row *row, struct opened *ret,
    rh_error *error)
{
	rh_error why;
	int code = store_get(asking->store->store, id, row, error);

	return code == RH_OK ? asking_open(asking, row, ret, &why, error) : code;
}

struct license_holding opened_holding(const struct opened *opened)
{
	return (struct license_holding){
	    &opened->facts, opened->known ? &opened->rights : NULL, &opened->state};
}

/* ---- Grants ---- */

void grants_free(struct grants *grants)
{
	for (size_t i = 0; i < grants->count; i++)
		free(grants->list[i].why);
	free(grants->list);
	*grants = (struct grants){0};
}

/* What the licence says by itself. */
static void grant_alone(const struct asking *asking, const struct store_row *row,
    const struct opened *opened, struct grant *ret)
{
	struct license_holding holding = opened_holding(opened);

	*ret = (struct grant){.number = row->number,
	    .priority = opened->rights.priority,
	    .not_before = opened->facts.not_before,
	    .not_after = opened->facts.not_after,
	    .vague = !opened->known || opened->rights.vague,
	    .has_secret = row->has_secret,
	    .proves = license_format_signed(opened->facts.format),
	    .code = opened->code};
	snprintf(ret->id, sizeof ret->id, "%s", row->facts.id);
	snprintf(ret->issuer, sizeof ret->issuer, "%s", opened->facts.issuer);
	snprintf(ret->root_key, sizeof ret->root_key, "%s", opened->rights.root);
	if (opened->code == RH_OK)
		ret->denied = license_denied(&holding, &asking->moment, asking->action);
	else
		ret->denied = LICENSE_DENIED_NO_RIGHT;
	ret->ended =
	    ret->not_after != LICENSE_TIME_NONE && asking->moment.now >= ret->not_after;
}

struct loading {
	struct asking *asking;
	struct grants *grants;
};

static int take_row(void *context, const struct store_row *row, rh_error *error)
{
	struct loading *loading = context;
	struct grants *grants = loading->grants;
	struct grant *grant;
	struct opened opened;
	rh_error why;
	int code = asking_open(loading->asking, row, &opened, &why, error);

	if (code != RH_OK)
		return code;
	if (grants->count == grants->capacity) {
		size_t capacity = grants->capacity > 0 ? grants->capacity * 2 : 4;
		struct grant *list = realloc(grants->list, capacity * sizeof *list);

		if (list == NULL)
			return error_memory(error);
		grants->list = list;
		grants->capacity = capacity;
	}
	grant = &grants->list[grants->count++];
	grant_alone(loading->asking, row, &opened, grant);
	if (grant->code == RH_OK)
		return RH_OK;
	grant->why = malloc(sizeof *grant->why);
	if (grant->why == NULL)
		return error_memory(error);
	*grant->why = why;
	return RH_OK;
}

static int compare(const void *a, const void *b)
{
	const struct grant *left = a, *right = b;

	if (left->has_secret != right->has_secret)
		return left->has_secret ? -1 : 1;
	if (left->proves != right->proves)
		return left->proves ? -1 : 1;
	if (left->priority != right->priority)
		return left->priority > right->priority ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

/* The licences of a key id, in order, without their roots. */
static int load_key(
    struct asking *asking, const char *key_id, struct grants *ret, rh_error *error)
{
	struct loading loading = {asking, ret};
	int code = store_by_key(asking->store->store, key_id, take_row, &loading, error);

	if (code == RH_OK && ret->count > 1)
		qsort(ret->list, ret->count, sizeof *ret->list, compare);
	return code;
}

/* Only an issuer's own licence is the root of a signed one: key ids are no secret. */
static bool may_hang(const struct grant *leaf, const struct grant *root)
{
	return leaf->proves == root->proves &&
	       (!leaf->proves || strcmp(leaf->issuer, root->issuer) == 0);
}

/* Adds to a chained licence what its root says; ${roots} are the licences of that key id. */
static void hang(struct grant *leaf, const struct grants *roots)
{
	unsigned denied = LICENSE_DENIED_CHAIN;
	bool chained = false;

	for (size_t i = 0; i < roots->count; i++) {
		const struct grant *root = &roots->list[i];

		if (!may_hang(leaf, root))
			continue;
		if (root->root_key[0] != '\0') {
			chained = true;
			continue;
		}
		if (root->denied == 0) {
			snprintf(leaf->root, sizeof leaf->root, "%s", root->id);
			return;
		}
		denied |= root->denied;
	}
	leaf->denied |= denied;
	leaf->chained = chained && denied == LICENSE_DENIED_CHAIN;
}

/* The roots of all that need one; those that follow each other often have the same. */
static int load_roots(struct asking *asking, struct grants *grants, rh_error *error)
{
	const char *loaded = NULL;
	struct grants roots = {0};
	int code = RH_OK;

	for (size_t i = 0; i < grants->count && code == RH_OK; i++) {
		struct grant *leaf = &grants->list[i];

		if (leaf->denied != 0 || leaf->root_key[0] == '\0')
			continue;
		if (loaded == NULL || strcmp(loaded, leaf->root_key) != 0) {
			grants_free(&roots);
			code = load_key(asking, leaf->root_key, &roots, error);
			loaded = leaf->root_key;
		}
		if (code == RH_OK)
			hang(leaf, &roots);
	}
	grants_free(&roots);
	return code;
}

int grants_one(struct asking *asking, const struct store_row *row, const struct opened *opened,
    struct grant *ret, rh_error *error)
{
	struct grants one = {ret, 1, 1};

	grant_alone(asking, row, opened, ret);
	return load_roots(asking, &one, error);
}

int grants_load(
    struct asking *asking, const char *license, bool ids, struct grants *ret, rh_error *error)
{
	struct loading loading = {asking, ret};
	struct store_row row = {0};
	int code = RH_E_LICENSE_UNKNOWN;

	if (ids) {
		code = store_get(asking->store->store, license, &row, error);
		if (code == RH_OK)
			code = take_row(&loading, &row, error);
	}
	if (code == RH_E_LICENSE_UNKNOWN) {
		error_clear(error);
		code = load_key(asking, license, ret, error);
	}
	if (code == RH_OK)
		code = load_roots(asking, ret, error);
	store_row_free(&row);
	return code;
}

const struct grant *grants_allowing(const struct grants *grants)
{
	for (size_t i = 0; i < grants->count; i++)
		if (grants->list[i].denied == 0)
			return &grants->list[i];
	return NULL;
}

/* ---- Why not ---- */

/* Whose reason is given: a document that is not believed, else the first that grants it. */
static const struct grant *telling(const struct grants *grants)
{
	for (size_t i = 0; i < grants->count; i++)
		if (grants->list[i].code != RH_OK)
			return &grants->list[i];
	for (size_t i = 0; i < grants->count; i++)
		if (grants->list[i].denied != LICENSE_DENIED_NO_RIGHT)
			return &grants->list[i];
	return &grants->list[0];
}

static int refused_by_time(
    const struct grant *grant, const char *action, bool set_back, rh_error *error)
{
	char date[TIME_TEXT_SIZE];

	if (set_back)
		return error_set(error, RH_E_CLOCK_SET_BACK,
		    "licence %s limits %s in time, and the clock was set back", grant->id,
		    action);
	if ((grant->denied & LICENSE_DENIED_EXPIRED) != 0) {
		if (!grant->ended)
			return error_set(error, RH_E_RIGHT_OVER,
			    "licence %s allows %s for a time after its first use, which is "
			    "over",
			    grant->id, action);
		time_format(date, grant->not_after);
		return error_set(
		    error, RH_E_LICENSE_EXPIRED, "licence %s ended at %s", grant->id, date);
	}
	time_format(date, grant->not_before);
	return error_set(error, RH_E_LICENSE_NOT_YET, "licence %s does not begin before %s",
	    grant->id, date);
}

static int refused(const struct grant *grant, const char *action, rh_error *error)
{
	const unsigned by_time =
	    LICENSE_DENIED_CLOCK | LICENSE_DENIED_EXPIRED | LICENSE_DENIED_NOT_STARTED;

	if ((grant->denied & LICENSE_DENIED_CHAIN) != 0)
		return grant->chained
			   ? error_set(error, RH_E_CHAIN,
				 "licence %s hangs on the root %s, which hangs on another one",
				 grant->id, grant->root_key)
			   : error_set(error, RH_E_NO_ROOT,
				 "licence %s hangs on the root %s, which is missing or does "
				 "not allow %s",
				 grant->id, grant->root_key, action);
	if ((grant->denied & by_time) != 0)
		return refused_by_time(
		    grant, action, (grant->denied & LICENSE_DENIED_CLOCK) != 0, error);
	if ((grant->denied & LICENSE_DENIED_SPENT) != 0)
		return error_set(error, RH_E_RIGHT_SPENT,
		    "of licence %s nothing is left for %s on this computer", grant->id, action);
	return error_set(
	    error, RH_E_NO_RIGHT, "licence %s does not grant %s", grant->id, action);
}

int grants_refusal(const struct asking *asking, const struct grants *grants,
    const char *license, rh_error *error)
{
	const struct grant *grant;

	if (grants->count == 0)
		return error_set(error, RH_E_LICENSE_UNKNOWN,
		    "the store in %s has no licence with the id or key id %s",
		    asking->store->directory, license);
	grant = telling(grants);
	if (grant->code == RH_OK)
		return refused(grant, asking->action, error);
	if (error != NULL)
		*error = *grant->why;
	return grant->code;
}
