#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "license/reader.h"

#define GUID_TEXT (READER_GUID_SIZE - 1)
#define GUID_BASE64 24 /* characters of base64 for 16 bytes, two of them '=' */
#define NAME_SHOWN 400

int reader_fail(
    const struct license_document *document, rh_error *error, int code, const char *format, ...)
{
	const char *name = document->name != NULL ? document->name : "licence";
	size_t length = strlen(name), skip = length > NAME_SHOWN ? length - NAME_SHOWN : 0;
	char shown[NAME_SHOWN + 1], sentence[512];
	va_list arguments;

	/* Of a long path the end tells more; it is cut at the start of a character. */
	while (((unsigned char)name[skip] & 0xc0) == 0x80)
		skip++;
	text_copy(shown, sizeof shown, name + skip, length - skip);
	va_start(arguments, format);
	vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	return error_set(error, code, "%s%s: %s", skip > 0 ? "..." : "", shown, sentence);
}

void reader_record(struct license *license, const struct license_reader *reader)
{
	memset(license, 0, sizeof *license);
	license->issued = LICENSE_TIME_NONE;
	license->not_before = LICENSE_TIME_NONE;
	license->not_after = LICENSE_TIME_NONE;
	license->backup = LICENSE_NO;
	license->reason = "";
	license->format = reader->name;
}

void reader_grant(
    struct license_rights *rights, const char *action, uint64_t count, int64_t period)
{
	struct license_action *item;

	for (size_t i = 0; i < rights->action_count; i++) {
		if (strcmp(rights->actions[i].name, action) == 0) {
			rights->vague = true;
			return;
		}
	}
	if (rights->action_count == LICENSE_ACTIONS_MAX) {
		rights->vague = true;
		return;
	}
	item = &rights->actions[rights->action_count++];
	memset(item, 0, sizeof *item);
	snprintf(item->name, sizeof item->name, "%s", action);
	item->count = count;
	item->period = period;
}

size_t reader_text_start(const struct license_document *document)
{
	return document->size >= 3 && memcmp(document->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

const char *reader_base_name(const struct license_document *document)
{
	const char *slash;

	if (document->name == NULL)
		return "";
	slash = strrchr(document->name, '/');
	return slash != NULL ? slash + 1 : document->name;
}

int reader_digest_id(
    const struct license_document *document, char id[READER_DIGEST_ID_SIZE], rh_error *error)
{
	uint8_t digest[DIGEST_SIZE];
	int code = sha256(digest, document->data, document->size, error);

	if (code != RH_OK)
		return code;
	memcpy(id, "sha256-", 7);
	text_hex(id + 7, digest, 16);
	return RH_OK;
}

bool reader_exact_text(char *target, size_t capacity, const char *text, size_t size)
{
	if (size == 0 || size >= capacity || !utf8_valid(text, size) || !utf8_clean(text, size))
		return false;
	memcpy(target, text, size);
	target[size] = '\0';
	return true;
}

bool reader_thumbprint(char target[JOSE_THUMBPRINT_SIZE], const char *text, size_t size)
{
	uint8_t digest[DIGEST_SIZE];

	if (size != JOSE_THUMBPRINT_SIZE - 1 || base64_decode(digest, sizeof digest, text, size,
						    BASE64_URL | BASE64_NO_PAD) != DIGEST_SIZE)
		return false;
	memcpy(target, text, size);
	target[size] = '\0';
	return true;
}

/* ---- identifiers ---- */

/* Where "8-4-4-4-12" has a '-'. */
static bool is_dash(size_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

/* The 32 hex digits of "8-4-4-4-12", with or without braces, as bytes in text order. */
static bool guid_from_text(uint8_t bytes[16], const char *text, size_t size)
{
	char digits[33];
	size_t count = 0;

	if (size == GUID_TEXT + 2 && text[0] == '{' && text[size - 1] == '}') {
		text++;
		size -= 2;
	}
	if (size != GUID_TEXT)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (is_dash(i) != (text[i] == '-'))
			return false;
		if (!is_dash(i))
			digits[count++] = text[i];
	}
	digits[count] = '\0';
	return text_unhex(digits, bytes, 16);
}

static void guid_to_text(char text[GUID_TEXT + 1], const uint8_t bytes[16])
{
	char digits[33];
	size_t from = 0;

	text_hex(digits, bytes, 16);
	for (size_t i = 0; i < GUID_TEXT; i++)
		text[i] = is_dash(i) ? '-' : digits[from++];
	text[GUID_TEXT] = '\0';
}

/* A GUID in memory keeps its first three groups little-endian ([MS-DTYP] 2.3.4.2). */
static void guid_swap(uint8_t bytes[16])
{
	static const uint8_t order[8] = {3, 2, 1, 0, 5, 4, 7, 6};
	uint8_t swapped[8];

	for (size_t i = 0; i < sizeof swapped; i++)
		swapped[i] = bytes[order[i]];
	memcpy(bytes, swapped, sizeof swapped);
}

void reader_guid(char text[READER_GUID_SIZE], const uint8_t bytes[16], bool memory)
{
	uint8_t ordered[16];

	memcpy(ordered, bytes, sizeof ordered);
	if (memory)
		guid_swap(ordered);
	guid_to_text(text, ordered);
}

/* Copies all but white space; the number of characters, or ${capacity} if they do not fit. */
static size_t without_space(char *target, size_t capacity, const char *text, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size && count < capacity; i++)
		if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
			target[count++] = text[i];
	return count;
}

bool reader_identifier(char *target, size_t capacity, const char *text, size_t size)
{
	char dense[GUID_BASE64 + 1];
	uint8_t bytes[16];
	size_t count;

	reader_trim(&text, &size);
	if (capacity > GUID_TEXT && guid_from_text(bytes, text, size)) {
		guid_to_text(target, bytes);
		return true;
	}
	/* Base64 may be broken into lines. */
	count = without_space(dense, sizeof dense, text, size);
	if (count == GUID_BASE64 && memcmp(dense + 22, "==", 2) == 0) {
		if (capacity <= GUID_TEXT ||
		    base64_decode(bytes, sizeof bytes, dense, count, BASE64_LENIENT) != 16)
			return false;
		reader_guid(target, bytes, true);
		return true;
	}
	for (size_t i = 0; i < size; i++)
		if (text[i] == ' ')
			return false;
	return reader_exact_text(target, capacity, text, size);
}

bool reader_same_name(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++) {
		char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
		char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
		if (x != y)
			return false;
	}
	return *a == *b;
}

void reader_trim(const char **text, size_t *size)
{
	while (*size > 0 && memchr(" \t\r\n", (*text)[0], 4) != NULL) {
		(*text)++;
		(*size)--;
	}
	while (*size > 0 && memchr(" \t\r\n", (*text)[*size - 1], 4) != NULL)
		(*size)--;
}
