#include <string.h>

#include "base/text.h"
#include "store/internal.h"

/* Twice for every licence, so without printf. */
void row_counts_format(char text[COUNTS_SIZE], const struct license *facts)
{
	char *p = text;

	for (size_t i = 0; i < facts->count_count && i < LICENSE_COUNTS_MAX; i++) {
		p = text_decimal(p, facts->counts[i].remaining);
		*p++ = ' ';
		p = stpcpy(stpcpy(p, facts->counts[i].action), "\n");
	}
	*p = '\0';
}

/* Strict, so that one meaning has one text: what is read formats back the same. */
static bool counts_parse(struct license *facts, const char *text, size_t size)
{
	char again[COUNTS_SIZE];
	const char *p = text, *end = text + size;

	facts->count_count = 0;
	if (size == 0)
		return true;
	while (p < end && facts->count_count < LICENSE_COUNTS_MAX) {
		struct license_count *count = &facts->counts[facts->count_count++];
		const char *line = memchr(p, '\n', (size_t)(end - p));
		uint64_t remaining = 0;

		if (line == NULL)
			return false;
		for (; p < line && *p >= '0' && *p <= '9'; p++)
			if (__builtin_mul_overflow(remaining, (uint64_t)10, &remaining) ||
			    __builtin_add_overflow(remaining, (uint64_t)(*p - '0'), &remaining))
				return false;
		if (p == line || *p++ != ' ' || (size_t)(line - p) >= sizeof count->action)
			return false;
		count->remaining = remaining;
		memcpy(count->action, p, (size_t)(line - p));
		count->action[line - p] = '\0';
		p = line + 1;
	}
	row_counts_format(again, facts);
	return p == end && strlen(again) == size && memcmp(again, text, size) == 0;
}

/* Copies text of its exact length; false if it does not fit or holds a NUL. */
static bool read_text(sqlite3_stmt *statement, int column, char *text, size_t capacity)
{
	const unsigned char *from = sqlite3_column_text(statement, column);
	size_t size = (size_t)sqlite3_column_bytes(statement, column);

	if (from == NULL || size >= capacity || memchr(from, '\0', size) != NULL)
		return false;
	memcpy(text, from, size);
	text[size] = '\0';
	return true;
}

/* The store's own copy of a text of which there are few different ones. */
static bool read_kept_text(
    struct store *store, sqlite3_stmt *statement, int column, const char **ret)
{
	char text[STORE_TEXT_MAX + 1];
	size_t i = 0;

	if (!read_text(statement, column, text, sizeof text))
		return false;
	while (i < store->text_count && strcmp(store->texts[i], text) != 0)
		i++;
	if (i == STORE_TEXTS_MAX)
		return false;
	if (i == store->text_count)
		strcpy(store->texts[store->text_count++], text);
	*ret = store->texts[i];
	return true;
}

static bool read_time(sqlite3_stmt *statement, int column, int64_t *ret)
{
	if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
		*ret = LICENSE_TIME_NONE;
		return true;
	}
	*ret = sqlite3_column_int64(statement, column);
	return *ret != LICENSE_TIME_NONE;
}

static bool read_exact(sqlite3_stmt *statement, int column, void *bytes, size_t size)
{
	const void *from = sqlite3_column_blob(statement, column);

	if (from == NULL || (size_t)sqlite3_column_bytes(statement, column) != size)
		return false;
	memcpy(bytes, from, size);
	return true;
}

