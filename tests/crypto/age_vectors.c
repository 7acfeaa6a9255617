/*
 * Runs every age test vector in a folder: "key: value" lines, an empty line, then
 * the age file (the format of the community vectors, c2sp.org/CCTV/age).
 *
 *	age-vectors DIR
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/age_header.h"

#define FILE_MAX ((size_t)64 << 20)
#define KEYS_MAX 16

struct vector {
	char expect[32];
	char payload[2 * DIGEST_SIZE + 1];
	char *identities[KEYS_MAX];
	size_t identity_count;
	char *passphrases[KEYS_MAX];
	size_t passphrase_count;
	bool armored, compressed;
	struct buffer file;
};

static int read_memory(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	const struct buffer *file = context;

	(void)error;
	if (offset > file->size)
		offset = file->size;
	if (size > file->size - offset)
		size = file->size - (size_t)offset;
	memcpy(bytes, file->data + offset, size);
	*ret = size;
	return RH_OK;
}

static bool inflate_file(struct buffer *file)
{
	struct buffer plain = {0};
	z_stream stream = {.next_in = file->data, .avail_in = (unsigned)file->size};
	int result = Z_OK;

	if (inflateInit(&stream) != Z_OK)
		return false;
	while (result == Z_OK && plain.size < FILE_MAX) {
		if (buffer_reserve(&plain, 65536, NULL) != RH_OK)
			break;
		stream.next_out = plain.data + plain.size;
		stream.avail_out = 65536;
		result = inflate(&stream, Z_NO_FLUSH);
		plain.size += 65536 - stream.avail_out;
	}
	inflateEnd(&stream);
	buffer_free(file);
	*file = plain;
	return result == Z_STREAM_END;
}

static bool read_line(struct vector *vector, const char *key, const char *value)
{
	if (strcmp(key, "expect") == 0)
		snprintf(vector->expect, sizeof vector->expect, "%s", value);
	else if (strcmp(key, "payload") == 0)
		snprintf(vector->payload, sizeof vector->payload, "%s", value);
	else if (strcmp(key, "identity") == 0 && vector->identity_count < KEYS_MAX)
		vector->identities[vector->identity_count++] = strdup(value);
	else if (strcmp(key, "passphrase") == 0 && vector->passphrase_count < KEYS_MAX)
		vector->passphrases[vector->passphrase_count++] = strdup(value);
	else if (strcmp(key, "armored") == 0)
		vector->armored = strcmp(value, "yes") == 0;
	else if (strcmp(key, "compressed") == 0)
		vector->compressed = strcmp(value, "zlib") == 0;
	else
		return strcmp(key, "file key") == 0 || strcmp(key, "comment") == 0;
	return true;
}

/* Takes the lines off the file; false if they are not of the format. */
static bool read_vector(struct vector *vector)
{
	struct buffer *file = &vector->file;

	for (;;) {
		char line[1024];
		uint8_t *end = memchr(file->data, '\n', file->size);
		size_t length = end != NULL ? (size_t)(end - file->data) : sizeof line;
		char *colon;

		if (length >= sizeof line)
			return false;
		memcpy(line, file->data, length);
		line[length] = '\0';
		buffer_consume(file, length + 1);
		if (length == 0)
			break;
		colon = strstr(line, ": ");
		if (colon == NULL)
			return false;
		*colon = '\0';
		if (!read_line(vector, line, colon + 2))
			return false;
	}
	return vector->expect[0] != '\0' && (!vector->compressed || inflate_file(file));
}

static void free_vector(struct vector *vector)
{
	for (size_t i = 0; i < vector->identity_count; i++)
		free(vector->identities[i]);
	for (size_t i = 0; i < vector->passphrase_count; i++)
		free(vector->passphrases[i]);
	buffer_free(&vector->file);
}

/* Which step of opening the header refuses it. */
static const char *header_result(const struct buffer *file, const struct age_keys *keys)
{
	struct age_header *header = calloc(1, sizeof *header);
	uint8_t file_key[AGE_FILE_KEY_SIZE], mac[DIGEST_SIZE];
	const char *text = (const char *)file->data;
	size_t size = file->size < AGE_HEADER_MAX ? file->size : AGE_HEADER_MAX;
	const char *result = "header failure";
	int code;

	if (header == NULL || age_header_parse(header, text, size, NULL) != RH_OK)
		goto out;
	code = age_unwrap(file_key, header, keys, NULL);
	if (code == RH_E_SECRET_WRONG)
		result = "no match";
	if (code != RH_OK)
		goto out;
	code = age_header_mac(mac, file_key, text, header->mac_size, NULL);
	if (code == RH_OK && !bytes_equal(mac, header->mac, sizeof mac))
		result = "HMAC failure";
out:
	free(header);
	return result;
}

