#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

struct store_sealer {
	struct store *store;
	struct sealer *parts;
	struct sealer *rows;
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
	struct buffer scratch; /* the compressed document */
	struct associated associated;
};

/* ---- Associated data ---- */

void associated_bytes(struct associated *a, const void *bytes, size_t size)
{
	if (size > sizeof a->data - a->size) {
		a->overflow = true;
		return;
	}
	if (size > 0)
		memcpy(a->data + a->size, bytes, size);
	a->size += size;
}

void associated_start(
    struct associated *a, enum sealed_kind kind, const uint8_t store_id[STORE_ID_SIZE])
{
	uint8_t byte = (uint8_t)kind;

	a->size = 0;
	a->overflow = false;
	associated_bytes(a, &byte, 1);
	associated_bytes(a, store_id, STORE_ID_SIZE);
}

void associated_text(struct associated *a, const char *text)
{
	size_t size = strlen(text);
	uint8_t length[4];

	put_u32be(length, (uint32_t)size);
	associated_bytes(a, length, sizeof length);
	associated_bytes(a, text, size);
}

void associated_number(struct associated *a, int64_t number)
{
	uint8_t bytes[8];

	put_u64be(bytes, (uint64_t)number);
	associated_bytes(a, bytes, sizeof bytes);
}

/*
 * What the parts are bound to: every fact of the row, so that opening the document checks
 * them all.  Not its number, which is not known yet when they are sealed.
 */
static void associated_part(struct associated *a, enum sealed_kind kind,
    const struct store *store, const struct store_row *row)
{
	const struct license *facts = &row->facts;
	char counts[COUNTS_SIZE];

	associated_start(a, kind, store->id);
	associated_text(a, facts->id);
	associated_text(a, facts->key_id);
	associated_text(a, facts->service);
	associated_number(a, (int64_t)facts->backup);
	associated_number(a, row->added);
	associated_number(a, (int64_t)row->bytes);
	associated_bytes(a, row->digest, DIGEST_SIZE);
	associated_number(a, row->state_version);
	associated_number(a, row->dictionary);
	associated_text(a, facts->format);
	associated_text(a, facts->issuer);
	associated_text(a, facts->title);
	associated_text(a, facts->reason);
	associated_number(a, facts->issued);
	associated_number(a, facts->not_before);
	associated_number(a, facts->not_after);
	row_counts_format(counts, facts);
	associated_text(a, counts);
	associated_number(a, (row->has_secret ? 1 : 0) | (row->has_state ? 2 : 0));
}

/* What the seal is bound to: the facts again, and the number. */
static void associated_row(
    struct associated *a, const struct store *store, const struct store_row *row)
{
	associated_part(a, SEALED_ROW, store, row);
	associated_number(a, row->number);
}

/* ---- Sealers ---- */

void store_row_free(struct store_row *row)
{
	buffer_free(&row->document);
	buffer_free(&row->secret);
	buffer_free(&row->state);
}

void store_content_free(struct store_content *content)
{
	/* Documents of some formats hold content keys in clear. */
	buffer_free_secret(&content->document);
	buffer_free_secret(&content->secret);
}

int store_sealer_new(struct store *store, struct store_sealer **ret, rh_error *error)
{
	struct store_sealer *sealer = calloc(1, sizeof *sealer);
	int code;

	if (sealer == NULL)
		return error_memory(error);
	sealer->store = store;
	code = sealer_new(store->parts_key, &sealer->parts, error);
	if (code == RH_OK)
		code = sealer_new(store->rows_key, &sealer->rows, error);
	if (code != RH_OK)
		goto fail;
	sealer->compress = ZSTD_createCCtx();
	sealer->decompress = ZSTD_createDCtx();
	if (sealer->compress == NULL || sealer->decompress == NULL) {
		code = error_memory(error);
		goto fail;
	}
	*ret = sealer;
	return RH_OK;

fail:
	store_sealer_free(sealer);
	return code;
}

void store_sealer_free(struct store_sealer *sealer)
{
	if (sealer == NULL)
		return;
	sealer_free(sealer->parts);
	sealer_free(sealer->rows);
	ZSTD_freeCCtx(sealer->compress);
	ZSTD_freeDCtx(sealer->decompress);
	buffer_free_secret(&sealer->scratch);
	free(sealer);
}

/* ---- Sealing ---- */

static int seal_part(struct store_sealer *sealer, enum sealed_kind kind, const void *bytes,
    size_t size, struct buffer *ret, rh_error *error)
{
	struct associated *a = &sealer->associated;
	int code;

	buffer_clear(ret);
	code = buffer_reserve(ret, size + SEAL_OVERHEAD, error);
	if (code != RH_OK)
		return code;
	a->data[0] = (uint8_t)kind;
	code = sealer_seal(sealer->parts, a->data, a->size, bytes, size, ret->data, error);
	if (code == RH_OK)
		ret->size = size + SEAL_OVERHEAD;
	return code;
}

