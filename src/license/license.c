#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "license/reader.h"
#include "license/license.h"

#define COMPONENT_MAX 60

const struct license_reader *const license_readers[] = {
    &wmdrm_reader,
    &xmr_reader,
    &drmv1_reader,
    &clearkey_reader,
    &lcp_reader,
    &signed_reader,
    &opaque_reader,
    NULL,
};

static const struct license_reader *reader_by_name(const char *name)
{
	for (size_t i = 0; license_readers[i] != NULL; i++)
		if (strcmp(license_readers[i]->name, name) == 0)
			return license_readers[i];
	return NULL;
}

const char *license_format_name(const char *name)
{
	const struct license_reader *reader = reader_by_name(name);

	return reader != NULL ? reader->name : NULL;
}

bool license_format_signed(const char *name)
{
	return strcmp(name, "signed") == 0;
}

bool license_document_signed(const struct license_document *document)
{
	return document->format != NULL ? license_format_signed(document->format)
					: signed_reader.detect(document);
}

bool license_code(int code)
{
	return code >= RH_E_LICENSE_FORMAT && code <= RH_E_RIGHTS_UNKNOWN;
}

static const struct license_reader *reader_by_content(const struct license_document *document)
{
	for (size_t i = 0; license_readers[i] != NULL; i++)
		if (license_readers[i]->detect != NULL && license_readers[i]->detect(document))
			return license_readers[i];
	return NULL;
}

int license_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	const struct license_reader *reader;

	if (document->size > LICENSE_MAX)
		return reader_fail(document, error, RH_E_LICENSE_TOO_BIG,
		    "a licence of %zu bytes; the limit is %d", document->size, LICENSE_MAX);
	if (document->size == 0)
		return reader_fail(
		    document, error, RH_E_LICENSE_INVALID, "the licence is empty");
	if (document->format != NULL) {
		reader = reader_by_name(document->format);
		if (reader == NULL)
			return reader_fail(document, error, RH_E_LICENSE_FORMAT,
			    "no reader of licences is called \"%.32s\"", document->format);
	} else {
		reader = reader_by_content(document);
		if (reader == NULL)
			return reader_fail(document, error, RH_E_LICENSE_FORMAT,
			    "no known licence format (--format opaque keeps any file as it "
			    "is)");
	}
	return reader->read(document, sink, context, error);
}

enum license_class license_class(const struct license *license)
{
	if (license->backup != LICENSE_YES)
		return LICENSE_RESTRICTED;
	return license->service[0] != '\0' ? LICENSE_MANAGED : LICENSE_OWNED;
}

int license_path_component(char text[LICENSE_COMPONENT_SIZE], const char *id, rh_error *error)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._-";
	char escaped[COMPONENT_MAX + 4];
	uint8_t digest[DIGEST_SIZE];
	size_t length = id[0] != '.' ? strspn(id, plain) : 0;
	int code;

	/* Nearly always that is all of it. */
	if (length > 0 && length <= COMPONENT_MAX && id[length] == '\0') {
		memcpy(text, id, length + 1);
		return RH_OK;
	}
	length = 0;
	for (size_t i = 0; id[i] != '\0' && length <= COMPONENT_MAX; i++) {
		if (strchr(plain, id[i]) != NULL && (i > 0 || id[i] != '.'))
			escaped[length++] = id[i];
		else
			length += (size_t)snprintf(
			    escaped + length, 4, "%%%02X", (unsigned)(unsigned char)id[i]);
	}
	if (length > 0 && length <= COMPONENT_MAX) {
		memcpy(text, escaped, length);
		text[length] = '\0';
		return RH_OK;
	}
	code = sha256(digest, id, strlen(id), error);
	if (code != RH_OK)
		return code;
	memcpy(text, "sha256-", 7);
	text_hex(text + 7, digest, 24);
	return RH_OK;
}
