#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "crypto/age_stream.h"
#include "crypto/age.h"

#define CHUNK AGE_CHUNK_SIZE

static int write_memory(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

static int read_memory(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	const struct buffer *file = context;

	(void)error;
	if (offset > file->size)
		offset = file->size;
	if (size > file->size - offset)
		size = file->size - (size_t)offset;
	if (size > 0)
		memcpy(bytes, file->data + offset, size);
	*ret = size;
	return RH_OK;
}

static struct age_source source_of(struct buffer *file)
{
	return (struct age_source){.read_at = read_memory, .context = file, .size = file->size};
}

static uint8_t *make_plain(size_t size)
{
	uint8_t *plain = malloc(size + 1);

	assert_non_null(plain);
	for (size_t i = 0; i < size; i++)
		plain[i] = (uint8_t)(i * 2654435761u >> 13);
	return plain;
}

/* Encrypts in pieces of ${piece} bytes. */
static void encrypt(struct buffer *file, const struct age_recipient *recipients, size_t count,
    const uint8_t *plain, size_t size, size_t piece)
{
	struct age_writer *writer;

	assert_int_equal(
	    age_writer_new(recipients, count, NULL, 0, write_memory, file, &writer, NULL),
	    RH_OK);
	for (size_t i = 0; i < size; i += piece)
		assert_int_equal(age_writer_write(writer, plain + i,
				     piece < size - i ? piece : size - i, NULL),
		    RH_OK);
	assert_int_equal(age_writer_finish(writer, NULL), RH_OK);
	age_writer_free(writer);
}

static struct age_reader *open_file(struct buffer *file, const struct age_identity *identity)
{
	struct age_source source = source_of(file);
	struct age_keys keys = {.identities = identity, .identity_count = 1};
	struct age_reader *reader;

	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_OK);
	return reader;
}

/* Reads on to the end, in pieces of ${piece}, and compares. */
static void assert_rest(
    struct age_reader *reader, const uint8_t *plain, size_t size, size_t piece)
{
	uint8_t *bytes = malloc(piece);
	size_t got, at = 0;

	assert_non_null(bytes);
	do {
		assert_int_equal(age_reader_read(reader, bytes, piece, &got, NULL), RH_OK);
		assert_true(got <= size - at);
		assert_memory_equal(bytes, plain + at, got);
		at += got;
	} while (got > 0);
	assert_int_equal(at, size);
	free(bytes);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {
	    0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK - 1};
	static const size_t pieces[] = {1000, CHUNK, 1 << 20};
	struct age_identity identity;

	(void)state;
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		uint8_t *plain = make_plain(sizes[i]);

		for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
			struct buffer file = {0};
			struct age_source source;
			struct age_reader *reader;
			uint64_t size;
			size_t recipients = 0;

			encrypt(&file, &identity.recipient, 1, plain, sizes[i], pieces[k]);
			source = source_of(&file);
			assert_int_equal(
			    age_check_structure(&source, &recipients, NULL), RH_OK);
			assert_int_equal(recipients, 1);
			reader = open_file(&file, &identity);
			assert_rest(reader, plain, sizes[i], pieces[k] + 1);
			assert_int_equal(age_reader_size(reader, &size, NULL), RH_OK);
			assert_int_equal(size, sizes[i]);
			assert_rest(reader, NULL, 0, 1);
			age_reader_free(reader);
			buffer_free(&file);
		}
		free(plain);
	}
}

