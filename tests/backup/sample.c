#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "sample.h"

/* ---- Licences ---- */

static void fill(struct buffer *buffer, size_t size, uint32_t seed)
{
	expect_ok(buffer_reserve(buffer, size + 1, &error));
	for (size_t i = 0; i < size; i++) {
		seed = seed * 1664525u + 1013904223u;
		/* Runs of text and of noise. */
		buffer->data[i] =
		    i / 64 % 2 ? (uint8_t)(seed >> 24) : (uint8_t) "licence "[i % 8];
	}
	buffer->size = size;
}

void sample_make(struct sample *sample, unsigned i, size_t document_size)
{
	memset(sample, 0, sizeof *sample);
	snprintf(sample->component, sizeof sample->component, "Sample-%u_%%2F.x", i);
	fill(&sample->document, document_size, i + 1);
	if (i % 3 == 0)
		fill(&sample->secret, 1 + i % 97, i + 2);
	if (i % 5 == 0)
		fill(&sample->state, 1 + i % 43, i + 3);
	expect_ok(sha256(sample->digest, sample->document.data, document_size, &error));
}

void sample_free(struct sample *sample)
{
	buffer_free(&sample->document);
	buffer_free(&sample->secret);
	buffer_free(&sample->state);
}

struct frame_license sample_license(const struct sample *sample)
{
	return (struct frame_license){sample->component, sample->document.data,
	    sample->document.size, sample->digest, sample->secret.data, sample->secret.size,
	    sample->state.data, sample->state.size, NULL, 0, false, false};
}

static bool equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
	return a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0);
}

bool sample_equal(const struct frame_license *license, unsigned i, size_t document_size)
{
	struct sample sample;
	bool same;

	sample_make(&sample, i, document_size);
	same =
	    strcmp(license->component, sample.component) == 0 &&
	    equal(license->document, license->document_size, sample.document.data,
		sample.document.size) &&
	    equal(license->secret, license->secret_size, sample.secret.data,
		sample.secret.size) &&
	    equal(license->state, license->state_size, sample.state.data, sample.state.size) &&
	    memcmp(license->digest, sample.digest, DIGEST_SIZE) == 0;
	sample_free(&sample);
	return same;
}

unsigned sample_number(const char *component)
{
	unsigned number = 0;

	assert_int_equal(sscanf(component, "Sample-%u_", &number), 1);
	return number;
}

void sample_keep(struct backup_frame *frame, const struct backup_frame *built)
{
	backup_frame_clear(frame);
	expect_ok(buffer_append(
	    &frame->licenses, built->licenses.data, built->licenses.size, &error));
	expect_ok(buffer_append(
	    &frame->manifest, built->manifest.data, built->manifest.size, &error));
	frame->cut = built->cut;
	frame->alone = built->alone;
}

void sample_frame(struct backup_frame *frame, uint32_t number, unsigned first, unsigned count,
    size_t document_size)
{
	struct frame_builder *builder = NULL;
	const struct backup_frame *built = NULL;

	expect_ok(frame_builder_new(&builder, &error));
	expect_ok(frame_begin(builder, number, 1795360200, &error));
	for (unsigned i = first; i < first + count; i++) {
		struct sample sample;
		struct frame_license license;

		sample_make(&sample, i, document_size);
		license = sample_license(&sample);
		expect_ok(frame_add(builder, &license, &error));
		sample_free(&sample);
	}
	expect_ok(frame_finish(builder, &built, &error));
	sample_keep(frame, built);
	frame_builder_free(builder);
}

/* ---- Directories and files ---- */

void sample_directory(char path[256])
{
	const char *base = getenv("TMPDIR");

	snprintf(path, 256, "%s/rehost-backup-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)type;
	(void)ftw;
	return remove(path);
}

void sample_directory_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

size_t sample_count(const char *path)
{
	DIR *names = opendir(path);
	size_t count = 0;

	assert_non_null(names);
	while (readdir(names) != NULL)
		count++;
	closedir(names);
	return count - 2; /* . and .. */
}

bool sample_exists(const char *directory, const char *name)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

void sample_write(const char *directory, const char *name, const void *bytes, size_t size)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	expect_ok(file_write(fd, bytes, size, path, &error));
	close(fd);
}

