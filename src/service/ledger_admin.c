#include <string.h>

#include "service/ledger_internal.h"

/* Issuers, blocks and exceptions. */

/* ---- Issuers ---- */

int issuer_served(struct change *change, const char *name, rh_error *error)
{
	static const struct statement select = {
	    "ledger_issuer", "SELECT 1 FROM issuers WHERE name = $1", 1, "t"};
	bool there = false;
	int code = database_query(change->connection, &select,
	    (const struct value[]){value_text(name)}, row_there, &there, error);

	if (code == RH_OK && !there)
		code = error_set(
		    error, RH_E_PIN_UNKNOWN, "this service does not serve the issuer %s", name);
	return code;
}

struct putting {
	const char *actor;
	const struct ledger_issuer *issuer;
	const char *name;
};

static int issuers_changed(struct change *change, rh_error *error)
{
	static const struct statement update = {"ledger_issuers_changed",
	    "UPDATE head SET issuers_version = issuers_version + 1 WHERE id = 1", 0, ""};

	return database_query(change->connection, &update, NULL, NULL, NULL, error);
}

static int put_issuer(struct change *change, void *context, rh_error *error)
{
	static const struct statement put = {"ledger_issuer_put",
	    "INSERT INTO issuers (name, title, contact, keys, added)"
	    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET"
	    " title = excluded.title, contact = excluded.contact, keys = excluded.keys",
	    5, "tttti"};
	const struct putting *putting = context;
	const struct ledger_issuer *issuer = putting->issuer;
	const char *title = issuer->title != NULL ? issuer->title : "";
	const char *contact = issuer->contact != NULL ? issuer->contact : "";
	int code = database_query(change->connection, &put,
	    (const struct value[]){value_text(issuer->name), value_text(title),
		value_text(contact), value_text(issuer->keys), value_integer(change->now)},
	    NULL, NULL, error);

	if (code == RH_OK)
		code = issuers_changed(change, error);
	if (code == RH_OK)
		code = change_note(change, "issuer", putting->actor,
		    json_pack("{s:s, s:s, s:s, s:s}", "issuer", issuer->name, "title", title,
			"contact", contact, "keys", issuer->keys),
		    error);
	return code;
}

int ledger_issuer_put(struct ledger *ledger, int64_t now, const char *actor,
    const struct ledger_issuer *issuer, rh_error *error)
{
	struct putting putting = {.actor = actor, .issuer = issuer};

	if (issuer->name == NULL || *issuer->name == '\0' || strlen(issuer->name) > 255 ||
	    issuer->keys == NULL)
		return error_set(error, RH_E_ARGUMENT,
		    "an issuer needs a name of at most 255 bytes and keys");
	return change_admin(ledger, now, put_issuer, &putting, error);
}

static int remove_issuer(struct change *change, void *context, rh_error *error)
{
	static const struct statement delete = {
	    "ledger_issuer_remove", "DELETE FROM issuers WHERE name = $1", 1, "t"};
	const struct putting *putting = context;
	int code = issuer_served(change, putting->name, error);

	if (code == RH_OK)
		code = database_query(change->connection, &delete,
		    (const struct value[]){value_text(putting->name)}, NULL, NULL, error);
	if (code == RH_OK)
		code = issuers_changed(change, error);
	if (code == RH_OK)
		code = change_note(change, "issuer-removed", putting->actor,
		    json_pack("{s:s}", "issuer", putting->name), error);
	return code;
}

int ledger_issuer_remove(
    struct ledger *ledger, int64_t now, const char *actor, const char *name, rh_error *error)
{
	struct putting putting = {.actor = actor, .name = name};

	return change_admin(ledger, now, remove_issuer, &putting, error);
}

struct listing {
	int (*function)(void *context, const struct ledger_issuer *issuer, rh_error *error);
	void *context;
};

static int on_issuer(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct listing *listing = context;
	const struct ledger_issuer issuer = {row_text(row, 0), row_text(row, 1),
	    row_text(row, 2), row_text(row, 3), row_integer(row, 4)};

	(void)index;
	return listing->function(listing->context, &issuer, error);
}

static int list_issuers(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_issuers",
	    "SELECT name, title, contact, keys, added FROM issuers ORDER BY name", 0, ""};

	return database_query(change->connection, &select, NULL, on_issuer, context, error);
}

int ledger_issuers(struct ledger *ledger,
    int (*function)(void *context, const struct ledger_issuer *issuer, rh_error *error),
    void *context, rh_error *error)
{
	struct listing listing = {function, context};

	return reading_run(ledger, 0, list_issuers, &listing, NULL, NULL, error);
}

int issuers_version(struct change *change, int64_t *ret, rh_error *error)
{
	static const struct statement select = {
	    "ledger_issuers_version", "SELECT issuers_version FROM head WHERE id = 1", 0, ""};

	return database_query(change->connection, &select, NULL, row_first, ret, error);
}

static int read_version(struct change *change, void *context, rh_error *error)
{
	return issuers_version(change, context, error);
}