static void test_recipients(void **state)
{
	enum { COUNT = AGE_STANZAS_MAX };
	static struct age_recipient recipients[COUNT + 1];
	static const size_t tried[] = {0, 1, COUNT - 1};
	struct age_identity identities[3], stranger;
	struct age_reader *reader;
	struct age_writer *writer;
	struct buffer file = {0};
	struct age_source source;
	size_t count;

	(void)state;
	assert_int_equal(age_identity_generate(&stranger, NULL), RH_OK);
	for (size_t i = 0; i <= COUNT; i++)
		recipients[i] = stranger.recipient;
	assert_int_equal(age_identity_generate(&stranger, NULL), RH_OK);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(age_identity_generate(&identities[i], NULL), RH_OK);
		recipients[tried[i]] = identities[i].recipient;
	}
	encrypt(&file, recipients, COUNT, (const uint8_t *)"abc", 3, 3);
	source = source_of(&file);
	assert_int_equal(age_check_structure(&source, &count, NULL), RH_OK);
	assert_int_equal(count, COUNT);
	for (size_t i = 0; i < 3; i++) {
		reader = open_file(&file, &identities[i]);
		assert_rest(reader, (const uint8_t *)"abc", 3, 2);
		age_reader_free(reader);
	}

	/* No key, a wrong one, a passphrase where none was set; the right one as the second. */
	struct age_keys keys = {0};
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_E_SECRET_NEEDED);
	keys.passphrase = "abc";
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_E_SECRET_WRONG);
	keys.identities = &stranger;
	keys.identity_count = 1;
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_E_SECRET_WRONG);
	struct age_identity both[2] = {stranger, identities[0]};
	keys.identities = both;
	keys.identity_count = 2;
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_OK);
	age_reader_free(reader);
	buffer_free(&file);

	assert_int_equal(
	    age_writer_new(recipients, COUNT + 1, NULL, 0, write_memory, &file, &writer, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(age_writer_new(NULL, 0, NULL, 0, write_memory, &file, &writer, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(
	    age_writer_new(recipients, 1, "a", 10, write_memory, &file, &writer, NULL),
	    RH_E_ARGUMENT);
	/* The point 0 has low order: everybody could compute the shared secret. */
	memset(&recipients[0], 0, sizeof recipients[0]);
	assert_int_equal(
	    age_writer_new(recipients, 1, NULL, 0, write_memory, &file, &writer, NULL),
	    RH_E_RECIPIENT);
	assert_int_equal(file.size, 0);
}

static void test_passphrase(void **state)
{
	static const uint8_t plain[] = "of some secret";
	struct age_identity identity;
	struct age_writer *writer;
	struct age_reader *reader;
	struct buffer file = {0};
	struct age_keys keys = {.passphrase = "Zwölf Boxkämpfer"};

	(void)state;
	assert_int_equal(
	    age_writer_new(NULL, 0, "", 10, write_memory, &file, &writer, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    age_writer_new(NULL, 0, "a", 0, write_memory, &file, &writer, NULL), RH_E_ARGUMENT);
	assert_int_equal(age_writer_new(NULL, 0, "a", AGE_SCRYPT_WORK_MAX + 1, write_memory,
			     &file, &writer, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(
	    age_writer_new(NULL, 0, keys.passphrase, 10, write_memory, &file, &writer, NULL),
	    RH_OK);
	assert_int_equal(age_writer_write(writer, plain, sizeof plain, NULL), RH_OK);
	assert_int_equal(age_writer_finish(writer, NULL), RH_OK);
	/* After its end nothing more may be written. */
	assert_int_equal(age_writer_write(writer, plain, 1, NULL), RH_E_ARGUMENT);
	assert_int_equal(age_writer_finish(writer, NULL), RH_E_ARGUMENT);
	age_writer_free(writer);
	age_writer_free(NULL);

	struct age_source source = source_of(&file);
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_OK);
	assert_rest(reader, plain, sizeof plain, 100);
	age_reader_free(reader);
	keys.passphrase = "Zwölf Boxkämpfer ";
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_E_SECRET_WRONG);
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	keys = (struct age_keys){.identities = &identity, .identity_count = 1};
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_E_SECRET_WRONG);
	buffer_free(&file);
}

static void test_seek(void **state)
{
	enum { SIZE = 4 * CHUNK + 777 };
	static const uint64_t offsets[] = {SIZE - 1, 0, CHUNK, CHUNK - 1, CHUNK + 1, SIZE, 3,
	    4 * CHUNK, 2 * CHUNK + 5, SIZE + 1, 100 * (uint64_t)CHUNK, UINT64_MAX, 7};
	struct age_identity identity;
	struct buffer file = {0};
	struct age_reader *reader;
	uint8_t *plain = make_plain(SIZE);

	(void)state;
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	encrypt(&file, &identity.recipient, 1, plain, SIZE, SIZE);
	reader = open_file(&file, &identity);
	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
		uint64_t offset = offsets[i], size;
		size_t start = offset < SIZE ? (size_t)offset : SIZE;
		uint8_t byte;
		size_t got;

		assert_int_equal(age_reader_seek(reader, offset, NULL), RH_OK);
		assert_int_equal(age_reader_read(reader, &byte, 1, &got, NULL), RH_OK);
		assert_int_equal(got, start < SIZE);
		/* Asking for the size does not move the place. */
		assert_int_equal(age_reader_size(reader, &size, NULL), RH_OK);
		assert_int_equal(size, SIZE);
		if (got > 0)
			assert_int_equal(byte, plain[start++]);
		assert_rest(reader, plain + start, SIZE - start, 5000);
	}
	age_reader_free(reader);
	age_reader_free(NULL);
	buffer_free(&file);
	free(plain);
}

/* What is given of a damaged file is a true prefix, and never an end. */
static void assert_damaged(
    struct buffer *file, const struct age_identity *identity, const uint8_t *plain)
{
	static uint8_t bytes[CHUNK];
	struct age_source source = source_of(file);
	struct age_keys keys = {.identities = identity, .identity_count = 1};
	struct age_reader *reader = NULL;
	rh_error error = {0};
	size_t got = 1, at = 0;
	int code = age_reader_new(&source, &keys, &reader, &error);

	while (code == RH_OK && got > 0) {
		code = age_reader_read(reader, bytes, sizeof bytes, &got, &error);
		if (code == RH_OK) {
			assert_memory_equal(bytes, plain + at, got);
			at += got;
		}
	}
	assert_true(code == RH_E_BACKUP_CORRUPT || code == RH_E_BACKUP_NEWER ||
		    code == RH_E_SECRET_WRONG);
	assert_int_equal(error.code, code);
	assert_string_not_equal(error.text, "");
	age_reader_free(reader);
}

/* Every byte of the header, and every byte of a small payload. */
static void test_tampered(void **state)
{
	struct age_identity identities[2];
	struct age_recipient recipients[2];
	struct buffer file = {0};
	uint8_t *plain = make_plain(100);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(age_identity_generate(&identities[i], NULL), RH_OK);
		recipients[i] = identities[i].recipient;
	}
	encrypt(&file, recipients, 2, plain, 100, 100);
	for (size_t i = 0; i < file.size; i++) {
		static const uint8_t flips[] = {1, 0x20, 0x80};

		for (size_t k = 0; k < sizeof flips; k++) {
			file.data[i] ^= flips[k];
			assert_damaged(&file, &identities[0], plain);
			assert_damaged(&file, &identities[1], plain);
			file.data[i] ^= flips[k];
		}
	}
	for (size_t size = file.size; size-- > 0;) {
		struct buffer cut = {file.data, size, file.capacity};

		assert_damaged(&cut, &identities[0], plain);
	}
	assert_int_equal(buffer_append(&file, "", 1, NULL), RH_OK);
	assert_damaged(&file, &identities[0], plain);
	buffer_free(&file);
	free(plain);
}

static void test_cut_chunks(void **state)
{
	enum { SIZE = 3 * CHUNK };
	struct age_identity identity;
	struct buffer file = {0};
	struct age_reader *reader;
	uint8_t *plain = make_plain(SIZE), byte;
	size_t payload, got;
	uint64_t size;

	(void)state;
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	encrypt(&file, &identity.recipient, 1, plain, SIZE, SIZE);
	payload = file.size - 3 * AGE_CHUNK_SEALED;
	for (size_t chunks = 0; chunks < 3; chunks++) {
		static const size_t more[] = {0, 1, 15, 16, 17, AGE_CHUNK_SEALED - 1};

		for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
			struct buffer cut = file;
			struct age_source source;
			bool whole;
			int code;

			cut.size = payload + chunks * AGE_CHUNK_SEALED + more[i];
			assert_damaged(&cut, &identity, plain);
			reader = open_file(&cut, &identity);
			assert_int_equal(
			    age_reader_size(reader, &size, NULL), RH_E_BACKUP_CORRUPT);
			/* The end is not believed where a seek leads straight to it. */
			assert_int_equal(
			    age_reader_seek(reader, chunks * CHUNK + more[i], NULL), RH_OK);
			assert_int_equal(
			    age_reader_read(reader, &byte, 1, &got, NULL), RH_E_BACKUP_CORRUPT);
			age_reader_free(reader);

			source = source_of(&cut);
			code = age_check_structure(&source, &got, NULL);
			whole = more[i] > 16 || (more[i] == 0 && chunks > 0) ||
				(more[i] == 16 && chunks == 0);
			assert_int_equal(code, whole ? RH_OK : RH_E_BACKUP_CORRUPT);
		}
	}
	buffer_free(&file);
	free(plain);
}