void sample_read(const char *directory, const char *name, struct buffer *bytes)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	buffer_clear(bytes);
	expect_ok(file_read_whole(AT_FDCWD, path, (size_t)1 << 30, bytes, path, &error));
}

/* ---- Whole backups ---- */

static struct age_identity identity;

static void make_identity(void)
{
	static const uint8_t secret[AGE_KEY_SIZE] = "a key that is always the same...";

	expect_ok(age_identity_from_secret(&identity, secret, &error));
}

const struct age_identity *sample_identity(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_identity);
	return &identity;
}

unsigned sample_parity;

int sample_writer(struct backup_directory *directory, uint64_t owned,
    struct backup_writer **ret, rh_error *error)
{
	static const uint8_t signing_key[KEY_SIZE] = "a signature that is not for real";
	struct backup_header header = {
	    .computer_id = "00112233445566778899aabbccddeeff", .owned = owned};

	return backup_writer_new(directory, &header, signing_key, NULL,
	    &sample_identity()->recipient, 1, sample_parity, ret, error);
}

void sample_backup(
    const char *path, unsigned count, size_t document_size, char name[BACKUP_NAME_SIZE])
{
	struct backup_directory *directory = NULL;
	struct backup_writer *writer = NULL;
	struct backup_generation *generations = NULL;
	struct backup_frame frame = {0};
	size_t generation_count = 0;

	expect_ok(backup_directory_open(path, true, &directory, &error));
	expect_ok(sample_writer(directory, count, &writer, &error));
	/* A frame without a licence is nothing. */
	expect_ok(backup_writer_append(writer, &frame, &error));
	for (unsigned i = 0; i < count; i += 10) {
		sample_frame(
		    &frame, i / 10 + 1, i, count - i < 10 ? count - i : 10, document_size);
		expect_ok(backup_writer_append(writer, &frame, &error));
	}
	expect_ok(backup_writer_finish(writer, NULL, NULL, &error));
	expect_ok(backup_writer_commit(writer, &error));
	backup_writer_free(writer);
	expect_ok(backup_list(directory, &generations, &generation_count, &error));
	assert_true(generation_count > 0);
	memcpy(name, generations[0].file, BACKUP_NAME_SIZE);
	free(generations);
	backup_frame_free(&frame);
	backup_directory_close(directory);
}

struct count {
	size_t document_size;
	unsigned count;
};

static int count_license(void *context, const struct frame_license *license, rh_error *error)
{
	struct count *count = context;

	(void)error;
	assert_true(
	    sample_equal(license, sample_number(license->component), count->document_size));
	count->count++;
	return RH_OK;
}

int sample_read_backup(const char *path, const char *name, size_t document_size,
    unsigned *ret_count, rh_error *error)
{
	struct age_keys keys = {sample_identity(), 1, NULL};
	struct count count = {document_size, 0};
	struct backup_directory *directory = NULL;
	struct backup_reader *reader = NULL;
	struct frame_parser *parser = NULL;
	struct backup_frame frame = {0};
	int code;

	code = backup_directory_open(path, false, &directory, error);
	if (code == RH_OK)
		code = backup_reader_new(directory, name, &keys, false, &reader, error);
	if (code == RH_OK)
		code = frame_parser_new(&parser, error);
	while (code == RH_OK) {
		code = backup_reader_next(reader, &frame, error);
		if (code != RH_OK || frame.licenses.size == 0)
			break;
		code = frame_parse(parser, &frame, count_license, NULL, &count, error);
	}
	if (ret_count != NULL)
		*ret_count = count.count;
	backup_frame_free(&frame);
	frame_parser_free(parser);
	backup_reader_free(reader);
	backup_directory_close(directory);
	return code;
}
