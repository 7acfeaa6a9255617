/*
 * For a compression dictionary in memory of our own: ZSTD_createCDict of before
 * 1.5.6 crashes where malloc fails (facebook/zstd, pull request 3847), and
 * nothing wipes its copy of the content.
 */
#define ZSTD_STATIC_LINKING_ONLY

#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/*
 * Raw content, no zstd dictionary format: the heading keeps a sample from being
 * taken for one by its first bytes.
 */
#define HEADING "rehost dictionary 1\n"
#define HEADING_SIZE (sizeof HEADING - 1)
#define SAMPLES_MIN 16
#define SAMPLES_MAX 16
#define SAMPLE_BYTES 2048
#define CONTENT_MAX (HEADING_SIZE + SAMPLES_MAX * SAMPLE_BYTES)

const struct dictionary *dictionary_find(struct store *store, int64_t number)
{
	struct dictionary *d = atomic_load_explicit(&store->dictionaries, memory_order_acquire);

	while (d != NULL && (d->number != number || atomic_load(&d->dead)))
		d = d->next;
	return d;
}

const struct dictionary *dictionary_current(struct store *store)
{
	struct dictionary *d = atomic_load_explicit(&store->dictionaries, memory_order_acquire);

	while (d != NULL && atomic_load(&d->dead))
		d = d->next;
	return d;
}

static void dictionary_free(struct dictionary *dictionary)
{
	if (dictionary->memory != NULL)
		bytes_wipe(dictionary->memory, dictionary->memory_size);
	free(dictionary->memory);
	ZSTD_freeDDict(dictionary->decompress);
	free(dictionary);
}

void dictionary_free_all(struct store *store)
{
	struct dictionary *d = atomic_load(&store->dictionaries);

	while (d != NULL) {
		struct dictionary *next = d->next;

		dictionary_free(d);
		d = next;
	}
	atomic_store(&store->dictionaries, NULL);
}

/* Makes the dictionary known to every sealer. */
static int publish(struct store *store, int64_t number, const void *content, size_t size,
    struct dictionary **ret, rh_error *error)
{
	ZSTD_compressionParameters parameters =
	    ZSTD_getCParams(STORE_COMPRESSION_LEVEL, SAMPLE_BYTES, size);
	struct dictionary *d = calloc(1, sizeof *d);

	if (d == NULL)
		return error_memory(error);
	d->number = number;
	d->memory_size = ZSTD_estimateCDictSize_advanced(size, parameters, ZSTD_dlm_byCopy);
	d->memory = malloc(d->memory_size);
	if (d->memory != NULL)
		d->compress = ZSTD_initStaticCDict(d->memory, d->memory_size, content, size,
		    ZSTD_dlm_byCopy, ZSTD_dct_rawContent, parameters);
	d->decompress = ZSTD_createDDict(content, size);
	if (d->compress == NULL || d->decompress == NULL) {
		dictionary_free(d);
		return error_memory(error);
	}
	d->next = atomic_load(&store->dictionaries);
	atomic_store_explicit(&store->dictionaries, d, memory_order_release);
	*ret = d;
	return RH_OK;
}

static void associated_dictionary(struct associated *a, struct store *store, int64_t number)
{
	associated_start(a, SEALED_DICTIONARY, store->id);
	associated_number(a, number);
}

/* Opens the dictionary in the current row of ${statement}. */
static int load(struct store *store, sqlite3_stmt *statement, rh_error *error)
{
	int64_t number = sqlite3_column_int64(statement, 0);
	const void *sealed = sqlite3_column_blob(statement, 1);
	size_t size = (size_t)sqlite3_column_bytes(statement, 1);
	uint8_t content[CONTENT_MAX];
	struct associated a;
	struct dictionary *d;
	int code = RH_E_STORE_DAMAGED;

	if (dictionary_find(store, number) != NULL)
		return RH_OK;
	associated_dictionary(&a, store, number);
	if (size >= SEAL_OVERHEAD && size <= SEAL_OVERHEAD + CONTENT_MAX)
		code = sealer_open(store->values, a.data, a.size, sealed, size, content, error);
	if (code == RH_E_STORE_DAMAGED)
		return error_set(error, code, "dictionary %lld of %s was changed or damaged",
		    (long long)number, store->path);
	if (code == RH_OK)
		code = publish(store, number, content, size - SEAL_OVERHEAD, &d, error);
	return code;
}