static int compress(struct store_sealer *sealer, const struct dictionary *dictionary,
    const void *document, size_t size, rh_error *error)
{
	struct buffer *out = &sealer->scratch;
	size_t done;
	int code;

	buffer_clear(out);
	code = buffer_reserve(out, ZSTD_compressBound(size), error);
	if (code != RH_OK)
		return code;
	if (dictionary != NULL)
		done = ZSTD_compress_usingCDict(sealer->compress, out->data, out->capacity,
		    document, size, dictionary->compress);
	else
		done = ZSTD_compressCCtx(sealer->compress, out->data, out->capacity, document,
		    size, STORE_COMPRESSION_LEVEL);
	if (ZSTD_isError(done))
		return error_set(error, RH_E_MEMORY, "a licence cannot be compressed: %s",
		    ZSTD_getErrorName(done));
	out->size = done;
	return RH_OK;
}

static int seal_state(struct store_sealer *sealer, const struct license_state *state,
    struct buffer *ret, rh_error *error)
{
	struct buffer json = {0};
	int code;

	code = license_state_format(state, &json, error);
	if (code == RH_OK)
		code = seal_part(sealer, SEALED_STATE, json.data, json.size, ret, error);
	buffer_free(&json);
	return code;
}

int store_seal(struct store_sealer *sealer, struct store_row *row, const void *document,
    size_t size, const void *secret, size_t secret_size, const struct license_state *state,
    rh_error *error)
{
	const struct dictionary *dictionary = dictionary_current(sealer->store);
	int code = RH_OK;

	if (size > LICENSE_MAX || secret_size > LICENSE_MAX)
		return error_set(error, RH_E_LICENSE_TOO_BIG,
		    "licence %s has %zu bytes, at most %d are kept", row->facts.id,
		    size > LICENSE_MAX ? size : secret_size, LICENSE_MAX);
	buffer_clear(&row->secret);
	buffer_clear(&row->state);
	row->bytes = size;
	row->dictionary = dictionary != NULL ? dictionary->number : 0;
	row->has_secret = secret_size > 0;
	row->has_state = state != NULL && !license_state_empty(state);
	if (!row->digest_known)
		code = sha256(row->digest, document, size, error);
	if (code == RH_OK)
		code = compress(sealer, dictionary, document, size, error);
	if (code != RH_OK)
		return code;

	associated_part(&sealer->associated, SEALED_DOCUMENT, sealer->store, row);
	if (sealer->associated.overflow)
		return error_set(error, RH_E_ARGUMENT, "the facts of licence %s are too long",
		    row->facts.id);
	code = seal_part(sealer, SEALED_DOCUMENT, sealer->scratch.data, sealer->scratch.size,
	    &row->document, error);
	if (code == RH_OK && row->has_secret && secret != NULL)
		code =
		    seal_part(sealer, SEALED_SECRET, secret, secret_size, &row->secret, error);
	if (code == RH_OK && row->has_state)
		code = seal_state(sealer, state, &row->state, error);
	return code;
}

int store_seal_secret(struct store_sealer *sealer, struct store_row *row, const void *secret,
    size_t size, rh_error *error)
{
	if (!row->has_secret || size == 0 || size > LICENSE_MAX)
		return error_set(error, RH_E_ARGUMENT,
		    "a secret of %zu bytes does not fit licence %s", size, row->facts.id);
	associated_part(&sealer->associated, SEALED_SECRET, sealer->store, row);
	return seal_part(sealer, SEALED_SECRET, secret, size, &row->secret, error);
}

int row_seal(struct store_sealer *sealer, struct store_row *row, rh_error *error)
{
	struct associated *a = &sealer->associated;

	associated_row(a, sealer->store, row);
	if (a->overflow || strlen(row->facts.format) > STORE_TEXT_MAX ||
	    strlen(row->facts.reason) > STORE_TEXT_MAX)
		return error_set(error, RH_E_ARGUMENT, "the facts of licence %s are too long",
		    row->facts.id);
	return sealer_seal(sealer->rows, a->data, a->size, NULL, 0, row->seal, error);
}

/* ---- Opening ---- */

static int damaged(
    struct store_sealer *sealer, const struct store_row *row, const char *what, rh_error *error)
{
	return error_set(error, RH_E_STORE_DAMAGED,
	    "licence %s in %s was changed or damaged: %s", row->facts.id, sealer->store->path,
	    what);
}

