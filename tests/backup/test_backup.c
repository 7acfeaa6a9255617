#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "sample.h"

/* Whole backups: written, read, changed behind our back. */

static int make_directory(void **state)
{
	char *path = malloc(256);

	sample_directory(path);
	*state = path;
	return 0;
}

static int remove_directory(void **state)
{
	sample_directory_remove(*state);
	free(*state);
	return 0;
}

static void write_and_read(void **state)
{
	const char *path = *state;
	struct age_keys keys = {sample_identity(), 1, NULL};
	struct backup_directory *directory = NULL;
	struct backup_reader *reader = NULL;
	const struct backup_header *header;
	char name[BACKUP_NAME_SIZE];
	unsigned count = 0;

	sample_backup(path, 95, 700, name);
	expect_ok(sample_read_backup(path, name, 700, &count, &error));
	assert_int_equal(count, 95);
	assert_int_equal(sample_count(path), 2); /* it and HOW-TO-OPEN.txt */

	expect_ok(backup_directory_open(path, false, &directory, &error));
	assert_string_equal(backup_directory_path(directory), path);
	expect_ok(backup_reader_new(directory, name, &keys, false, &reader, &error));
	header = backup_reader_header(reader);
	assert_int_equal(header->format_version, 3);
	assert_int_equal(header->owned, 95);
	assert_int_equal(header->restricted, 0);
	assert_string_equal(header->generator, "rehost " REHOST_VERSION);
	assert_string_equal(header->computer_id, "00112233445566778899aabbccddeeff");
	assert_non_null(strstr(header->computer_key, "P-256"));
	assert_true(header->created >= clock_now() - 60 && header->created <= clock_now());
	assert_non_null(strstr(name, header->id));
	backup_reader_free(reader);
	backup_directory_close(directory);
}

/* Frames over many chunks of age and many reads; and a backup of nothing. */
static void large_and_empty(void **state)
{
	char name[BACKUP_NAME_SIZE];
	unsigned count = 1;

	sample_backup(*state, 40, 300000, name);
	expect_ok(sample_read_backup(*state, name, 300000, &count, &error));
	assert_int_equal(count, 40);
	sample_backup(*state, 0, 0, name);
	expect_ok(sample_read_backup(*state, name, 0, &count, &error));
	assert_int_equal(count, 0);
}

static void end_is_the_end(void **state)
{
	struct age_keys keys = {sample_identity(), 1, NULL};
	struct backup_directory *directory = NULL;
	struct backup_reader *reader = NULL;
	struct backup_frame frame = {0};
	char name[BACKUP_NAME_SIZE];

	sample_backup(*state, 5, 100, name);
	expect_ok(backup_directory_open(*state, false, &directory, &error));
	expect_ok(backup_reader_new(directory, name, &keys, false, &reader, &error));
	expect_ok(backup_reader_next(reader, &frame, &error));
	assert_true(frame.licenses.size > 0);
	for (int i = 0; i < 3; i++) {
		expect_ok(backup_reader_next(reader, &frame, &error));
		assert_int_equal(frame.licenses.size, 0);
	}
	backup_frame_free(&frame);
	backup_reader_free(reader);
	backup_directory_close(directory);
}

static void secrets(void **state)
{
	const char *path = *state;
	struct age_identity other;
	struct age_keys none = {NULL, 0, NULL}, wrong = {&other, 1, NULL};
	struct backup_directory *directory = NULL;
	struct backup_reader *reader = NULL;
	char name[BACKUP_NAME_SIZE];

	sample_backup(path, 5, 100, name);
	expect_ok(age_identity_generate(&other, &error));
	expect_ok(backup_directory_open(path, false, &directory, &error));
	expect_code(backup_reader_new(directory, name, &none, false, &reader, &error),
	    RH_E_SECRET_NEEDED);
	expect_code(backup_reader_new(directory, name, &wrong, false, &reader, &error),
	    RH_E_SECRET_WRONG);
	expect_code(
	    backup_reader_new(directory, "licenses-20200101T000000Z-0000000000000000.age",
		&wrong, false, &reader, &error),
	    RH_E_BACKUP_MISSING);
	assert_null(reader);
	backup_directory_close(directory);
}

