#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/age_stream.h"
#include "crypto/age.h"

struct age_reader {
	struct age_source source;
	uint8_t file_key[AGE_FILE_KEY_SIZE];
	struct aead *stream;
	uint64_t payload; /* offset of the first chunk in the file */
	uint64_t chunks; /* number of chunks that the size of the file makes */
	uint64_t position; /* in the plaintext */

	/* The chunk in ${plain}, authenticated. */
	bool loaded;
	bool last; /* it carries the flag of the last one */
	uint64_t chunk;
	size_t size;

	uint8_t plain[AGE_CHUNK_SIZE];
	uint8_t sealed[AGE_CHUNK_SEALED];
};

static int corrupt(rh_error *error, const char *what)
{
	return error_set(error, RH_E_BACKUP_CORRUPT, "the encrypted file is damaged: %s", what);
}

static int read_exactly(
    const struct age_source *source, uint64_t offset, void *bytes, size_t size, rh_error *error)
{
	size_t got;
	int code = source->read_at(source->context, offset, bytes, size, &got, error);

	if (code == RH_OK && got < size)
		code = corrupt(error, "it ended early");
	return code;
}

/*
 * Reads and parses the header.  ${*ret_text}, for free(), holds at least the
 * whole header.
 */
static int read_header(const struct age_source *source, struct age_header *header,
    char **ret_text, rh_error *error)
{
	size_t size = source->size < AGE_HEADER_MAX ? (size_t)source->size : AGE_HEADER_MAX;
	char *text = malloc(size > 0 ? size : 1);
	int code;

	if (text == NULL)
		return error_memory(error);
	code = read_exactly(source, 0, text, size, error);
	if (code == RH_OK)
		code = age_header_parse(header, text, size, error);
	if (code == RH_OK && source->size - header->size < AGE_NONCE_SIZE)
		code = corrupt(error, "it ends in the nonce of its payload");
	if (code != RH_OK) {
		free(text);
		return code;
	}
	*ret_text = text;
	return RH_OK;
}

/* Opens the header, and keeps its file key. */
static int open_header(struct age_reader *reader, const struct age_header *header,
    const char *text, const struct age_keys *keys, rh_error *error)
{
	uint8_t mac[DIGEST_SIZE];
	int code;

	code = age_unwrap(reader->file_key, header, keys, error);
	if (code == RH_OK)
		code = age_header_mac(mac, reader->file_key, text, header->mac_size, error);
	if (code == RH_OK && !bytes_equal(mac, header->mac, DIGEST_SIZE))
		code = corrupt(error, "the MAC of its header is wrong");
	return code;
}

/* Starts the payload's cipher, whose nonce nothing but the chunks themselves proves. */
static int start_stream(struct age_reader *reader, rh_error *error)
{
	uint8_t nonce[AGE_NONCE_SIZE];
	struct aead *stream = NULL;
	int code = read_exactly(
	    &reader->source, reader->payload - AGE_NONCE_SIZE, nonce, sizeof nonce, error);

	if (code == RH_OK)
		code = age_stream_new(reader->file_key, nonce, false, &stream, error);
	if (code != RH_OK)
		return code;
	aead_free(reader->stream);
	reader->stream = stream;
	return RH_OK;
}

/* Whether other bytes may come now. */
static bool doubt(struct age_source *source)
{
	uint64_t size = source->size;

	if (source->doubt == NULL || !source->doubt(source->context, &size))
		return false;
	source->size = size;
	return true;
}

/* By the size of the file, which may be less than the header was. */
static void count_chunks(struct age_reader *reader)
{
	uint64_t size =
	    reader->source.size > reader->payload ? reader->source.size - reader->payload : 0;

	reader->chunks = size / AGE_CHUNK_SEALED + (size % AGE_CHUNK_SEALED > 0);
	reader->loaded = false;
}

static int start(struct age_reader *reader, struct age_header *header,
    const struct age_keys *keys, rh_error *error)
{
	char *text = NULL;
	int code = read_header(&reader->source, header, &text, error);

	if (code == RH_OK)
		code = open_header(reader, header, text, keys, error);
	if (code == RH_OK) {
		reader->payload = header->size + AGE_NONCE_SIZE;
		count_chunks(reader);
		code = start_stream(reader, error);
	}
	free(text);
	return code;
}

/* Whether damage could look like this. */
static bool doubtful(int code)
{
	return code == RH_E_BACKUP_CORRUPT || code == RH_E_BACKUP_NEWER ||
	       code == RH_E_SECRET_WRONG;
}

int age_reader_new(const struct age_source *source, const struct age_keys *keys,
    struct age_reader **ret, rh_error *error)
{
	struct age_header *header = malloc(sizeof *header);
	struct age_reader *reader = calloc(1, sizeof *reader);
	rh_error why = {0};
	int code;

	if (header == NULL || reader == NULL) {
		code = error_memory(&why);
		goto out;
	}
	reader->source = *source;
	code = start(reader, header, keys, &why);
	if (doubtful(code) && doubt(&reader->source))
		code = start(reader, header, keys, &why);
	if (code == RH_OK) {
		*ret = reader;
		reader = NULL;
	}
out:
	if (code != RH_OK && error != NULL)
		*error = why;
	age_reader_free(reader);
	free(header);
	return code;
}

/* Size of a sealed chunk by the size of the file. */
static size_t sealed_size(const struct age_reader *reader, uint64_t chunk)
{
	uint64_t rest = reader->source.size - reader->payload - chunk * AGE_CHUNK_SEALED;

	return rest < AGE_CHUNK_SEALED ? (size_t)rest : AGE_CHUNK_SEALED;
}