int store_check_facts(struct store_sealer *sealer, const struct store_row *row, rh_error *error)
{
	struct associated *a = &sealer->associated;
	uint8_t nothing[1];
	int code;

	associated_row(a, sealer->store, row);
	if (a->overflow)
		return damaged(sealer, row, "its facts are too long", error);
	code = sealer_open(
	    sealer->rows, a->data, a->size, row->seal, SEAL_OVERHEAD, nothing, error);
	if (code == RH_E_STORE_DAMAGED)
		return damaged(sealer, row, "its facts are not those that were written", error);
	return code;
}

static int open_part(struct store_sealer *sealer, const struct store_row *row,
    enum sealed_kind kind, const struct buffer *sealed, struct buffer *ret, rh_error *error)
{
	struct associated *a = &sealer->associated;
	int code;

	buffer_clear(ret);
	if (sealed->size < SEAL_OVERHEAD)
		return damaged(sealer, row, "a part is missing", error);
	code = buffer_reserve(ret, sealed->size, error);
	if (code != RH_OK)
		return code;
	a->data[0] = (uint8_t)kind;
	code = sealer_open(
	    sealer->parts, a->data, a->size, sealed->data, sealed->size, ret->data, error);
	if (code == RH_E_STORE_DAMAGED)
		return damaged(sealer, row,
		    "its facts or its sealed parts are not those that were written", error);
	if (code == RH_OK)
		ret->size = sealed->size - SEAL_OVERHEAD;
	return code;
}

/* From the scratch buffer; ${row->bytes} is authenticated. */
static int decompress(struct store_sealer *sealer, const struct store_row *row,
    struct store_content *ret, rh_error *error)
{
	const struct dictionary *dictionary = NULL;
	struct buffer *in = &sealer->scratch;
	uint8_t *out = ret->into;
	size_t done;
	int code;

	if (row->dictionary != 0) {
		dictionary = dictionary_find(sealer->store, row->dictionary);
		if (dictionary == NULL)
			return damaged(sealer, row, "its dictionary is missing", error);
	}
	if (row->bytes > LICENSE_MAX ||
	    ZSTD_getFrameContentSize(in->data, in->size) != row->bytes)
		return damaged(sealer, row, "its size is wrong", error);
	buffer_clear(&ret->document);
	if (out == NULL) {
		code = buffer_reserve(&ret->document, (size_t)row->bytes, error);
		if (code != RH_OK)
			return code;
		out = ret->document.data;
		ret->document.size = (size_t)row->bytes;
	}
	if (dictionary != NULL)
		done = ZSTD_decompress_usingDDict(sealer->decompress, out, (size_t)row->bytes,
		    in->data, in->size, dictionary->decompress);
	else
		done = ZSTD_decompressDCtx(
		    sealer->decompress, out, (size_t)row->bytes, in->data, in->size);
	if (ZSTD_isError(done) || done != row->bytes)
		return damaged(sealer, row, "it does not decompress", error);
	return RH_OK;
}

static int open_state(struct store_sealer *sealer, const struct store_row *row,
    struct license_state *ret, rh_error *error)
{
	struct buffer json = {0};
	int code;

	license_state_init(ret);
	if (!row->has_state)
		return row->state.size == 0
			   ? RH_OK
			   : damaged(sealer, row, "its state is foreign", error);
	code = open_part(sealer, row, SEALED_STATE, &row->state, &json, error);
	if (code == RH_OK)
		code = license_state_parse(ret, json.data, json.size, error);
	buffer_free(&json);
	return code;
}

int row_open_state(struct store_sealer *sealer, const struct store_row *row,
    struct license_state *ret, rh_error *error)
{
	associated_part(&sealer->associated, SEALED_STATE, sealer->store, row);
	if (sealer->associated.overflow)
		return damaged(sealer, row, "its facts are too long", error);
	return open_state(sealer, row, ret, error);
}

int store_open_row(struct store_sealer *sealer, const struct store_row *row,
    struct store_content *ret, rh_error *error)
{
	int code;

	associated_part(&sealer->associated, SEALED_DOCUMENT, sealer->store, row);
	if (sealer->associated.overflow)
		return damaged(sealer, row, "its facts are too long", error);
	code = open_part(sealer, row, SEALED_DOCUMENT, &row->document, &sealer->scratch, error);
	if (code == RH_OK)
		code = decompress(sealer, row, ret, error);
	if (code != RH_OK)
		return code;
	if (row->has_secret && ret->skip_secret)
		buffer_clear(&ret->secret);
	else if (row->has_secret)
		code = open_part(sealer, row, SEALED_SECRET, &row->secret, &ret->secret, error);
	else if (row->secret.size > 0)
		code = damaged(sealer, row, "its secret is foreign", error);
	else
		buffer_clear(&ret->secret);
	if (code == RH_OK)
		code = open_state(sealer, row, &ret->state, error);
	return code;
}
