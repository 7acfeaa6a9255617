#ifndef CRYPTO_AGE_H
#define CRYPTO_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The age v1 file format: https://age-encryption.org/v1 (C2SP age.md), with
 * X25519 and scrypt recipients, without ASCII armor.  A header of more than 64 KiB
 * or 256 stanzas is not read.
 */

#define AGE_KEY_SIZE 32
/* "AGE-SECRET-KEY-1" and 58 characters, and NUL; the recipient is shorter. */
#define AGE_TEXT_SIZE 80
/* Cost of a scrypt recipient that is written, as log2(N); and the most that is read. */
#define AGE_SCRYPT_WORK 18
#define AGE_SCRYPT_WORK_MAX 22

struct age_recipient {
	uint8_t key[AGE_KEY_SIZE];
};

/* Secret: wipe with bytes_wipe. */
struct age_identity {
	uint8_t secret[AGE_KEY_SIZE];
	struct age_recipient recipient;
};

int age_identity_generate(struct age_identity *identity, rh_error *error);
int age_identity_from_secret(
    struct age_identity *identity, const uint8_t secret[AGE_KEY_SIZE], rh_error *error);

/* "AGE-SECRET-KEY-1...", any one case; RH_E_SECRET_TYPED if it is none. */
int age_identity_parse(struct age_identity *identity, const char *text, rh_error *error);
void age_identity_format(char text[AGE_TEXT_SIZE], const struct age_identity *identity);

/* "age1..."; RH_E_RECIPIENT if it is none. */
int age_recipient_parse(struct age_recipient *recipient, const char *text, rh_error *error);
void age_recipient_format(char text[AGE_TEXT_SIZE], const struct age_recipient *recipient);

/* Takes encrypted bytes as they come. */
typedef int (*age_sink)(void *context, const void *bytes, size_t size, rh_error *error);

struct age_writer;

/*
 * Writes the header to ${sink}.  Either ${count} recipients, 1 to 256, or a
 * ${passphrase} alone, not empty, with scrypt cost 2^${work}, which takes 2^${work} KiB of
 * memory.  After a failure the writer can only be freed.
 */
int age_writer_new(const struct age_recipient *recipients, size_t count, const char *passphrase,
    unsigned work, age_sink sink, void *context, struct age_writer **ret, rh_error *error);
int age_writer_write(
    struct age_writer *writer, const void *bytes, size_t size, rh_error *error);
/* Writes the last chunk; without it the file is incomplete and will not open. */
int age_writer_finish(struct age_writer *writer, rh_error *error);
/* Wipes and frees; NULL is fine. */
void age_writer_free(struct age_writer *writer);

/* Encrypted bytes at an offset; ${*ret} less than ${size} only at the end. */
struct age_source {
	int (*read_at)(void *context, uint64_t offset, void *bytes, size_t size, size_t *ret,
	    rh_error *error);
	void *context;
	uint64_t size; /* of the whole file, in bytes */
	/*
	 * Asked when bytes turn out not to be authentic, or not to be readable as what they
	 * should be: true if from now on better ones may come, in a file of ${*ret_size} bytes.
	 * NULL: never.
	 */
	bool (*doubt)(void *context, uint64_t *ret_size);
};

/* What opens a file; both may be absent. */
struct age_keys {
	const struct age_identity *identities;
	size_t identity_count;
	const char *passphrase;
};

struct age_reader;

/*
 * Reads the header and opens it.  RH_E_SECRET_WRONG if no key fits,
 * RH_E_SECRET_NEEDED if there is no key at all, RH_E_BACKUP_CORRUPT for a header
 * that is no age header or whose MAC is wrong; RH_E_BACKUP_NEWER for another
 * version of age.  ${keys} are used during the call only.
 */
int age_reader_new(const struct age_source *source, const struct age_keys *keys,
    struct age_reader **ret, rh_error *error);

/*
 * Next decrypted bytes, perhaps fewer than ${size}; ${*ret} is 0 at the end, which is
 * authenticated.  No byte is ever given before its chunk is authenticated.
 * RH_E_BACKUP_CORRUPT.
 */
int age_reader_read(
    struct age_reader *reader, void *bytes, size_t size, size_t *ret, rh_error *error);

/*
 * After RH_E_BACKUP_CORRUPT of age_reader_read: goes on behind the chunk that is not
 * authentic; false if that was the last one.  ${*ret_bytes}: of the plaintext that it would
 * have held, as far as the size of the file tells; at least 1.  The file's end is authentic
 * only if age_reader_read has told it with RH_OK.
 */
bool age_reader_skip(struct age_reader *reader, uint64_t *ret_bytes);

/* Size of the plaintext, authenticated: opens the last chunk. */
int age_reader_size(struct age_reader *reader, uint64_t *ret, rh_error *error);

/* Goes on reading at ${offset} of the plaintext, which may be behind its end. */
int age_reader_seek(struct age_reader *reader, uint64_t offset, rh_error *error);
void age_reader_free(struct age_reader *reader);

/*
 * Structure without a key: the header parses and the size fits whole chunks.
 * RH_E_BACKUP_CORRUPT, RH_E_BACKUP_NEWER.
 */
int age_check_structure(
    const struct age_source *source, size_t *ret_recipients, rh_error *error);

#endif