/*
 * Puts a chunk into ${plain}.  A full chunk may or may not carry the flag of the
 * last one, which is then compared with its place; a shorter one must carry it.
 */
static int load_chunk(struct age_reader *reader, uint64_t chunk, rh_error *error)
{
	size_t size = sealed_size(reader, chunk);
	bool last = chunk == reader->chunks - 1, authentic = false;
	int code;

	reader->loaded = false;
	if (size < AEAD_TAG_SIZE)
		return corrupt(error, "its last chunk is incomplete");
	if (size == AEAD_TAG_SIZE && chunk > 0)
		return corrupt(error, "its last chunk is empty");
	code = read_exactly(&reader->source, reader->payload + chunk * AGE_CHUNK_SEALED,
	    reader->sealed, size, error);
	if (code == RH_OK)
		code = age_stream_open(reader->stream, chunk, last, reader->sealed, size,
		    reader->plain, &authentic, error);
	if (code == RH_OK && !authentic && size == AGE_CHUNK_SEALED) {
		last = !last;
		code = age_stream_open(reader->stream, chunk, last, reader->sealed, size,
		    reader->plain, &authentic, error);
	}
	if (code != RH_OK)
		return code;
	if (!authentic)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "the encrypted file is damaged: chunk %llu is not authentic",
		    (unsigned long long)chunk);
	reader->loaded = true;
	reader->last = last;
	reader->chunk = chunk;
	reader->size = size - AEAD_TAG_SIZE;
	return RH_OK;
}

/* Makes sure that the file ends where its last chunk says; that one is loaded then. */
static int load_end(struct age_reader *reader, rh_error *error)
{
	uint64_t end = reader->chunks - 1;
	int code = RH_OK;

	if (reader->chunks == 0)
		return corrupt(error, "it has no payload");
	if (!reader->loaded || reader->chunk != end)
		code = load_chunk(reader, end, error);
	if (code == RH_OK && !reader->last)
		code = corrupt(error, "its end is missing");
	return code;
}

/* Loads what stands at ${position}: its chunk, or behind the last one the end. */
static int load_position(struct age_reader *reader, rh_error *error)
{
	uint64_t chunk = reader->position / AGE_CHUNK_SIZE;

	if (chunk >= reader->chunks)
		return load_end(reader, error);
	if (reader->loaded && reader->last && chunk > reader->chunk)
		return corrupt(error, "bytes follow its last chunk");
	if (!reader->loaded || chunk != reader->chunk)
		return load_chunk(reader, chunk, error);
	return RH_OK;
}

/* Does it once more if better bytes may come now. */
static int load_doubting(struct age_reader *reader,
    int (*load)(struct age_reader *reader, rh_error *error), rh_error *error)
{
	rh_error why = {0};
	int code = load(reader, &why);

	if (code == RH_E_BACKUP_CORRUPT && doubt(&reader->source)) {
		count_chunks(reader);
		code = start_stream(reader, &why);
		if (code == RH_OK)
			code = load(reader, &why);
	}
	if (code != RH_OK && error != NULL)
		*error = why;
	return code;
}

int age_reader_read(
    struct age_reader *reader, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	uint64_t chunk = reader->position / AGE_CHUNK_SIZE;
	size_t within = (size_t)(reader->position % AGE_CHUNK_SIZE);
	size_t part = 0;
	int code = load_doubting(reader, load_position, error);

	if (code != RH_OK)
		return code;

	if (chunk < reader->chunks && within < reader->size) {
		part = reader->size - within;
		if (part > size)
			part = size;
		memcpy(bytes, reader->plain + within, part);
		reader->position += part;
	}
	*ret = part;
	return RH_OK;
}

bool age_reader_skip(struct age_reader *reader, uint64_t *ret_bytes)
{
	uint64_t chunk = reader->position / AGE_CHUNK_SIZE;
	size_t size = chunk < reader->chunks ? sealed_size(reader, chunk) : 0;

	*ret_bytes = size > AEAD_TAG_SIZE ? size - AEAD_TAG_SIZE : 1;
	reader->position = (chunk + 1) * AGE_CHUNK_SIZE;
	return chunk + 1 < reader->chunks;
}

int age_reader_size(struct age_reader *reader, uint64_t *ret, rh_error *error)
{
	int code = load_doubting(reader, load_end, error);

	if (code == RH_OK)
		*ret = reader->chunk * AGE_CHUNK_SIZE + reader->size;
	return code;
}

int age_reader_seek(struct age_reader *reader, uint64_t offset, rh_error *error)
{
	(void)error;
	reader->position = offset;
	return RH_OK;
}

void age_reader_free(struct age_reader *reader)
{
	if (reader == NULL)
		return;
	aead_free(reader->stream);
	bytes_wipe(reader->file_key, sizeof reader->file_key);
	bytes_wipe(reader->plain, sizeof reader->plain);
	free(reader);
}

int age_check_structure(
    const struct age_source *source, size_t *ret_recipients, rh_error *error)
{
	struct age_header *header = malloc(sizeof *header);
	char *text = NULL;
	uint64_t size, rest;
	int code;

	if (header == NULL)
		return error_memory(error);
	code = read_header(source, header, &text, error);
	if (code != RH_OK)
		goto out;
	size = source->size - header->size - AGE_NONCE_SIZE;
	rest = size % AGE_CHUNK_SEALED;
	/* An empty last chunk is right only if it is the only one. */
	if (size == 0 || (rest > 0 && rest < AEAD_TAG_SIZE) ||
	    (rest == AEAD_TAG_SIZE && size > AEAD_TAG_SIZE))
		code = corrupt(error, "its size fits no whole number of chunks");
	else
		*ret_recipients = header->count;
out:
	free(text);
	free(header);
	return code;
}