int ledger_issuers_version(struct ledger *ledger, int64_t *ret, rh_error *error)
{
	int64_t version = 0;
	int code = reading_run(ledger, 0, read_version, &version, NULL, NULL, error);

	if (code == RH_OK)
		*ret = version;
	return code;
}

/* ---- One licence ---- */

struct deciding {
	const char *actor;
	const char *issuer;
	const char *id;
	char key[LEDGER_KEY_SIZE];
	bool blocked;
	uint32_t extra;
	int64_t until;
	const char *reason;
};

/* A licence that never came gets a row that its first document fills. */
static int lock_license(struct change *change, const struct deciding *deciding, rh_error *error)
{
	static const struct statement insert = {"ledger_license_blank",
	    "INSERT INTO licenses (license, issuer, id, title, service, original, computers,"
	    " issued, digest, first_seen) VALUES ($1, $2, $3, '', '', '', 0, NULL, '', $4)"
	    " ON CONFLICT (license) DO NOTHING",
	    4, "ttti"};
	static const struct statement lock = {"ledger_license_one",
	    "SELECT license FROM licenses WHERE license = $1 FOR UPDATE", 1, "t"};
	const struct value values[] = {value_text(deciding->key), value_text(deciding->issuer),
	    value_text(deciding->id), value_integer(change->now)};
	int code = issuer_served(change, deciding->issuer, error);

	if (code == RH_OK)
		code = database_query(change->connection, &insert, values, NULL, NULL, error);
	if (code == RH_OK)
		code = database_query(change->connection, &lock, values, NULL, NULL, error);
	return code;
}

static int block(struct change *change, void *context, rh_error *error)
{
	static const struct statement update = {"ledger_block",
	    "UPDATE licenses SET blocked = $2, block_reason = $3 WHERE license = $1", 3, "tit"};
	const struct deciding *deciding = context;
	int code = lock_license(change, deciding, error);

	if (code == RH_OK)
		code = database_query(change->connection, &update,
		    (const struct value[]){value_text(deciding->key),
			value_integer(deciding->blocked), value_text(deciding->reason)},
		    NULL, NULL, error);
	if (code == RH_OK)
		code = change_note(change, deciding->blocked ? "block" : "unblock",
		    deciding->actor,
		    json_pack("{s:s, s:s, s:s}", "issuer", deciding->issuer, "licence",
			deciding->id, "reason", deciding->reason),
		    error);
	return code;
}

static int except(struct change *change, void *context, rh_error *error)
{
	static const struct statement insert = {"ledger_exception",
	    "INSERT INTO exceptions (license, number, extra, until, reason, created)"
	    " SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5"
	    " FROM exceptions WHERE license = $1",
	    5, "tiiti"};
	const struct deciding *deciding = context;
	int code = lock_license(change, deciding, error);

	if (code == RH_OK)
		code = database_query(change->connection, &insert,
		    (const struct value[]){value_text(deciding->key),
			value_integer(deciding->extra), value_time(deciding->until),
			value_text(deciding->reason), value_integer(change->now)},
		    NULL, NULL, error);
	if (code == RH_OK)
		code = change_note(change, "exception", deciding->actor,
		    json_pack("{s:s, s:s, s:I, s:o, s:s}", "issuer", deciding->issuer,
			"licence", deciding->id, "extra", (json_int_t)deciding->extra, "until",
			deciding->until == LICENSE_TIME_NONE ? json_null()
							     : json_integer(deciding->until),
			"reason", deciding->reason),
		    error);
	return code;
}

static int decide_on(struct ledger *ledger, int64_t now, struct deciding *deciding,
    change_work work, rh_error *error)
{
	size_t issuer = strlen(deciding->issuer), id = strlen(deciding->id);
	int code;

	if (issuer == 0 || issuer > 255 || id == 0 || id > 255)
		return error_set(error, RH_E_ARGUMENT, "the issuer or the licence has no name");
	if (deciding->reason == NULL)
		deciding->reason = "";
	code = ledger_key(deciding->key, deciding->issuer, deciding->id, error);
	if (code == RH_OK)
		code = change_admin(ledger, now, work, deciding, error);
	return code;
}

int ledger_block(struct ledger *ledger, int64_t now, const char *actor, const char *issuer,
    const char *license, bool blocked, const char *reason, rh_error *error)
{
	struct deciding deciding = {.actor = actor,
	    .issuer = issuer,
	    .id = license,
	    .blocked = blocked,
	    .reason = reason};

	return decide_on(ledger, now, &deciding, block, error);
}

int ledger_exception_add(struct ledger *ledger, int64_t now, const char *actor,
    const char *issuer, const char *license, uint32_t extra, int64_t until, const char *reason,
    rh_error *error)
{
	struct deciding deciding = {.actor = actor,
	    .issuer = issuer,
	    .id = license,
	    .extra = extra,
	    .until = until,
	    .reason = reason};

	if (extra == 0 || extra > 1000000)
		return error_set(
		    error, RH_E_ARGUMENT, "an exception is for 1 to 1000000 computers");
	return decide_on(ledger, now, &deciding, except, error);
}
