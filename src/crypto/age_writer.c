#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/age_stream.h"
#include "crypto/age.h"

struct age_writer {
	struct aead *stream;
	age_sink sink;
	void *context;
	uint64_t chunk; /* number of the one being filled */
	bool closed; /* finished, or failed */
	size_t size; /* bytes of it that are filled */
	uint8_t plain[AGE_CHUNK_SIZE];
	uint8_t sealed[AGE_CHUNK_SEALED];
};

static int check_arguments(const struct age_recipient *recipients, size_t count,
    const char *passphrase, unsigned work, rh_error *error)
{
	if (passphrase != NULL) {
		if (count != 0)
			return error_set(error, RH_E_ARGUMENT,
			    "an age file has either recipients or a passphrase");
		if (*passphrase == '\0')
			return error_set(error, RH_E_ARGUMENT, "the passphrase is empty");
		if (work < 1 || work > AGE_SCRYPT_WORK_MAX)
			return error_set(
			    error, RH_E_ARGUMENT, "the scrypt cost is out of range");
	} else if (recipients == NULL || count == 0 || count > AGE_STANZAS_MAX) {
		return error_set(error, RH_E_ARGUMENT, "an age file has 1 to %d recipients",
		    AGE_STANZAS_MAX);
	}
	return RH_OK;
}

/* The header, and the nonce of the payload behind it. */
static int format_head(struct buffer *buffer, struct age_header *header,
    const uint8_t file_key[AGE_FILE_KEY_SIZE], const uint8_t nonce[AGE_NONCE_SIZE],
    rh_error *error)
{
	char mac[BASE64_SIZE(DIGEST_SIZE)];
	int code;

	code = age_header_format(buffer, header, error);
	if (code == RH_OK)
		code = age_header_mac(header->mac, file_key, buffer->data, buffer->size, error);
	if (code != RH_OK)
		return code;
	base64_encode(mac, header->mac, DIGEST_SIZE, BASE64_NO_PAD);
	code = buffer_append_text(buffer, " ", error);
	if (code == RH_OK)
		code = buffer_append_text(buffer, mac, error);
	if (code == RH_OK)
		code = buffer_append_text(buffer, "\n", error);
	if (code == RH_OK)
		code = buffer_append(buffer, nonce, AGE_NONCE_SIZE, error);
	return code;
}

static int wrap_all(struct age_header *header, const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const struct age_recipient *recipients, size_t count, const char *passphrase, unsigned work,
    rh_error *error)
{
	int code = RH_OK;

	if (passphrase != NULL) {
		header->count = 1;
		return age_wrap_scrypt(&header->stanzas[0], file_key, passphrase, work, error);
	}
	header->count = count;
	for (size_t i = 0; i < count && code == RH_OK; i++)
		code = age_wrap_x25519(&header->stanzas[i], file_key, &recipients[i], error);
	return code;
}

int age_writer_new(const struct age_recipient *recipients, size_t count, const char *passphrase,
    unsigned work, age_sink sink, void *context, struct age_writer **ret, rh_error *error)
{
	uint8_t file_key[AGE_FILE_KEY_SIZE], nonce[AGE_NONCE_SIZE];
	struct age_header *header = NULL;
	struct age_writer *writer = NULL;
	struct buffer head = {0};
	int code;

	code = check_arguments(recipients, count, passphrase, work, error);
	if (code != RH_OK)
		return code;
	header = calloc(1, sizeof *header);
	writer = calloc(1, sizeof *writer);
	if (header == NULL || writer == NULL) {
		code = error_memory(error);
		goto out;
	}
	writer->sink = sink;
	writer->context = context;

	code = random_bytes(file_key, sizeof file_key, error);
	if (code == RH_OK)
		code = random_bytes(nonce, sizeof nonce, error);
	if (code == RH_OK)
		code = wrap_all(header, file_key, recipients, count, passphrase, work, error);
	if (code == RH_OK)
		code = format_head(&head, header, file_key, nonce, error);
	if (code == RH_OK)
		code = age_stream_new(file_key, nonce, true, &writer->stream, error);
	if (code == RH_OK)
		code = sink(context, head.data, head.size, error);
	if (code == RH_OK) {
		*ret = writer;
		writer = NULL;
	}
out:
	bytes_wipe(file_key, sizeof file_key);
	buffer_free(&head);
	age_writer_free(writer);
	free(header);
	return code;
}

static int write_chunk(struct age_writer *writer, bool last, rh_error *error)
{
	int code = age_stream_seal(writer->stream, writer->chunk, last, writer->plain,
	    writer->size, writer->sealed, error);

	if (code == RH_OK)
		code = writer->sink(
		    writer->context, writer->sealed, writer->size + AEAD_TAG_SIZE, error);
	writer->closed = last || code != RH_OK;
	writer->chunk++;
	writer->size = 0;
	return code;
}

static int check_open(const struct age_writer *writer, rh_error *error)
{
	if (writer->closed)
		return error_set(error, RH_E_ARGUMENT,
		    "an age file is written to after its end or a failure");
	return RH_OK;
}

int age_writer_write(struct age_writer *writer, const void *bytes, size_t size, rh_error *error)
{
	const uint8_t *p = bytes;
	int code = check_open(writer, error);

	while (code == RH_OK && size > 0) {
		size_t part = AGE_CHUNK_SIZE - writer->size;

		/* A full chunk waits: only if bytes follow it is it not the last. */
		if (part == 0) {
			code = write_chunk(writer, false, error);
			continue;
		}
		if (part > size)
			part = size;
		memcpy(writer->plain + writer->size, p, part);
		writer->size += part;
		p += part;
		size -= part;
	}
	return code;
}

int age_writer_finish(struct age_writer *writer, rh_error *error)
{
	int code = check_open(writer, error);

	if (code == RH_OK)
		code = write_chunk(writer, true, error);
	return code;
}

void age_writer_free(struct age_writer *writer)
{
	if (writer == NULL)
		return;
	aead_free(writer->stream);
	bytes_wipe(writer->plain, sizeof writer->plain);
	free(writer);
}
