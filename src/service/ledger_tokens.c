#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "service/ledger_internal.h"

/* Bearer tokens of administration: only a hash is kept. */

#define TOKEN_PREFIX "rehost_"
#define TOKEN_BYTES 32
#define TOKEN_SIZE (sizeof TOKEN_PREFIX - 1 + BASE64_SIZE(TOKEN_BYTES))
#define TOKEN_MAX 256 /* characters that are looked at */

/* ---- Making ---- */

struct making {
	const char *actor;
	const struct ledger_token *token;
	const char *name;
	const char *hash;
};

static int hash_token(const char *token, char ret[LEDGER_HASH_SIZE], rh_error *error)
{
	uint8_t hash[DIGEST_SIZE];
	int code = sha256(hash, token, strlen(token), error);

	if (code == RH_OK)
		text_hex(ret, hash, sizeof hash);
	return code;
}

static int insert_token(struct change *change, void *context, rh_error *error)
{
	static const struct statement insert = {"ledger_token_new",
	    "INSERT INTO tokens (name, hash, scope, created, expires)"
	    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING",
	    5, "ttiii"};
	const struct making *making = context;
	const struct ledger_token *token = making->token;
	int code = database_query(change->connection, &insert,
	    (const struct value[]){value_text(token->name), value_text(making->hash),
		value_integer(token->scope), value_integer(change->now),
		value_time(token->expires)},
	    NULL, NULL, error);

	if (code == RH_OK && connection_changes(change->connection) == 0)
		code =
		    error_set(error, RH_E_ARGUMENT, "there is a token %s already", token->name);
	if (code == RH_OK)
		code = change_note(change, "token", making->actor,
		    json_pack("{s:s, s:I, s:o}", "token", token->name, "scope",
			(json_int_t)token->scope, "expires",
			token->expires == LICENSE_TIME_NONE ? json_null()
							    : json_integer(token->expires)),
		    error);
	return code;
}

static int check_token(const struct ledger_token *token, rh_error *error)
{
	size_t size = strnlen(token->name, sizeof token->name);

	if (size == 0 || size == sizeof token->name || !utf8_valid(token->name, size))
		return error_set(
		    error, RH_E_ARGUMENT, "a token's name has 1 to 64 bytes of text");
	if (token->scope == 0 || (token->scope & ~(unsigned)(TOKEN_READ | TOKEN_WRITE)) != 0)
		return error_set(error, RH_E_ARGUMENT, "a token is for reading or for writing");
	return RH_OK;
}

int ledger_token_make(struct ledger *ledger, int64_t now, const char *actor,
    const struct ledger_token *token, char **ret, rh_error *error)
{
	uint8_t bytes[TOKEN_BYTES];
	char hash[LEDGER_HASH_SIZE], *text = NULL;
	struct making making = {.actor = actor, .token = token, .hash = hash};
	int code = check_token(token, error);

	if (code == RH_OK)
		code = random_bytes(bytes, sizeof bytes, error);
	if (code != RH_OK)
		return code;
	text = malloc(TOKEN_SIZE);
	if (text == NULL) {
		code = error_memory(error);
		goto end;
	}
	memcpy(text, TOKEN_PREFIX, sizeof TOKEN_PREFIX);
	base64url(text + sizeof TOKEN_PREFIX - 1, bytes, sizeof bytes);
	code = hash_token(text, hash, error);
	if (code == RH_OK)
		code = change_admin(ledger, now, insert_token, &making, error);
	if (code == RH_OK) {
		*ret = text;
	} else {
		bytes_wipe(text, TOKEN_SIZE);
		free(text);
	}
end:
	bytes_wipe(bytes, sizeof bytes);
	return code;
}

static int delete_token(struct change *change, void *context, rh_error *error)
{
	static const struct statement delete = {
	    "ledger_token_remove", "DELETE FROM tokens WHERE name = $1", 1, "t"};
	const struct making *making = context;
	int code = database_query(change->connection, &delete,
	    (const struct value[]){value_text(making->name)}, NULL, NULL, error);

	if (code == RH_OK && connection_changes(change->connection) == 0)
		code = error_set(error, RH_E_PIN_UNKNOWN, "there is no token %s", making->name);
	if (code == RH_OK)
		code = change_note(change, "token-removed", making->actor,
		    json_pack("{s:s}", "token", making->name), error);
	return code;
}

int ledger_token_remove(
    struct ledger *ledger, int64_t now, const char *actor, const char *name, rh_error *error)
{
	struct making making = {.actor = actor, .name = name};

	return change_admin(ledger, now, delete_token, &making, error);
}

/* ---- Reading ---- */

struct listing {
	int (*function)(void *context, const struct ledger_token *token, rh_error *error);
	void *context;
};

static void token_row(struct ledger_token *ret, const struct row *row)
{
	memset(ret, 0, sizeof *ret);
	row_copy(ret->name, sizeof ret->name, row, 0);
	ret->scope = (unsigned)row_integer(row, 1);
	ret->created = row_integer(row, 2);
	ret->expires = row_time(row, 3);
}

static int on_token(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct listing *listing = context;
	struct ledger_token token;

	(void)index;
	token_row(&token, row);
	return listing->function(listing->context, &token, error);
}

static int list_tokens(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_tokens",
	    "SELECT name, scope, created, expires FROM tokens ORDER BY name", 0, ""};

	return database_query(change->connection, &select, NULL, on_token, context, error);
}

int ledger_tokens(struct ledger *ledger,
    int (*function)(void *context, const struct ledger_token *token, rh_error *error),
    void *context, rh_error *error)
{
	struct listing listing = {function, context};

	return reading_run(ledger, 0, list_tokens, &listing, NULL, NULL, error);
}

/* ---- Checking ---- */

struct checking {
	const char *hash;
	bool there;
	struct ledger_token token;
};

static int on_check(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct checking *checking = context;
	const char *hash = row_text(row, 4);

	(void)index;
	(void)error;
	token_row(&checking->token, row);
	checking->there = strlen(hash) == LEDGER_HASH_SIZE - 1 &&
			  bytes_equal(hash, checking->hash, LEDGER_HASH_SIZE - 1);
	return RH_OK;
}

static int find_token(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_token",
	    "SELECT name, scope, created, expires, hash FROM tokens WHERE hash = $1", 1, "t"};
	struct checking *checking = context;

	checking->there = false;
	return database_query(change->connection, &select,
	    (const struct value[]){value_text(checking->hash)}, on_check, checking, error);
}

int ledger_token_check(struct ledger *ledger, int64_t now, const char *token,
    struct ledger_token *ret, rh_error *error)
{
	char hash[LEDGER_HASH_SIZE];
	struct checking checking = {.hash = hash};
	int code = RH_OK;

	if (strlen(token) > TOKEN_MAX)
		return error_set(error, RH_E_NO_RIGHT, "there is no such token");
	code = hash_token(token, hash, error);
	if (code == RH_OK)
		code = reading_run(ledger, now, find_token, &checking, NULL, NULL, error);
	if (code != RH_OK)
		return code;
	if (!checking.there)
		return error_set(error, RH_E_NO_RIGHT, "there is no such token");
	if (checking.token.expires != LICENSE_TIME_NONE && checking.token.expires <= now)
		return error_set(
		    error, RH_E_NO_RIGHT, "the token %s has expired", checking.token.name);
	*ret = checking.token;
	return RH_OK;
}
