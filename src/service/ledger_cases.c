#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "service/ledger_internal.h"

/* Cases: what a person is told about a licence that was refused for a limit. */

/* ---- Tokens ---- */

#define CASE_SECRET "case_secret"
#define CASE_TOKEN_BYTES 24

struct secret {
	bool there;
	char hex[2 * KEY_SIZE + 1];
};

static int on_secret(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct secret *secret = context;

	(void)index;
	(void)error;
	secret->there = true;
	row_copy(secret->hex, sizeof secret->hex, row, 0);
	return RH_OK;
}

/* All that share a ledger make the same tokens. */
static int make_secret(struct change *change, void *context, rh_error *error)
{
	static const struct statement insert = {"ledger_secret_new",
	    "INSERT INTO meta (name, value) VALUES ('" CASE_SECRET "', $1)"
	    " ON CONFLICT (name) DO NOTHING",
	    1, "t"};
	static const struct statement select = {
	    "ledger_secret", "SELECT value FROM meta WHERE name = '" CASE_SECRET "'", 0, ""};
	struct secret *secret = context;
	uint8_t bytes[KEY_SIZE];
	char hex[2 * KEY_SIZE + 1];
	int code = random_bytes(bytes, sizeof bytes, error);

	if (code != RH_OK)
		return code;
	text_hex(hex, bytes, sizeof bytes);
	code = database_query(change->connection, &insert,
	    (const struct value[]){value_text(hex)}, NULL, NULL, error);
	if (code == RH_OK)
		code =
		    database_query(change->connection, &select, NULL, on_secret, secret, error);
	bytes_wipe(bytes, sizeof bytes);
	bytes_wipe(hex, sizeof hex);
	return code;
}

int cases_open(struct ledger *ledger, rh_error *error)
{
	struct secret secret = {0};
	uint8_t bytes[KEY_SIZE];
	int code = change_run(ledger, 0, false, make_secret, &secret, NULL, NULL, error);

	if (code == RH_OK && !text_unhex(secret.hex, bytes, sizeof bytes))
		code = error_set(error, RH_E_DATABASE, "the ledger's own secret is damaged");
	if (code == RH_OK)
		code = hkdf_sha256(ledger->case_key, sizeof ledger->case_key, bytes,
		    sizeof bytes, NULL, 0, "rehost case 1", error);
	bytes_wipe(bytes, sizeof bytes);
	bytes_wipe(&secret, sizeof secret);
	return code;
}

/* The same licence on the same computer has the same case. */
static int make_token(const struct ledger *ledger, const char *license, const char *computer,
    char ret[LEDGER_TOKEN_SIZE], rh_error *error)
{
	char text[LEDGER_KEY_SIZE + JOSE_THUMBPRINT_SIZE];
	uint8_t mac[DIGEST_SIZE];
	size_t size = strlen(license) + 1;
	int code;

	memcpy(text, license, size);
	memcpy(text + size, computer, strlen(computer) + 1);
	code = hmac_sha256(mac, ledger->case_key, sizeof ledger->case_key, text,
	    size + strlen(computer), error);
	if (code == RH_OK)
		base64url(ret, mac, CASE_TOKEN_BYTES);
	return code;
}

static int hash_token(const char *token, char ret[LEDGER_HASH_SIZE], rh_error *error)
{
	uint8_t hash[DIGEST_SIZE];
	int code = sha256(hash, token, strlen(token), error);

	if (code == RH_OK)
		text_hex(ret, hash, sizeof hash);
	return code;
}

/* ---- Opening ---- */

static bool has_case(const struct item *item)
{
	switch (item->outcome->problem) {
	case PROBLEM_LIMIT:
	case PROBLEM_PERIOD:
	case PROBLEM_COOLDOWN:
	case PROBLEM_LICENSE_BLOCKED:
		return true;
	default:
		return false;
	}
}

int cases_name(
    struct change *change, struct items *items, const char *computer, rh_error *error)
{
	int code = RH_OK;

	for (size_t i = 0; code == RH_OK && i < items->count; i++)
		if (has_case(&items->items[i]))
			code = make_token(change->ledger, items->items[i].license->key,
			    computer, items->items[i].outcome->token, error);
	return code;
}

/* Hashes of the tokens, for the parameters of a statement; freed with free(). */
static int hash_tokens(const struct items *items, char (**ret)[LEDGER_HASH_SIZE],
    size_t *ret_count, rh_error *error)
{
	char(*hashes)[LEDGER_HASH_SIZE] = calloc(items->count + 1, sizeof *hashes);
	size_t count = 0;
	int code = RH_OK;

	if (hashes == NULL)
		return error_memory(error);
	for (size_t i = 0; code == RH_OK && i < items->count; i++)
		if (has_case(&items->items[i]))
			code =
			    hash_token(items->items[i].outcome->token, hashes[count++], error);
	if (code != RH_OK) {
		free(hashes);
		return code;
	}
	*ret = hashes;
	*ret_count = count;
	return RH_OK;
}

static int on_open_case(void *context, size_t index, const struct row *row, rh_error *error)
{
	size_t *open = context;

	(void)index;
	(void)row;
	(void)error;
	(*open)++;
	return RH_OK;
}

