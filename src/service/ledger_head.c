#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jsontext.h"

#include "service/ledger_internal.h"

/* The head: what clients saw of it is compared with the log. */

/* ---- As JSON ---- */

/* Ends with NUL. */
static int head_json(const struct head *head, struct buffer *ret, rh_error *error)
{
	char hex[LEDGER_HASH_SIZE];
	json_t *json;
	int code;

	text_hex(hex, head->hash, DIGEST_SIZE);
	json = json_pack("{s:I, s:s, s:I}", "seq", (json_int_t)head->seq, "hash", hex, "time",
	    (json_int_t)head->time);
	code = jsontext_write(json, ret, error);
	if (code == RH_OK)
		code = buffer_append(ret, "", 1, error);
	json_decref(json);
	return code;
}

static int head_parse(const char *text, struct head *ret, rh_error *error)
{
	struct head head = {0};
	char hex[LEDGER_HASH_SIZE];
	json_t *json;
	bool good;
	int code = jsontext_read(text, strlen(text), &json, error);

	if (code == RH_E_MEMORY)
		return code;
	good = code == RH_OK && jws_number(json, "seq", &head.seq) &&
	       jws_number(json, "time", &head.time) &&
	       jws_text(json, "hash", hex, sizeof hex) &&
	       text_unhex(hex, head.hash, DIGEST_SIZE);
	if (code == RH_OK)
		json_decref(json);
	if (!good)
		return error_set(
		    error, RH_E_DATABASE, "the note that the ledger was put back is damaged");
	*ret = head;
	return RH_OK;
}

/* ---- Comparing ---- */

struct comparison {
	struct head head;
	bool there;
	bool rolled_back;
	int64_t resolved;
	char hash[LEDGER_HASH_SIZE]; /* of the log, where the client's head was; "" */
};

static int on_head(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct comparison *comparison = context;

	(void)index;
	comparison->there = true;
	comparison->head.seq = row_integer(row, 0);
	comparison->rolled_back = !row_is_null(row, 2);
	comparison->resolved = row_time(row, 3);
	row_copy(comparison->hash, sizeof comparison->hash, row, 4);
	if (!text_unhex(row_text(row, 1), comparison->head.hash, DIGEST_SIZE))
		return error_set(error, RH_E_DATABASE, "the head of the ledger is damaged");
	return RH_OK;
}

/* Whether the log has the head that was seen. */
static bool fits(const struct comparison *comparison, const struct head *seen)
{
	static const uint8_t nothing[DIGEST_SIZE];
	uint8_t hash[DIGEST_SIZE];

	if (comparison->resolved != LICENSE_TIME_NONE && seen->time <= comparison->resolved)
		return true;
	if (seen->seq == 0)
		return memcmp(seen->hash, nothing, DIGEST_SIZE) == 0;
	return text_unhex(comparison->hash, hash, DIGEST_SIZE) &&
	       memcmp(hash, seen->hash, DIGEST_SIZE) == 0;
}

int head_compare(struct change *change, const struct head *seen, rh_error *error)
{
	static const struct statement select = {"ledger_head",
	    "SELECT h.seq, h.hash, h.rolled_back, h.resolved, a.hash"
	    " FROM head h LEFT JOIN audit a ON a.seq = $1 WHERE h.id = 1",
	    1, "i"};
	struct comparison comparison = {0};
	int code = database_query(change->connection, &select,
	    (const struct value[]){value_integer(seen != NULL ? seen->seq : -1)}, on_head,
	    &comparison, error);

	if (code == RH_OK && !comparison.there)
		code = error_set(error, RH_E_DATABASE, "the ledger has no head");
	if (code != RH_OK)
		return code;
	change->head = comparison.head;
	change->head.time = change->now;
	if (comparison.resolved != LICENSE_TIME_NONE)
		change->head.resolved = comparison.resolved;
	if (comparison.rolled_back) {
		change->problem = PROBLEM_ROLLED_BACK;
	} else if (seen != NULL && !fits(&comparison, seen)) {
		change->problem = PROBLEM_ROLLED_BACK;
		change->rolled_back = true;
		change->seen = *seen;
	}
	return RH_OK;
}

