#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "license/wrapped.h"

/* DRM version 1, CERTIFIED_LICENSE ([MS-DRM] 2.2.2.3): a licence and two certificates. */

/* A block is its version, the length of its data, a signature, and the data. */
enum { VERSION = 4, LENGTH = 4, SIGNATURE = 40, HEAD = VERSION + LENGTH + SIGNATURE };
enum { BEGINNING = VERSION + LENGTH }; /* what tells the format */

/* LICENSEDATA, from its beginning. */
enum { KID = 0, KID_SIZE = 25, RIGHTS = 105, EXPIRY = 113, DATA_SIZE = 117 };

/* CERTDATA: public key, expiry date, serial number, issuer, subject. */
enum { ISSUER = 40 + 4 + 4, CERT_DATA_SIZE = ISSUER + 4 + 4 };

enum { LICENSE_BLOCK = HEAD + DATA_SIZE, CERT_BLOCK = HEAD + CERT_DATA_SIZE };

#define BEHIND_MAX 4096 /* bytes that may follow the licence */

/* The first byte of the rights. */
enum { PLAY = 0x01, COPY = 0x02, NO_RESTORE = 0x04 };

/* Rights by analogy with WMT_RIGHTS: to CD, to an SDMI device.  Others may be limits. */
enum { MORE = 0x08 | 0x10, KNOWN = PLAY | COPY | NO_RESTORE | MORE };

