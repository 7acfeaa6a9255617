#ifndef TESTS_LICENSE_RECORDS_H
#define TESTS_LICENSE_RECORDS_H

#include <stddef.h>

#include "license/license.h"

/* What a reader said of one document. */
struct records {
	struct license items[LICENSE_PER_DOCUMENT_MAX];
	struct license_rights rights[LICENSE_PER_DOCUMENT_MAX];
	bool has_rights[LICENSE_PER_DOCUMENT_MAX];
	size_t count;
	int code;
	rh_error error;
};

/*
 * Reads a copy in memory of exactly ${size} bytes, so that a sanitizer sees the
 * first byte too far; checks what holds for every record.  ${format}
 * may be NULL.
 */
void records_read(struct records *records, const void *data, size_t size, const char *name,
    const char *format);

/* "id|key id|issuer|title|issued|not before|not after|counts|backup" of one record. */
#define RECORD_TEXT_SIZE 2048
void record_text(char text[RECORD_TEXT_SIZE], const struct license *license);

/*
 * "play:3+60,copy priority=1 root=... vague" of the rights at ${index}: count and period where
 * they are limited, the rest where it is there; "none" if the reader could not tell.
 */
void record_rights(char text[RECORD_TEXT_SIZE], const struct records *records, size_t index);

/* ${text} in UTF-16, with a byte order mark or without; returns the size in bytes. */
size_t records_utf16(uint8_t *target, const char *text, bool little, bool mark);

#endif