/* ---- The note ---- */

static int write_note(struct change *change, void *context, rh_error *error)
{
	static const struct statement update = {"ledger_rolled_back",
	    "UPDATE head SET rolled_back = $1 WHERE id = 1 AND rolled_back IS NULL"
	    " AND (resolved IS NULL OR resolved < $2)",
	    2, "ti"};
	const struct head *seen = context;
	struct buffer json = {0};
	int code = head_json(seen, &json, error);

	if (code == RH_OK)
		code = database_query(change->connection, &update,
		    (const struct value[]){
			value_text((const char *)json.data), value_integer(seen->time)},
		    NULL, NULL, error);
	buffer_free(&json);
	return code;
}

int head_note_rolled_back(struct ledger *ledger, const struct head *seen, rh_error *error)
{
	struct head copy = *seen;

	return change_run(ledger, 0, false, write_note, &copy, NULL, NULL, error);
}

struct note {
	bool rolled_back;
	char json[256];
};

static int on_note(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct note *note = context;

	(void)index;
	(void)error;
	note->rolled_back = !row_is_null(row, 0);
	row_copy(note->json, sizeof note->json, row, 0);
	return RH_OK;
}

static int read_note(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {
	    "ledger_note", "SELECT rolled_back FROM head WHERE id = 1", 0, ""};

	return database_query(change->connection, &select, NULL, on_note, context, error);
}

int ledger_rolled_back(struct ledger *ledger, bool *ret, struct head *ret_seen, rh_error *error)
{
	struct note note = {0};
	struct head seen = {0};
	int code = reading_run(ledger, 0, read_note, &note, NULL, NULL, error);

	if (code == RH_OK && note.rolled_back)
		code = head_parse(note.json, &seen, error);
	if (code != RH_OK)
		return code;
	*ret = note.rolled_back;
	if (ret_seen != NULL)
		*ret_seen = seen;
	return RH_OK;
}

/* ---- Resolving ---- */

struct resolving {
	const char *actor;
	const char *reason;
};

static int resolve(struct change *change, void *context, rh_error *error)
{
	static const struct statement update = {"ledger_resolve",
	    "UPDATE head SET rolled_back = NULL, resolved = $1 WHERE id = 1", 1, "i"};
	const struct resolving *resolving = context;
	struct note note = {0};
	int code = read_note(change, &note, error);

	if (code != RH_OK)
		return code;
	if (!note.rolled_back) {
		change->quiet = true;
		return RH_OK;
	}
	code = database_query(change->connection, &update,
	    (const struct value[]){value_integer(change->now)}, NULL, NULL, error);
	if (code == RH_OK)
		code = change_note(change, "resolve", resolving->actor,
		    json_pack("{s:s, s:s}", "reason", resolving->reason, "seen", note.json),
		    error);
	return code;
}

int ledger_resolve(
    struct ledger *ledger, int64_t now, const char *actor, const char *reason, rh_error *error)
{
	struct resolving resolving = {actor, reason};

	return change_run(ledger, now, true, resolve, &resolving, NULL, NULL, error);
}

/* ---- The head alone ---- */

struct look {
	struct ledger_visitor visitor;
	bool pending; /* a release of the visitor waits */
};

static int look(struct change *change, void *context, rh_error *error)
{
	struct look *look = context;
	int code = head_compare(change, look->visitor.head, error);

	look->pending = false;
	if (code == RH_OK && change->problem == PROBLEM_NONE && look->visitor.computer != NULL)
		code = visit_pending(change, &look->visitor, &look->pending, error);
	return code;
}

int ledger_head(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    enum problem *ret_problem, struct head *ret_head, rh_error *error)
{
	struct look context = {0};
	enum problem problem;
	struct head head;
	int code;

	if (visitor != NULL)
		context.visitor = *visitor;
	code = reading_run(ledger, now, look, &context, &problem, &head, error);
	if (code == RH_OK && context.pending)
		code = visit_seen(ledger, now, visitor, &problem, &head, error);
	if (code != RH_OK)
		return code;
	*ret_problem = problem;
	if (ret_head != NULL)
		*ret_head = head;
	return RH_OK;
}
