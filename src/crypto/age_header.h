#ifndef CRYPTO_AGE_HEADER_H
#define CRYPTO_AGE_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/age.h"
#include "crypto/crypto.h"

/* The header of an age file; shared inside the room and with its tests only. */

/* Our bounds; the format has none. */
#define AGE_HEADER_MAX 65536
#define AGE_STANZAS_MAX 256

#define AGE_FILE_KEY_SIZE 16
#define AGE_SALT_SIZE 16
/* A file key and the tag of ChaCha20-Poly1305. */
#define AGE_WRAPPED_SIZE (AGE_FILE_KEY_SIZE + 16)

enum age_stanza_type {
	AGE_STANZA_X25519,
	AGE_STANZA_SCRYPT,
	AGE_STANZA_OTHER /* its grammar was checked, its content dropped */
};

struct age_stanza {
	enum age_stanza_type type;
	uint8_t share[AGE_KEY_SIZE]; /* X25519 */
	uint8_t salt[AGE_SALT_SIZE]; /* scrypt */
	unsigned work; /* scrypt; log2(N) */
	uint8_t wrapped[AGE_WRAPPED_SIZE];
};

struct age_header {
	struct age_stanza stanzas[AGE_STANZAS_MAX];
	size_t count;
	size_t size; /* of the whole header in bytes */
	size_t mac_size; /* of its first bytes, which the MAC covers */
	uint8_t mac[DIGEST_SIZE];
};

/*
 * Reads the header at the start of ${text}, the first ${size} bytes of a file, at
 * most AGE_HEADER_MAX.  RH_E_BACKUP_NEWER, RH_E_BACKUP_CORRUPT.
 */
int age_header_parse(struct age_header *header, const char *text, size_t size, rh_error *error);

/* Appends the header without its MAC, up to "---". */
int age_header_format(struct buffer *buffer, const struct age_header *header, rh_error *error);

/* The MAC over ${size} bytes of header under ${file_key}. */
int age_header_mac(uint8_t mac[DIGEST_SIZE], const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const void *text, size_t size, rh_error *error);

/* Fills ${stanza}: seals ${file_key} for a recipient.  RH_E_RECIPIENT if it is a bad point. */
int age_wrap_x25519(struct age_stanza *stanza, const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const struct age_recipient *recipient, rh_error *error);
int age_wrap_scrypt(struct age_stanza *stanza, const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const char *passphrase, unsigned work, rh_error *error);

/*
 * Opens the first stanza that any of ${keys} fits.  RH_E_SECRET_NEEDED,
 * RH_E_SECRET_WRONG; RH_E_BACKUP_CORRUPT for an X25519 share of low order.
 */
int age_unwrap(uint8_t file_key[AGE_FILE_KEY_SIZE], const struct age_header *header,
    const struct age_keys *keys, rh_error *error);

#endif