static int sink_fails(void *context, const void *bytes, size_t size, rh_error *error)
{
	unsigned *left = context;

	(void)bytes;
	(void)size;
	if (*left == 0)
		return error_set(error, RH_E_FULL, "full");
	--*left;
	return RH_OK;
}

static void test_sink_failure(void **state)
{
	struct age_identity identity;
	struct age_writer *writer = NULL;
	uint8_t *plain = make_plain(2 * CHUNK);
	unsigned left = 0;
	rh_error error;

	(void)state;
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	assert_int_equal(
	    age_writer_new(&identity.recipient, 1, NULL, 0, sink_fails, &left, &writer, &error),
	    RH_E_FULL);
	assert_null(writer);
	left = 1;
	assert_int_equal(
	    age_writer_new(&identity.recipient, 1, NULL, 0, sink_fails, &left, &writer, &error),
	    RH_OK);
	assert_int_equal(age_writer_write(writer, plain, 2 * CHUNK, &error), RH_E_FULL);
	assert_string_equal(error.text, "full");
	/* What failed once cannot go on as if nothing were missing. */
	left = 10;
	assert_int_equal(age_writer_write(writer, plain, 1, &error), RH_E_ARGUMENT);
	assert_int_equal(age_writer_finish(writer, &error), RH_E_ARGUMENT);
	age_writer_free(writer);
	free(plain);
}