/* No byte of a licence is on the medium in the clear, before the end or after it. */
static void nothing_in_the_clear(void **state)
{
	const char *path = *state;
	static const char marker[] = "licence licence licence";
	struct backup_directory *directory = NULL;
	struct backup_writer *writer = NULL;
	struct backup_frame frame = {0};
	struct buffer file = {0};
	char name[BACKUP_NAME_SIZE];

	sample_backup(path, 20, 3000, name);
	sample_read(path, name, &file);
	assert_null(memmem(file.data, file.size, marker, sizeof marker - 1));
	assert_null(memmem(file.data, file.size, "Sample-", 7));
	assert_null(memmem(file.data, file.size, "rehost", 6));

	/* Half of it: more than what is collected before it is written. */
	expect_ok(backup_directory_open(path, true, &directory, &error));
	expect_ok(sample_writer(directory, 10, &writer, &error));
	for (unsigned i = 0; i < 100; i++) {
		sample_frame(&frame, i + 1, i * 10, 10, 3000);
		expect_ok(backup_writer_append(writer, &frame, &error));
	}
	assert_true(backup_writer_bytes(writer) > (uint64_t)1 << 20);
	assert_int_equal(sample_count(path), 3);
	backup_writer_free(writer);
	assert_int_equal(sample_count(path), 2);
	backup_directory_close(directory);
	backup_frame_free(&frame);
	buffer_free(&file);
}

/* ---- Damage ---- */

/* Where the header of an age file ends: behind the line of its MAC. */
static size_t header_end(const struct buffer *file)
{
	const char *mac = memmem(file->data, file->size, "\n--- ", 5);
	const char *end;

	assert_non_null(mac);
	end = memchr(mac + 1, '\n', file->size - (size_t)(mac + 1 - (char *)file->data));
	assert_non_null(end);
	return (size_t)(end + 1 - (const char *)file->data);
}

/*
 * Every byte in turn, three ways.  In the header of age a damaged stanza is
 * not to be told from one for another key, nor a damaged version from a newer
 * one; behind it every change is damage, and nothing else.
 */
static void every_byte(void **state)
{
	static const uint8_t changes[] = {0x01, 0x80, 0xff};
	struct buffer file = {0};
	char name[BACKUP_NAME_SIZE];
	size_t end;

	sample_backup(*state, 3, 60, name);
	sample_read(*state, name, &file);
	end = header_end(&file);
	for (size_t i = 0; i < file.size; i++)
		for (size_t k = 0; k < sizeof changes; k++) {
			int code;

			file.data[i] ^= changes[k];
			sample_write(*state, name, file.data, file.size);
			file.data[i] ^= changes[k];
			code = sample_read_backup(*state, name, 60, NULL, NULL);
			if (code == RH_E_BACKUP_CORRUPT ||
			    (i < end &&
				(code == RH_E_SECRET_WRONG || code == RH_E_BACKUP_NEWER)))
				continue;
			fail_msg("byte %zu of %zu: %s", i, file.size, rh_code_name(code));
		}
	buffer_free(&file);
}

static void every_length(void **state)
{
	struct buffer file = {0};
	char name[BACKUP_NAME_SIZE];

	sample_backup(*state, 3, 60, name);
	sample_read(*state, name, &file);
	for (size_t size = 0; size < file.size; size++) {
		sample_write(*state, name, file.data, size);
		expect_code(
		    sample_read_backup(*state, name, 60, NULL, &error), RH_E_BACKUP_CORRUPT);
	}
	expect_ok(buffer_append(&file, "x", 1, &error));
	sample_write(*state, name, file.data, file.size);
	expect_code(sample_read_backup(*state, name, 60, NULL, &error), RH_E_BACKUP_CORRUPT);
	buffer_free(&file);
}

/* A large one, cut where chunks of age end, and with two of them exchanged. */
static void cut_and_exchanged(void **state)
{
	const size_t chunk = 65536 + 16;
	struct buffer file = {0};
	char name[BACKUP_NAME_SIZE];
	uint8_t *other = malloc(chunk);
	size_t start;

	assert_non_null(other);
	sample_backup(*state, 30, 30000, name);
	sample_read(*state, name, &file);
	start = header_end(&file) + 16;
	assert_true(file.size > start + 4 * chunk);
	for (size_t i = 0; i < 4; i++) {
		sample_write(*state, name, file.data, start + i * chunk);
		expect_code(
		    sample_read_backup(*state, name, 30000, NULL, &error), RH_E_BACKUP_CORRUPT);
	}
	memcpy(other, file.data + start, chunk);
	memcpy(file.data + start, file.data + start + chunk, chunk);
	memcpy(file.data + start + chunk, other, chunk);
	sample_write(*state, name, file.data, file.size);
	expect_code(sample_read_backup(*state, name, 30000, NULL, &error), RH_E_BACKUP_CORRUPT);
	free(other);
	buffer_free(&file);
}

