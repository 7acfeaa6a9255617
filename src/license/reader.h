#ifndef LICENSE_READER_H
#define LICENSE_READER_H

#include "license/license.h"

/* What the readers share.  Private to this room. */

extern const struct license_reader wmdrm_reader;
extern const struct license_reader xmr_reader;
extern const struct license_reader drmv1_reader;
extern const struct license_reader clearkey_reader;
extern const struct license_reader lcp_reader;
extern const struct license_reader signed_reader;
extern const struct license_reader opaque_reader;

/* Sets ${error} to a sentence that begins with the document's name; returns ${code}. */
int reader_fail(const struct license_document *document, rh_error *error, int code,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* An empty record: no text, no times, backup not allowed. */
void reader_record(struct license *license, const struct license_reader *reader);

/*
 * Adds an action with its count and its period; if there is no room for it, or it is there
 * already, the rights are vague.
 */
void reader_grant(
    struct license_rights *rights, const char *action, uint64_t count, int64_t period);

/* The document's name without directories; "" if it has none. */
const char *reader_base_name(const struct license_document *document);

/* "sha256-" and half of the document's digest in hex, for formats without an id. */
#define READER_DIGEST_ID_SIZE (7 + 32 + 1)
int reader_digest_id(
    const struct license_document *document, char id[READER_DIGEST_ID_SIZE], rh_error *error);

/* Where the document's text begins, behind a byte order mark. */
size_t reader_text_start(const struct license_document *document);

/*
 * A GUID as lower-case text; ${memory}: the bytes keep its first three groups
 * little-endian.
 */
#define READER_GUID_SIZE (36 + 1)
void reader_guid(char text[READER_GUID_SIZE], const uint8_t bytes[16], bool memory);

/*
 * The canonical form of an identifier of Windows Media DRM in ${target}.  GUID
 * text with or without braces, and base64 of 16 bytes (a GUID in memory order),
 * become lower-case GUID text; other text stays.  false if it is empty, does
 * not fit, holds white space or control characters or bytes that are not UTF-8,
 * or looks like base64 of 16 bytes and is not.
 */
bool reader_identifier(char *target, size_t capacity, const char *text, size_t size);

/* Copies text that must not be cut short; false if it is empty, does not fit, or is not clean.
 */
bool reader_exact_text(char *target, size_t capacity, const char *text, size_t size);

/* Copies a thumbprint: 32 bytes in canonical base64url.  false if it is none. */
bool reader_thumbprint(char target[JOSE_THUMBPRINT_SIZE], const char *text, size_t size);

/* Whether both are the same, small and capital letters of ASCII alike. */
bool reader_same_name(const char *a, const char *b);

/* The text without XML's white space at its ends. */
void reader_trim(const char **text, size_t *size);

#endif