int cases_missing(struct change *change, struct items *items, bool *ret, rh_error *error)
{
	static const struct statement select = {"ledger_case_there",
	    "SELECT number FROM cases WHERE token_hash = $1 AND problem = $2"
	    " AND created >= $3",
	    3, "tti"};
	char(*hashes)[LEDGER_HASH_SIZE];
	size_t count, n = 0, open = 0;
	int code;

	code = hash_tokens(items, &hashes, &count, error);
	if (code != RH_OK)
		return code;
	for (size_t i = 0; i < items->count; i++) {
		if (!has_case(&items->items[i]))
			continue;
		items->values[3 * n] = value_text(hashes[n]);
		items->values[3 * n + 1] =
		    value_text(problem_code(items->items[i].outcome->problem));
		items->values[3 * n + 2] = value_integer(change->now - CASES_RENEWED);
		n++;
	}
	if (count > 0)
		code = database_query_many(change->connection, &select, items->values, count,
		    on_open_case, &open, error);
	free(hashes);
	*ret = open < count;
	return code;
}

int cases_write(
    struct change *change, struct items *items, const char *computer, rh_error *error)
{
	static const struct statement insert = {"ledger_case_new",
	    "INSERT INTO cases (token_hash, license, computer, problem, created)"
	    " VALUES ($1, $2, $3, $4, $5)"
	    " ON CONFLICT (token_hash) DO UPDATE SET problem = excluded.problem,"
	    " created = CASE WHEN cases.created < $6 THEN excluded.created"
	    " ELSE cases.created END",
	    6, "ttttii"};
	char(*hashes)[LEDGER_HASH_SIZE];
	size_t count, n = 0;
	int code = hash_tokens(items, &hashes, &count, error);

	if (code != RH_OK)
		return code;
	for (size_t i = 0; i < items->count; i++) {
		const struct item *item = &items->items[i];
		struct value *values = items->values + 6 * n;

		if (!has_case(item))
			continue;
		values[0] = value_text(hashes[n++]);
		values[1] = value_text(item->license->key);
		values[2] = value_text(computer);
		values[3] = value_text(problem_code(item->outcome->problem));
		values[4] = value_integer(change->now);
		values[5] = value_integer(change->now - CASES_RENEWED);
	}
	if (count > 0)
		code = database_query_many(
		    change->connection, &insert, items->values, count, NULL, NULL, error);
	free(hashes);
	return code;
}

/* ---- Reading ---- */

struct reading {
	const char *token_hash; /* NULL: by number */
	int64_t number;
	struct ledger_case found;
	bool there;
};

static int on_case(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct reading *reading = context;
	struct ledger_case *found = &reading->found;

	(void)index;
	(void)error;
	reading->there = true;
	found->number = row_integer(row, 0);
	found->created = row_integer(row, 1);
	found->problem = problem_named(row_text(row, 2));
	row_copy(found->computer, sizeof found->computer, row, 3);
	row_copy(found->contact, sizeof found->contact, row, 4);
	row_copy(found->issuer_title, sizeof found->issuer_title, row, 5);
	license_row(&found->license, row, 6);
	return RH_OK;
}

#define SELECT_CASE                                                                            \
	"SELECT c.number, c.created, c.problem, c.computer, COALESCE(i.contact, ''),"          \
	" COALESCE(i.title, '')," LICENSE_COLUMNS                                              \
	" FROM cases c JOIN licenses l ON l.license = c.license"                               \
	" LEFT JOIN issuers i ON i.name = l.issuer"

static int find_case(struct change *change, void *context, rh_error *error)
{
	static const struct statement by_token = {
	    "ledger_case_token", SELECT_CASE " WHERE c.token_hash = $1", 1, "t"};
	static const struct statement by_number = {
	    "ledger_case_number", SELECT_CASE " WHERE c.number = $1", 1, "i"};
	struct reading *reading = context;
	const bool token = reading->token_hash != NULL;
	const struct value value =
	    token ? value_text(reading->token_hash) : value_integer(reading->number);
	int code;

	free(reading->found.status.computers); /* of a try before */
	memset(&reading->found, 0, sizeof reading->found);
	reading->there = false;
	code = database_query(change->connection, token ? &by_token : &by_number, &value,
	    on_case, reading, error);
	if (code == RH_OK && !reading->there)
		code = error_set(error, RH_E_LICENSE_UNKNOWN, "there is no such case");
	if (code == RH_OK)
		code = status_read(change, &reading->found.license, &reading->found.status,
		    &reading->found.release_wait, error);
	return code;
}

int ledger_case(struct ledger *ledger, int64_t now, const char *token, int64_t number,
    struct ledger_case *ret, rh_error *error)
{
	struct reading reading = {.number = number};
	char hash[LEDGER_HASH_SIZE];
	int code = RH_OK;

	if (token != NULL) {
		code = hash_token(token, hash, error);
		reading.token_hash = hash;
	}
	if (code == RH_OK)
		code = reading_run(ledger, now, find_case, &reading, NULL, NULL, error);
	if (code == RH_OK)
		*ret = reading.found;
	else
		free(reading.found.status.computers);
	return code;
}