static void renamed(void **state)
{
	static const char later[] = "licenses-20991231T235959Z-0123456789abcdef.age";
	struct buffer file = {0};
	char name[BACKUP_NAME_SIZE];
	unsigned count;

	sample_backup(*state, 3, 60, name);
	sample_read(*state, name, &file);
	sample_write(*state, later, file.data, file.size);
	expect_code(sample_read_backup(*state, later, 60, NULL, &error), RH_E_BACKUP_CORRUPT);
	/* Any other name says nothing that could be wrong. */
	sample_write(*state, "copy.age", file.data, file.size);
	expect_ok(sample_read_backup(*state, "copy.age", 60, &count, &error));
	assert_int_equal(count, 3);
	buffer_free(&file);
}

/* ---- Well sealed, yet wrong inside ---- */

static int append_sink(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

#define FORGED "licenses-20261122T151000Z-0123456789abcdef.age"

/* Seals ${plain} as FORGED and reads it. */
static int read_forged(const char *path, const struct buffer *plain, rh_error *why)
{
	struct age_writer *writer = NULL;
	struct buffer file = {0};

	expect_ok(age_writer_new(
	    &sample_identity()->recipient, 1, NULL, 0, append_sink, &file, &writer, &error));
	expect_ok(age_writer_write(writer, plain->data, plain->size, &error));
	expect_ok(age_writer_finish(writer, &error));
	age_writer_free(writer);
	sample_write(path, FORGED, file.data, file.size);
	buffer_free(&file);
	return sample_read_backup(path, FORGED, 60, NULL, why);
}

/* Appends one frame of ${size} bytes. */
static void put_frame(struct buffer *plain, const void *bytes, size_t size)
{
	ZSTD_CCtx *compressor = NULL;
	struct buffer frame = {0};

	expect_ok(zframe_compressor(&compressor, &error));
	expect_ok(zframe_pack(compressor, bytes, size, &frame, &error));
	expect_ok(buffer_append(plain, frame.data, frame.size, &error));
	buffer_free(&frame);
	ZSTD_freeCCtx(compressor);
}

static void put_header(struct buffer *plain)
{
	static const uint8_t key[KEY_SIZE] = "a signature that is not for real";
	struct backup_header header = {.format_version = 3,
	    .id = "0123456789abcdef",
	    .created = 1795360200,
	    .generator = "a test",
	    .computer_id = "00"};
	struct buffer tar = {0};

	expect_ok(backup_header_write(&header, key, NULL, &tar, &error));
	put_frame(plain, tar.data, tar.size);
	buffer_free(&tar);
}

static void put_samples(struct buffer *plain)
{
	struct backup_frame frame = {0};

	sample_frame(&frame, 1, 0, 3, 60);
	expect_ok(buffer_append(plain, frame.licenses.data, frame.licenses.size, &error));
	expect_ok(buffer_append(plain, frame.manifest.data, frame.manifest.size, &error));
	backup_frame_free(&frame);
}

static void forged_frames(void **state)
{
	static uint8_t zeros[FRAME_MAX + 1];
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4};
	struct buffer plain = {0};

	put_header(&plain);
	put_samples(&plain);
	put_frame(&plain, zeros, TAR_END_SIZE);
	expect_ok(read_forged(*state, &plain, &error));

	/* Something behind the end: a frame, a byte. */
	put_samples(&plain);
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);
	buffer_clear(&plain);
	put_header(&plain);
	put_frame(&plain, zeros, TAR_END_SIZE);
	expect_ok(buffer_append(&plain, "", 1, &error));
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);

	/* No end. */
	buffer_clear(&plain);
	put_header(&plain);
	put_samples(&plain);
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);

	/* No header; nothing; no frame; half a frame; a skippable one; too large a one. */
	buffer_clear(&plain);
	put_samples(&plain);
	put_frame(&plain, zeros, TAR_END_SIZE);
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);
	buffer_clear(&plain);
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);
	expect_ok(buffer_append_text(&plain, "no frame", &error));
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);
	buffer_clear(&plain);
	put_header(&plain);
	plain.size -= 5;
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);
	buffer_clear(&plain);
	put_header(&plain);
	expect_ok(buffer_append(&plain, skippable, sizeof skippable, &error));
	put_frame(&plain, zeros, TAR_END_SIZE);
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);
	buffer_clear(&plain);
	put_header(&plain);
	put_frame(&plain, zeros, sizeof zeros);
	put_frame(&plain, zeros, TAR_END_SIZE);
	expect_code(read_forged(*state, &plain, &error), RH_E_BACKUP_CORRUPT);
	buffer_free(&plain);
}