static int read_fails(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	struct buffer *file = context;

	if (offset > 1000)
		return error_set(error, RH_E_READ, "medium");
	return read_memory(file, offset, bytes, size, ret, error);
}

static int read_nothing(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	(void)context;
	(void)offset;
	(void)bytes;
	(void)size;
	(void)error;
	*ret = 0;
	return RH_OK;
}

static void test_source_failure(void **state)
{
	struct age_identity identity;
	struct age_keys keys = {.identities = &identity, .identity_count = 1};
	struct buffer file = {0};
	struct age_reader *reader;
	struct age_source source;
	uint8_t *plain = make_plain(3 * CHUNK), bytes[10];
	size_t got;
	rh_error error;

	(void)state;
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	encrypt(&file, &identity.recipient, 1, plain, 3 * CHUNK, 3 * CHUNK);
	source = source_of(&file);
	source.read_at = read_fails;
	assert_int_equal(age_reader_new(&source, &keys, &reader, &error), RH_OK);
	assert_int_equal(age_reader_read(reader, bytes, 10, &got, &error), RH_OK);
	assert_int_equal(age_reader_seek(reader, CHUNK, &error), RH_OK);
	assert_int_equal(age_reader_read(reader, bytes, 10, &got, &error), RH_E_READ);
	assert_string_equal(error.text, "medium");
	assert_int_equal(age_reader_seek(reader, 0, &error), RH_OK);
	assert_int_equal(age_reader_read(reader, bytes, 10, &got, &error), RH_OK);
	assert_memory_equal(bytes, plain, 10);
	age_reader_free(reader);

	/* A file that is shorter than it was said to be. */
	source.read_at = read_nothing;
	assert_int_equal(age_reader_new(&source, &keys, &reader, &error), RH_E_BACKUP_CORRUPT);
	buffer_free(&file);
	free(plain);
}

static void test_versions(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
	    {"", RH_E_BACKUP_CORRUPT},
	    {"age", RH_E_BACKUP_CORRUPT},
	    {"age-encryption.org/", RH_E_BACKUP_CORRUPT},
	    {"age-encryption.org/v1", RH_E_BACKUP_CORRUPT},
	    {"age-encryption.org/v1\n", RH_E_BACKUP_CORRUPT},
	    {"age-encryption.org/v2\nanything", RH_E_BACKUP_NEWER},
	    {"age-encryption.org/v10\n", RH_E_BACKUP_NEWER},
	    {"age-encryption.org/\n", RH_E_BACKUP_CORRUPT},
	    {"age-encryption.org/v1 \n", RH_E_BACKUP_CORRUPT},
	    {"age-encryption.org/v1\r\n", RH_E_BACKUP_CORRUPT},
	    {"-----BEGIN AGE ENCRYPTED FILE-----\n", RH_E_BACKUP_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer file = {0};
		struct age_keys keys = {.passphrase = "a"};
		struct age_source source;
		struct age_reader *reader;
		size_t recipients;

		assert_int_equal(buffer_append_text(&file, cases[i].text, NULL), RH_OK);
		source = source_of(&file);
		assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), cases[i].code);
		assert_int_equal(
		    age_check_structure(&source, &recipients, NULL), cases[i].code);
		buffer_free(&file);
	}
}