/* Decrypts in uneven pieces; ${payload} is the digest of all that was given. */
static const char *payload_result(struct age_reader *reader, char payload[])
{
	uint8_t piece[30011], sum[DIGEST_SIZE];
	struct digest *digest = NULL;
	size_t got = 0;
	int code = digest_new(&digest, NULL);

	if (code != RH_OK)
		return "no memory";
	do {
		code = age_reader_read(reader, piece, sizeof piece, &got, NULL);
		if (code == RH_OK)
			digest_update(digest, piece, got, NULL);
	} while (code == RH_OK && got > 0);
	digest_finish(digest, sum, NULL);
	digest_free(digest);
	text_hex(payload, sum, sizeof sum);
	return code == RH_OK ? "success" : "payload failure";
}

static const char *open_with(struct vector *vector, const struct age_keys *keys, char payload[])
{
	struct age_source source = {
	    .read_at = read_memory, .context = &vector->file, .size = vector->file.size};
	struct age_reader *reader = NULL;
	const char *result;
	uint64_t size;
	int code = age_reader_new(&source, keys, &reader, NULL);

	if (code != RH_OK)
		return header_result(&vector->file, keys);
	result = payload_result(reader, payload);
	/* The authenticated size must agree, and fail, with the whole. */
	code = age_reader_size(reader, &size, NULL);
	if (strcmp(result, "success") == 0 && code != RH_OK)
		result = "size failure";
	age_reader_free(reader);
	return result;
}

/* With all identities and each passphrase in turn, until one fits. */
static const char *run_vector(struct vector *vector, char payload[])
{
	struct age_identity identities[KEYS_MAX];
	struct age_keys keys = {.identities = identities};
	const char *result = "no match";
	size_t i = 0;

	payload[0] = '\0';
	for (size_t k = 0; k < vector->identity_count; k++)
		if (age_identity_parse(&identities[keys.identity_count++],
			vector->identities[k], NULL) != RH_OK)
			return "identity failure";
	do {
		keys.passphrase = i < vector->passphrase_count ? vector->passphrases[i] : NULL;
		result = open_with(vector, &keys, payload);
	} while (strcmp(result, "no match") == 0 && ++i < vector->passphrase_count);
	return result;
}

enum outcome { PASSED, FAILED, SKIPPED };

static enum outcome test_file(const char *directory, const char *name)
{
	struct vector vector = {0};
	char path[4096], payload[2 * DIGEST_SIZE + 1];
	enum outcome outcome = FAILED;
	rh_error error;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	if (file_read_whole(AT_FDCWD, path, FILE_MAX, &vector.file, path, &error) != RH_OK) {
		printf("%s: %s\n", name, error.text);
	} else if (!read_vector(&vector)) {
		printf("%s: not a test vector\n", name);
	} else if (vector.armored) {
		printf("%s: skipped, ASCII armor is not implemented\n", name);
		outcome = SKIPPED;
	} else {
		const char *result = run_vector(&vector, payload);

		if (strcmp(result, vector.expect) != 0)
			printf("%s: expected %s, got %s\n", name, vector.expect, result);
		else if (vector.payload[0] != '\0' && strcmp(payload, vector.payload) != 0)
			printf("%s: other plaintext than expected\n", name);
		else
			outcome = PASSED;
	}
	free_vector(&vector);
	return outcome;
}

int main(int argc, char **argv)
{
	unsigned counts[3] = {0};
	struct dirent **entries;
	int count;

	if (argc != 2) {
		fprintf(stderr, "usage: age-vectors DIR\n");
		return 2;
	}
	count = scandir(argv[1], &entries, NULL, alphasort);
	if (count < 0) {
		perror(argv[1]);
		return 2;
	}
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		size_t length = strlen(name);

		if (name[0] != '.' && (length < 3 || strcmp(name + length - 3, ".md") != 0))
			counts[test_file(argv[1], name)]++;
		free(entries[i]);
	}
	free(entries);
	printf("%u passed, %u failed, %u skipped\n", counts[PASSED], counts[FAILED],
	    counts[SKIPPED]);
	return counts[FAILED] > 0 || counts[PASSED] == 0;
}
