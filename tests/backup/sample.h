#ifndef TESTS_BACKUP_SAMPLE_H
#define TESTS_BACKUP_SAMPLE_H

#include "backup/internal.h"

/* What the tests of this folder share. */

/* Runs ${call} and fails the test, with the error's text, if it gives another code. */
#define expect_code(call, expected)                                                            \
	do {                                                                                   \
		rh_error error = {0};                                                          \
		int got_ = (call);                                                             \
		if (got_ != (expected)) {                                                      \
			print_error("%s: %s: %s\n", #call, rh_code_name(got_), error.text);    \
			fail();                                                                \
		}                                                                              \
		assert_int_equal(error.code, got_ == RH_OK ? 0 : got_);                        \
	} while (0)
#define expect_ok(call) expect_code(call, RH_OK)

/* ---- Licences that are always the same ---- */

struct sample {
	char component[FRAME_COMPONENT_MAX + 1];
	struct buffer document;
	struct buffer secret;
	struct buffer state;
	uint8_t digest[DIGEST_SIZE];
};

/* Number ${i}; every third has a secret, every fifth a state.  sample_free it. */
void sample_make(struct sample *sample, unsigned i, size_t document_size);
void sample_free(struct sample *sample);
struct frame_license sample_license(const struct sample *sample);
/* Whether ${license} is number ${i} to the last byte. */
bool sample_equal(const struct frame_license *license, unsigned i, size_t document_size);
/* The number in a sample's component. */
unsigned sample_number(const char *component);

/* Builds a frame of samples ${first} to ${first} + ${count} - 1 as buffers of its own. */
void sample_frame(struct backup_frame *frame, uint32_t number, unsigned first, unsigned count,
    size_t document_size);

/* A copy of what a builder made. */
void sample_keep(struct backup_frame *frame, const struct backup_frame *built);

/* ---- Directories and files ---- */

/* Makes an empty directory below TMPDIR; sample_directory_remove it, with all in it. */
void sample_directory(char path[256]);
void sample_directory_remove(const char *path);
/* How many names are in it. */
size_t sample_count(const char *path);
bool sample_exists(const char *directory, const char *name);
void sample_write(const char *directory, const char *name, const void *bytes, size_t size);
void sample_read(const char *directory, const char *name, struct buffer *bytes);

/* ---- Whole backups ---- */

/* A key that is always the same. */
const struct age_identity *sample_identity(void);

/* Percent of parity that backups get; 0, unless a test sets it. */
extern unsigned sample_parity;

/* Starts a backup of ${owned} licences. */
int sample_writer(struct backup_directory *directory, uint64_t owned,
    struct backup_writer **ret, rh_error *error);

/*
 * Writes a backup of ${count} samples, ten a frame, into ${path}; ${name} gets the
 * file's name.
 */
void sample_backup(
    const char *path, unsigned count, size_t document_size, char name[BACKUP_NAME_SIZE]);

/*
 * Reads the backup to its end; ${*ret_count} says how many licences came.  Fails the
 * test if one of them is not the sample that it says it is.
 */
int sample_read_backup(const char *path, const char *name, size_t document_size,
    unsigned *ret_count, rh_error *error);

#endif