/* Writes ${json} and a right signature over it, and the end. */
static int read_forged_header(const char *path, const char *json, rh_error *why)
{
	static const uint8_t key[KEY_SIZE] = "a signature that is not for real";
	static const uint8_t zeros[TAR_END_SIZE];
	struct buffer tar = {0}, plain = {0};
	char *signature = NULL, *jwk = NULL, *text = NULL;
	int code;

	expect_ok(es256_public_jwk(key, &jwk, &error));
	assert_true(asprintf(&text, json, jwk) > 0);
	expect_ok(es256_sign_detached(key, text, strlen(text), &signature, &error));
	expect_ok(tar_append(&tar, "rehost.json", text, strlen(text), 0, &error));
	expect_ok(tar_append(&tar, "rehost.json.jws", signature, strlen(signature), 0, &error));
	put_frame(&plain, tar.data, tar.size);
	put_frame(&plain, zeros, sizeof zeros);
	code = read_forged(path, &plain, why);
	free(text);
	free(jwk);
	free(signature);
	buffer_free(&tar);
	buffer_free(&plain);
	return code;
}

#define JSON_WITH(format, version, id, created, bytes, more)                                   \
	"{\"format\":" format ",\"version\":" version ",\"id\":" id ",\"created\":" created    \
	",\"generator\":\"g\",\"computer\":{\"id\":\"c\",\"key\":%s},"                         \
	"\"licenses\":{\"owned\":1,\"managed\":0,\"restricted\":0},\"bytes\":" bytes more "}"
#define JSON_FORMAT "\"rehost-backup\""
#define JSON_ID "\"0123456789abcdef\""
#define JSON_TIME "\"2026-11-22T15:10:00Z\""

static void forged_headers(void **state)
{
	static const struct {
		const char *json;
		int expected;
	} cases[] = {
	    {JSON_WITH(JSON_FORMAT, "1", JSON_ID, JSON_TIME, "5", ""), RH_OK},
	    {JSON_WITH(JSON_FORMAT, "1", JSON_ID, JSON_TIME, "5", ",\"more\":[1]"), RH_OK},
	    {JSON_WITH(JSON_FORMAT, "2", JSON_ID, JSON_TIME, "5", ""), RH_OK},
	    {JSON_WITH(JSON_FORMAT, "3", JSON_ID, JSON_TIME, "5", ""), RH_OK},
	    {JSON_WITH(JSON_FORMAT, "4", JSON_ID, JSON_TIME, "5", ""), RH_E_BACKUP_NEWER},
	    {"{\"format\":\"rehost-backup\",\"version\":4,\"x\":%s}", RH_E_BACKUP_NEWER},
	    {JSON_WITH(JSON_FORMAT, "0", JSON_ID, JSON_TIME, "5", ""), RH_E_BACKUP_CORRUPT},
	    {JSON_WITH(JSON_FORMAT, "\"1\"", JSON_ID, JSON_TIME, "5", ""), RH_E_BACKUP_CORRUPT},
	    {JSON_WITH("\"other\"", "1", JSON_ID, JSON_TIME, "5", ""), RH_E_BACKUP_CORRUPT},
	    {JSON_WITH("1", "1", JSON_ID, JSON_TIME, "5", ""), RH_E_BACKUP_CORRUPT},
	    {JSON_WITH(JSON_FORMAT, "1", "\"0123456789ABCDEF\"", JSON_TIME, "5", ""),
		RH_E_BACKUP_CORRUPT},
	    {JSON_WITH(JSON_FORMAT, "1", "\"../../..\"", JSON_TIME, "5", ""),
		RH_E_BACKUP_CORRUPT},
	    {JSON_WITH(JSON_FORMAT, "1", JSON_ID, "\"yesterday\"", "5", ""),
		RH_E_BACKUP_CORRUPT},
	    {JSON_WITH(JSON_FORMAT, "1", JSON_ID, "1", "5", ""), RH_E_BACKUP_CORRUPT},
	    {JSON_WITH(JSON_FORMAT, "1", JSON_ID, JSON_TIME, "-5", ""), RH_E_BACKUP_CORRUPT},
	    {JSON_WITH(JSON_FORMAT, "1", JSON_ID, JSON_TIME, "5.0", ""), RH_E_BACKUP_CORRUPT},
	    {JSON_WITH(JSON_FORMAT, "1", JSON_ID, JSON_TIME, "5", ",\"bytes\":5"),
		RH_E_BACKUP_CORRUPT},
	    {"[%s]", RH_E_BACKUP_CORRUPT},
	    {"%s", RH_E_BACKUP_CORRUPT},
	    {"{%s", RH_E_BACKUP_CORRUPT},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		expect_code(
		    read_forged_header(*state, cases[i].json, &error), cases[i].expected);
	}
}