static uint32_t get_u32le(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static int fail(const struct xml_source *source, rh_error *error, int code, const char *what)
{
	return reader_fail(
	    source->document, error, code, "%sversion 1 licence: %s", source->place, what);
}

/* Both forms that the specification gives. */
static bool is_version(const uint8_t *data)
{
	return memcmp(data, "\0\1\0\0", VERSION) == 0 || memcmp(data, "\0\1\0\1", VERSION) == 0;
}

bool drmv1_begins(const uint8_t *data, size_t size)
{
	return size >= BEGINNING && is_version(data) && get_u32le(data + VERSION) == DATA_SIZE;
}

static int check_block(const struct xml_source *source, rh_error *error)
{
	if (source->size < LICENSE_BLOCK)
		return fail(source, error, RH_E_LICENSE_INVALID, "it is cut off");
	if (!is_version(source->data))
		return fail(source, error, RH_E_LICENSE_INVALID, "its version is not known");
	if (get_u32le(source->data + VERSION) != DATA_SIZE)
		return fail(source, error, RH_E_LICENSE_INVALID,
		    "the length in it is not that of a licence");
	if (source->size - LICENSE_BLOCK > BEHIND_MAX)
		return fail(
		    source, error, RH_E_LICENSE_INVALID, "too much follows the licence");
	return RH_OK;
}

static int read_key_id(
    const struct xml_source *source, const uint8_t *data, char *key_id, rh_error *error)
{
	const uint8_t *end = memchr(data + KID, 0, KID_SIZE);
	const char *text = (const char *)data + KID;

	if (end == NULL || !reader_identifier(key_id, sizeof((struct license *)0)->key_id, text,
			       (size_t)(end - (data + KID))))
		return fail(
		    source, error, RH_E_LICENSE_KEY_ID, "it has a malformed key identifier");
	return RH_OK;
}

/* Century, year, month, day; all ones is never.  The licence ends where that day begins. */
static void read_expiry(const uint8_t *date, struct found *found)
{
	if (get_u32le(date) == UINT32_MAX)
		return;
	if (date[1] > 99 || !time_from_utc(date[0] * 100 + date[1], date[2], date[3], 0, 0, 0,
				&found->license.not_after))
		found->rights.vague = true;
}

static void read_rights(const uint8_t *rights, struct found *found)
{
	bool limited = (get_u32le(rights) & ~(uint32_t)KNOWN) != 0;

	if ((rights[0] & PLAY) != 0 && !limited)
		reader_grant(&found->rights, "play", LICENSE_UNLIMITED, 0);
	if ((rights[0] & COPY) != 0 && !limited)
		reader_grant(&found->rights, "copy", LICENSE_UNLIMITED, 0);
	if (limited || (rights[0] & MORE) != 0)
		found->rights.vague = true;
	found->has_rights = true;
	if ((rights[0] & NO_RESTORE) == 0) {
		found->license.backup = LICENSE_YES;
	} else {
		found->license.backup = LICENSE_NO;
		found->license.reason = "the licence does not grant the right to restore";
	}
}

/* The number in the second certificate, if both are as long as they should be. */
static void read_issuer(const struct xml_source *source, struct license *license)
{
	const uint8_t *first = source->data + LICENSE_BLOCK, *second = first + CERT_BLOCK;

	if (source->size != LICENSE_BLOCK + 2 * CERT_BLOCK ||
	    get_u32le(first + VERSION) != CERT_DATA_SIZE ||
	    get_u32le(second + VERSION) != CERT_DATA_SIZE)
		return;
	snprintf(license->issuer, sizeof license->issuer, "%lu",
	    (unsigned long)get_u32le(second + HEAD + ISSUER));
}

int drmv1_parse(const struct xml_source *source, struct found *ret, rh_error *error)
{
	const uint8_t *data = source->data + HEAD;
	int code = check_block(source, error);

	if (code != RH_OK)
		return code;
	memset(ret, 0, sizeof *ret);
	reader_record(&ret->license, &drmv1_reader);
	code = read_key_id(source, data, ret->license.key_id, error);
	if (code != RH_OK)
		return code;
	read_expiry(data + EXPIRY, ret);
	read_rights(data + RIGHTS, ret);
	read_issuer(source, &ret->license);
	return RH_OK;
}

/* ---- a document of its own ---- */

/* The beginning of the document as base64, for as many bytes as tell the format. */
static bool begins_in_base64(const struct license_document *document)
{
	char digits[(BEGINNING + 2) / 3 * 4];
	uint8_t bytes[sizeof digits / 4 * 3];
	size_t count = 0, i = reader_text_start(document);

	for (; i < document->size && count < sizeof digits; i++)
		if (memchr(" \t\r\n", document->data[i], 4) == NULL)
			digits[count++] = (char)document->data[i];
	return count == sizeof digits &&
	       base64_decode(bytes, sizeof bytes, digits, count, BASE64_LENIENT) ==
		   (ptrdiff_t)sizeof bytes &&
	       drmv1_begins(bytes, sizeof bytes);
}

static bool drmv1_detect(const struct license_document *document)
{
	return drmv1_begins(document->data, document->size) || begins_in_base64(document);
}

static int read_base64(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	size_t start = reader_text_start(document), length = document->size - start;
	size_t capacity = length / 4 * 3 + 3;
	uint8_t *data = malloc(capacity);
	ptrdiff_t size;
	int code;

	if (data == NULL)
		return error_memory(error);
	size = base64_decode(
	    data, capacity, (const char *)document->data + start, length, BASE64_LENIENT);
	if (size < 0)
		code = reader_fail(document, error, RH_E_LICENSE_INVALID,
		    "version 1 licence: it is not base64 to its end");
	else
		code = wrapped_give(
		    document, drmv1_parse, data, (size_t)size, sink, context, error);
	bytes_wipe(data, capacity);
	free(data);
	return code;
}

static int drmv1_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	if (xml_detect(document->data, document->size))
		return wmdrm_reader.read(document, sink, context, error);
	if (document->data[0] != '\0')
		return read_base64(document, sink, context, error);
	return wrapped_give(
	    document, drmv1_parse, document->data, document->size, sink, context, error);
}

const struct license_reader drmv1_reader = {
    .name = "drmv1",
    .title = "Windows Media DRM version 1 licence (CERTIFIED_LICENSE)",
    .detect = drmv1_detect,
    .read = drmv1_read,
};