/* The examples of C2SP age.md: 32 times the letter "B", and its recipient. */
#define SPEC_IDENTITY                                                                          \
	"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
#define SPEC_RECIPIENT "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

static void test_keys_known(void **state)
{
	struct age_identity identity;
	struct age_recipient recipient;
	uint8_t secret[AGE_KEY_SIZE];
	char text[AGE_TEXT_SIZE];

	(void)state;
	memset(secret, 'B', sizeof secret);
	assert_int_equal(age_identity_parse(&identity, SPEC_IDENTITY, NULL), RH_OK);
	assert_memory_equal(identity.secret, secret, sizeof secret);
	age_identity_format(text, &identity);
	assert_string_equal(text, SPEC_IDENTITY);
	age_recipient_format(text, &identity.recipient);
	assert_string_equal(text, SPEC_RECIPIENT);
	assert_int_equal(age_recipient_parse(&recipient, SPEC_RECIPIENT, NULL), RH_OK);
	assert_memory_equal(&recipient, &identity.recipient, sizeof recipient);
}

static void change_case(char *text, char first, char last)
{
	for (; *text != '\0'; text++)
		if (*text >= first && *text <= last)
			*text ^= 0x20;
}

static void test_keys_malformed(void **state)
{
	static const char any[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7lbio1- ";
	struct age_identity identity;
	struct age_recipient recipient;
	char text[AGE_TEXT_SIZE] = SPEC_IDENTITY, other[] = SPEC_RECIPIENT;
	rh_error error = {0};

	(void)state;
	change_case(text, 'A', 'Z');
	assert_int_equal(age_identity_parse(&identity, text, NULL), RH_OK);
	text[40] ^= text[40] > '9' ? 0x20 : 0;
	text[41] ^= text[41] > '9' ? 0x20 : 0;
	assert_int_equal(age_identity_parse(&identity, text, &error), RH_E_SECRET_TYPED);
	assert_null(strstr(error.text, "gfp"));
	change_case(other, 'a', 'z');
	assert_int_equal(age_recipient_parse(&recipient, other, NULL), RH_OK);
	change_case(other, 'A', 'Z');

	/* Every single wrong character, and every length. */
	for (size_t i = 0; i < strlen(other); i++) {
		char right = other[i];

		for (const char *p = any; *p != '\0'; p++) {
			other[i] = *p;
			assert_int_equal(age_recipient_parse(&recipient, other, NULL),
			    *p == right ? RH_OK : RH_E_RECIPIENT);
		}
		other[i] = '\0';
		assert_int_equal(age_recipient_parse(&recipient, other, NULL), RH_E_RECIPIENT);
		other[i] = right;
	}
	assert_int_equal(
	    age_recipient_parse(&recipient, SPEC_RECIPIENT "q", NULL), RH_E_RECIPIENT);
	assert_int_equal(age_recipient_parse(&recipient, SPEC_IDENTITY, NULL), RH_E_RECIPIENT);
	assert_int_equal(
	    age_identity_parse(&identity, SPEC_RECIPIENT, NULL), RH_E_SECRET_TYPED);
	assert_int_equal(age_identity_parse(&identity, "", NULL), RH_E_SECRET_TYPED);
	assert_int_equal(
	    age_identity_parse(&identity, SPEC_IDENTITY "\n", NULL), RH_E_SECRET_TYPED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_recipients),
	    cmocka_unit_test(test_passphrase),
	    cmocka_unit_test(test_seek),
	    cmocka_unit_test(test_tampered),
	    cmocka_unit_test(test_cut_chunks),
	    cmocka_unit_test(test_sink_failure),
	    cmocka_unit_test(test_source_failure),
	    cmocka_unit_test(test_versions),
	    cmocka_unit_test(test_keys_known),
	    cmocka_unit_test(test_keys_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