int dictionary_load_all(struct store *store, rh_error *error)
{
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(store, SQL_DICTIONARY_ALL, &statement, error);
	if (code != RH_OK)
		return code;
	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		code = load(store, statement, error);
		if (code != RH_OK)
			goto done;
	}
	if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
done:
	sqlite3_reset(statement);
	return code;
}

int dictionary_need(struct store *store, int64_t number, rh_error *error)
{
	sqlite3_stmt *statement;
	int code, result;

	if (number == 0 || dictionary_find(store, number) != NULL)
		return RH_OK;
	code = statement_get(store, SQL_DICTIONARY_GET, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_int64(statement, 1, number);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		code = load(store, statement, NULL);
	else if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	if (code == RH_E_STORE_DAMAGED)
		code = RH_OK;
	else if (code == RH_E_MEMORY)
		error_memory(error);
	return code;
}

void dictionary_settle(struct store *store, bool committed)
{
	if (store->dictionary_new != NULL && !committed)
		atomic_store(&store->dictionary_new->dead, true);
	store->dictionary_new = NULL;
}

/* ${content} of evenly chosen samples; returns its size. */
static size_t compose(
    uint8_t content[CONTENT_MAX], const struct license_document *samples, size_t count)
{
	size_t used = HEADING_SIZE;

	memcpy(content, HEADING, HEADING_SIZE);
	for (size_t i = 0; i < SAMPLES_MAX; i++) {
		const struct license_document *sample = &samples[i * count / SAMPLES_MAX];
		size_t size = sample->size < SAMPLE_BYTES ? sample->size : SAMPLE_BYTES;

		if (size > 0)
			memcpy(content + used, sample->data, size);
		used += size;
	}
	return used;
}

static int insert(
    struct store *store, int64_t number, const uint8_t *content, size_t size, rh_error *error)
{
	uint8_t sealed[CONTENT_MAX + SEAL_OVERHEAD];
	struct associated a;
	sqlite3_stmt *statement;
	int code, result;

	associated_dictionary(&a, store, number);
	code = sealer_seal(store->values, a.data, a.size, content, size, sealed, error);
	if (code == RH_OK)
		code = statement_get(store, SQL_DICTIONARY_INSERT, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_int64(statement, 1, number);
	sqlite3_bind_blob(statement, 2, sealed, (int)(size + SEAL_OVERHEAD), SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_WRITE, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

int store_learn(
    struct store *store, const struct license_document *samples, size_t count, rh_error *error)
{
	uint8_t content[CONTENT_MAX], digest[DIGEST_SIZE];
	size_t size;
	int64_t number;
	bool own;
	int code;

	if (count < SAMPLES_MIN || dictionary_current(store) != NULL)
		return RH_OK;
	code = write_enter(store, &own, error);
	if (code != RH_OK)
		return code;
	/* Another process may have been faster. */
	code = dictionary_load_all(store, error);
	if (code != RH_OK || dictionary_current(store) != NULL)
		goto done;

	/* Named by its content: no number ever means two dictionaries. */
	size = compose(content, samples, count);
	code = sha256(digest, content, size, error);
	if (code != RH_OK)
		goto done;
	number = (int64_t)(get_u32be(digest) >> 1) + 1;
	code = insert(store, number, content, size, error);
	if (code == RH_OK)
		code = publish(store, number, content, size, &store->dictionary_new, error);
done:
	return write_leave(store, own, code, error);
}