static bool read_facts(struct store *store, sqlite3_stmt *statement, struct store_row *row)
{
	struct license *f = &row->facts;
	const unsigned char *counts;
	int64_t backup;

	row->number = sqlite3_column_int64(statement, COLUMN_NUMBER);
	f->id[0] = '\0';
	if (!read_text(statement, COLUMN_ID, f->id, sizeof f->id) ||
	    !read_text(statement, COLUMN_KEY_ID, f->key_id, sizeof f->key_id) ||
	    !read_kept_text(store, statement, COLUMN_FORMAT, &f->format) ||
	    !read_text(statement, COLUMN_ISSUER, f->issuer, sizeof f->issuer) ||
	    !read_text(statement, COLUMN_TITLE, f->title, sizeof f->title) ||
	    !read_text(statement, COLUMN_SERVICE, f->service, sizeof f->service) ||
	    !read_kept_text(store, statement, COLUMN_REASON, &f->reason) ||
	    !read_time(statement, COLUMN_ISSUED, &f->issued) ||
	    !read_time(statement, COLUMN_NOT_BEFORE, &f->not_before) ||
	    !read_time(statement, COLUMN_NOT_AFTER, &f->not_after) ||
	    !read_exact(statement, COLUMN_DIGEST, row->digest, DIGEST_SIZE) ||
	    !read_exact(statement, COLUMN_SEAL, row->seal, SEAL_OVERHEAD))
		return false;
	counts = sqlite3_column_text(statement, COLUMN_COUNTS);
	if (counts == NULL || !counts_parse(f, (const char *)counts,
				  (size_t)sqlite3_column_bytes(statement, COLUMN_COUNTS)))
		return false;
	backup = sqlite3_column_int64(statement, COLUMN_BACKUP);
	if (backup < LICENSE_NO || backup > LICENSE_UNKNOWN)
		return false;
	f->backup = (enum license_right)backup;
	row->added = sqlite3_column_int64(statement, COLUMN_ADDED);
	row->bytes = (uint64_t)sqlite3_column_int64(statement, COLUMN_BYTES);
	row->state_version = sqlite3_column_int64(statement, COLUMN_STATE_VERSION);
	row->dictionary = sqlite3_column_int64(statement, COLUMN_DICTIONARY);
	if (row->dictionary == 0 &&
	    sqlite3_column_type(statement, COLUMN_DICTIONARY) != SQLITE_NULL)
		return false;
	row->has_secret = sqlite3_column_int(statement, COLUMN_HAS_SECRET) != 0;
	row->has_state = sqlite3_column_int(statement, COLUMN_HAS_STATE) != 0;
	return true;
}

/*
 * Facts that no version writes: a row that fails its check, so that one damaged
 * licence does not hide those behind it.
 */
static void facts_unreadable(struct store_row *row)
{
	struct license *f = &row->facts;

	if (f->id[0] == '\0')
		memcpy(f->id, "?", 2);
	f->key_id[0] = f->issuer[0] = f->title[0] = f->service[0] = '\0';
	f->format = f->reason = "";
	f->issued = f->not_before = f->not_after = LICENSE_TIME_NONE;
	f->count_count = 0;
	f->backup = LICENSE_NO;
	row->bytes = 0;
	row->dictionary = 0;
	memset(row->seal, 0, sizeof row->seal);
}

static int read_part(sqlite3_stmt *statement, int column, struct buffer *ret, rh_error *error)
{
	const void *bytes = sqlite3_column_blob(statement, column);
	size_t size = (size_t)sqlite3_column_bytes(statement, column);

	buffer_clear(ret);
	return buffer_append(ret, bytes, size, error);
}

int row_read(struct store *store, sqlite3_stmt *statement, bool facts_only,
    struct store_row *row, rh_error *error)
{
	int code;

	if (!read_facts(store, statement, row)) {
		if ((sqlite3_errcode(store->db) & 0xff) == SQLITE_NOMEM)
			return error_memory(error);
		facts_unreadable(row);
	}
	code = dictionary_need(store, row->dictionary, error);
	buffer_clear(&row->document);
	buffer_clear(&row->secret);
	buffer_clear(&row->state);
	if (facts_only || code != RH_OK)
		return code;
	code = read_part(statement, COLUMN_DOCUMENT, &row->document, error);
	if (code == RH_OK)
		code = read_part(statement, COLUMN_SECRET, &row->secret, error);
	if (code == RH_OK)
		code = read_part(statement, COLUMN_STATE, &row->state, error);
	return code;
}
