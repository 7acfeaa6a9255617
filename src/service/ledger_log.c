#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "service/ledger_internal.h"

/* The log: entries, each hashed over the one before. */

/* ---- The hash ---- */

static int put_text(struct digest *digest, const char *text, rh_error *error)
{
	uint8_t size[8];
	int code;

	put_u64be(size, strlen(text));
	code = digest_update(digest, size, sizeof size, error);
	if (code == RH_OK)
		code = digest_update(digest, text, strlen(text), error);
	return code;
}

int log_hash(uint8_t ret[DIGEST_SIZE], const uint8_t before[DIGEST_SIZE], int64_t seq,
    int64_t time, const struct entry *entry, rh_error *error)
{
	struct digest *digest;
	uint8_t numbers[16];
	int code = digest_new(&digest, error);

	if (code != RH_OK)
		return code;
	put_u64be(numbers, (uint64_t)seq);
	put_u64be(numbers + 8, (uint64_t)time);
	code = digest_update(digest, before, DIGEST_SIZE, error);
	if (code == RH_OK)
		code = digest_update(digest, numbers, sizeof numbers, error);
	if (code == RH_OK)
		code = put_text(digest, entry->kind, error);
	if (code == RH_OK)
		code = put_text(digest, entry->actor, error);
	if (code == RH_OK)
		code = put_text(digest, entry->body, error);
	if (code == RH_OK)
		code = digest_finish(digest, ret, error);
	digest_free(digest);
	return code;
}

/* ---- Appending ---- */

struct lock {
	struct head head;
	bool there;
	bool rolled_back;
};

static int on_lock(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct lock *lock = context;

	(void)index;
	lock->there = true;
	lock->head.seq = row_integer(row, 0);
	lock->rolled_back = !row_is_null(row, 2);
	if (!text_unhex(row_text(row, 1), lock->head.hash, DIGEST_SIZE))
		return error_set(error, RH_E_DATABASE, "the head of the ledger is damaged");
	return RH_OK;
}

static int lock_head(struct change *change, struct lock *lock, rh_error *error)
{
	static const struct statement select = {"ledger_head_lock",
	    "SELECT seq, hash, rolled_back FROM head WHERE id = 1 FOR UPDATE", 0, ""};
	int code = database_query(change->connection, &select, NULL, on_lock, lock, error);

	if (code == RH_OK && !lock->there)
		code = error_set(error, RH_E_DATABASE, "the ledger has no head");
	return code;
}

static int insert_entry(struct change *change, struct head *head, const struct entry *entry,
    char hex[LEDGER_HASH_SIZE], rh_error *error)
{
	static const struct statement insert = {"ledger_log",
	    "INSERT INTO audit (seq, time, kind, actor, body, hash)"
	    " VALUES ($1, $2, $3, $4, $5, $6)",
	    6, "iitttt"};
	uint8_t hash[DIGEST_SIZE];
	int code = log_hash(hash, head->hash, head->seq + 1, change->now, entry, error);

	if (code != RH_OK)
		return code;
	text_hex(hex, hash, sizeof hash);
	head->seq++;
	memcpy(head->hash, hash, sizeof hash);
	return database_query(change->connection, &insert,
	    (const struct value[]){value_integer(head->seq), value_integer(change->now),
		value_text(entry->kind), value_text(entry->actor), value_text(entry->body),
		value_text(hex)},
	    NULL, NULL, error);
}

int log_append(struct change *change, rh_error *error)
{
	static const struct statement update = {
	    "ledger_head_set", "UPDATE head SET seq = $1, hash = $2 WHERE id = 1", 2, "it"};
	char hex[LEDGER_HASH_SIZE];
	struct lock lock = {0};
	int code;

	if (change->entry_count == 0)
		return RH_OK;
	code = lock_head(change, &lock, error);
	if (code == RH_OK && lock.rolled_back && !change->resolves) {
		change->problem = PROBLEM_ROLLED_BACK;
		return RH_OK;
	}
	for (size_t i = 0; code == RH_OK && i < change->entry_count; i++)
		code = insert_entry(change, &lock.head, &change->entries[i], hex, error);
	if (code == RH_OK)
		code = database_query(change->connection, &update,
		    (const struct value[]){value_integer(lock.head.seq), value_text(hex)}, NULL,
		    NULL, error);
	if (code == RH_OK) {
		lock.head.resolved = change->head.resolved;
		change->head = lock.head;
		change->head.time = change->now;
	}
	return code;
}

