#include <stdlib.h>
#include <string.h>

#include "license/wrapped.h"

/* An encrypted licence begins with a block of this size ([MS-DRM] 2.2.3.2.4). */
#define ENCRYPTED_BLOCK 80

static int fail(const struct xml_source *source, rh_error *error, int code, const char *what)
{
	return reader_fail(source->document, error, code, "%s%s", source->place, what);
}

/* A v7 licence on its way to its client, which alone can open it. */
static int encrypted_parse(
    const struct xml_source *source, const char *version, struct found *ret, rh_error *error)
{
	if (version[0] != '\0' && strcmp(version, "2.0.0.0") != 0)
		return reader_fail(source->document, error, RH_E_LICENSE_FORMAT,
		    "%sversion %s of a licence is not known", source->place, version);
	if (source->size <= ENCRYPTED_BLOCK)
		return fail(source, error, RH_E_LICENSE_INVALID,
		    "neither XML nor XMR, and too short for an encrypted licence");
	memset(ret, 0, sizeof *ret);
	reader_record(&ret->license, &wmdrm_reader);
	ret->license.backup = LICENSE_UNKNOWN;
	ret->license.reason = "the licence is still encrypted to the client that asked for "
			      "it: add it as that client keeps it";
	return RH_OK;
}

int wrapped_parse(
    const struct xml_source *source, const char *version, struct found *ret, rh_error *error)
{
	if (source->size >= XMR_MAGIC_SIZE &&
	    memcmp(source->data, XMR_MAGIC, XMR_MAGIC_SIZE) == 0)
		return xmr_parse(source, ret, error);
	if (strcmp(version, "3.0.0.0") == 0)
		return fail(source, error, RH_E_LICENSE_INVALID,
		    "the version of an XMR licence, and no XMR in it");
	if (strcmp(version, "0.1.0.0") == 0 ||
	    (version[0] == '\0' && drmv1_begins(source->data, source->size)))
		return drmv1_parse(source, ret, error);
	return encrypted_parse(source, version, ret, error);
}

int wrapped_give(const struct license_document *document,
    int (*parse)(const struct xml_source *, struct found *, rh_error *), const uint8_t *data,
    size_t size, license_sink sink, void *context, rh_error *error)
{
	const struct xml_source source = {document, "", data, size};
	struct found_list list = {.document = document};
	struct found found;
	int code = parse(&source, &found, error);

	if (code == RH_OK)
		code = found_add(&list, &found, "", error);
	if (code == RH_OK)
		code = found_give(&list, sink, context, error);
	found_free(&list);
	return code;
}