/* Each byte of rehost.json, and of its signature, in turn. */
static void signature_covers_every_byte(void **state)
{
	static const uint8_t key[KEY_SIZE] = "a signature that is not for real";
	struct backup_header header = {.format_version = 1,
	    .id = "0123456789abcdef",
	    .created = 1795360200,
	    .generator = "a test",
	    .computer_id = "00"};
	struct backup_header found = {0};
	struct buffer tar = {0};
	struct tar_cursor cursor;
	struct tar_member member;
	unsigned members = 0;
	bool end = false;

	(void)state;
	expect_ok(backup_header_write(&header, key, NULL, &tar, &error));
	expect_ok(backup_header_read(tar.data, tar.size, &found, &error));
	backup_header_free(&found);
	cursor = (struct tar_cursor){tar.data, tar.size, 0};
	for (;; members++) {
		expect_ok(tar_next(&cursor, &member, &end, &error));
		if (end)
			break;
		for (size_t i = 0; i < member.size; i++) {
			uint8_t *byte = tar.data + (member.bytes - tar.data) + i;
			int code;

			*byte ^= 1;
			code = backup_header_read(tar.data, tar.size, &found, NULL);
			*byte ^= 1;
			assert_int_equal(code, RH_E_BACKUP_CORRUPT);
		}
	}
	assert_int_equal(members, 2);
	buffer_free(&tar);
}

static void unsigned_headers(void **state)
{
	static const uint8_t key[KEY_SIZE] = "a signature that is not for real";
	struct backup_header header = {.format_version = 1,
	    .id = "0123456789abcdef",
	    .created = 1795360200,
	    .generator = "a test",
	    .computer_id = "00"};
	struct backup_header found = {0};
	struct buffer tar = {0};
	struct tar_cursor cursor = {0};
	struct tar_member member;
	size_t first;
	bool end;

	(void)state;
	expect_ok(backup_header_write(&header, key, NULL, &tar, &error));
	cursor = (struct tar_cursor){tar.data, tar.size, 0};
	expect_ok(tar_next(&cursor, &member, &end, &error));
	first = cursor.offset;
	expect_code(backup_header_read(tar.data, first, &found, &error), RH_E_BACKUP_CORRUPT);
	expect_code(backup_header_read(tar.data + first, tar.size - first, &found, &error),
	    RH_E_BACKUP_CORRUPT);
	expect_ok(buffer_reserve(&tar, first, &error));
	expect_ok(buffer_append(&tar, tar.data, first, &error));
	expect_code(
	    backup_header_read(tar.data, tar.size, &found, &error), RH_E_BACKUP_CORRUPT);
	assert_null(found.computer_key);
	buffer_free(&tar);
}

int main(void)
{
#define WITH_DIRECTORY(test)                                                                   \
	cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
	    WITH_DIRECTORY(write_and_read),
	    WITH_DIRECTORY(large_and_empty),
	    WITH_DIRECTORY(end_is_the_end),
	    WITH_DIRECTORY(secrets),
	    WITH_DIRECTORY(nothing_in_the_clear),
	    WITH_DIRECTORY(every_byte),
	    WITH_DIRECTORY(every_length),
	    WITH_DIRECTORY(cut_and_exchanged),
	    WITH_DIRECTORY(renamed),
	    WITH_DIRECTORY(forged_frames),
	    WITH_DIRECTORY(forged_headers),
	    cmocka_unit_test(signature_covers_every_byte),
	    cmocka_unit_test(unsigned_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