/* ---- Reading ---- */

struct listing {
	int (*function)(void *context, const struct ledger_entry *entry, rh_error *error);
	void *context;
	int64_t from;
	unsigned limit;
};

static int on_entry(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct listing *listing = context;
	struct ledger_entry entry = {.seq = row_integer(row, 0),
	    .time = row_integer(row, 1),
	    .kind = row_text(row, 2),
	    .actor = row_text(row, 3),
	    .body = row_text(row, 4)};

	(void)index;
	if (!text_unhex(row_text(row, 5), entry.hash, sizeof entry.hash))
		return error_set(error, RH_E_STORE_DAMAGED,
		    "entry %lld of the log is not what was written", (long long)entry.seq);
	return listing->function(listing->context, &entry, error);
}

static int list(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_log_list",
	    "SELECT seq, time, kind, actor, body, hash FROM audit WHERE seq >= $1"
	    " ORDER BY seq LIMIT $2",
	    2, "ii"};
	struct listing *listing = context;

	return database_query(change->connection, &select,
	    (const struct value[]){value_integer(listing->from), value_integer(listing->limit)},
	    on_entry, listing, error);
}

int ledger_audit(struct ledger *ledger, int64_t from, unsigned limit,
    int (*function)(void *context, const struct ledger_entry *entry, rh_error *error),
    void *context, rh_error *error)
{
	struct listing listing = {function, context, from, limit};

	return reading_run(ledger, 0, list, &listing, NULL, NULL, error);
}

/* ---- Verification ---- */

#define VERIFY_AT_ONCE 1000 /* entries */

static int verify_entry(void *context, const struct ledger_entry *entry, rh_error *error)
{
	struct head *head = context;
	char *actor = (char *)(uintptr_t)entry->actor, *body = (char *)(uintptr_t)entry->body;
	uint8_t hash[DIGEST_SIZE];
	int code;

	if (entry->seq != head->seq + 1)
		return error_set(error, RH_E_STORE_DAMAGED, "entry %lld of the log is missing",
		    (long long)head->seq + 1);
	code = log_hash(hash, head->hash, entry->seq, entry->time,
	    &(struct entry){entry->kind, actor, body}, error);
	if (code == RH_OK && memcmp(hash, entry->hash, sizeof hash) != 0)
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "entry %lld of the log is not what was written", (long long)entry->seq);
	if (code == RH_OK) {
		head->seq = entry->seq;
		memcpy(head->hash, hash, sizeof hash);
	}
	return code;
}

/* In one transaction, so that the head is that of the entries. */
static int verify(struct change *change, void *context, rh_error *error)
{
	struct head *head = context;
	struct listing listing = {verify_entry, head, 1, VERIFY_AT_ONCE};
	int64_t before;
	int code;

	memset(head, 0, sizeof *head);
	code = head_compare(change, NULL, error);
	do {
		before = head->seq;
		listing.from = head->seq + 1;
		if (code == RH_OK)
			code = list(change, &listing, error);
	} while (code == RH_OK && head->seq - before == VERIFY_AT_ONCE);
	if (code == RH_OK && (head->seq != change->head.seq ||
				 memcmp(head->hash, change->head.hash, DIGEST_SIZE) != 0))
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "the log ends with entry %lld, its head says %lld", (long long)head->seq,
		    (long long)change->head.seq);
	return code;
}

int ledger_audit_verify(struct ledger *ledger, uint64_t *ret_entries, rh_error *error)
{
	struct head head;
	int code = reading_run(ledger, 0, verify, &head, NULL, NULL, error);

	if (code == RH_OK)
		*ret_entries = (uint64_t)head.seq;
	return code;
}
