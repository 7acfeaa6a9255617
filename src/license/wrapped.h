#ifndef LICENSE_WRAPPED_H
#define LICENSE_WRAPPED_H

#include "license/found.h"
#include "license/xml.h"

/* Licences that are no XML, bare or in an envelope.  Private to this room. */

#define XMR_MAGIC "XMR" /* and a NUL */
#define XMR_MAGIC_SIZE 4

/*
 * Reads one licence from ${source}, whose place stands in every message.  ${*ret} has an
 * id only if the licence has one.
 */
int xmr_parse(const struct xml_source *source, struct found *ret, rh_error *error);
int drmv1_parse(const struct xml_source *source, struct found *ret, rh_error *error);

/* Whether the bytes begin like a version 1 licence. */
bool drmv1_begins(const uint8_t *data, size_t size);

/* The same for what base64 in a LICENSE held, if it is not XML; ${version} is its attribute. */
int wrapped_parse(
    const struct xml_source *source, const char *version, struct found *ret, rh_error *error);

/* Gives the one licence of a document. */
int wrapped_give(const struct license_document *document,
    int (*parse)(const struct xml_source *, struct found *, rh_error *), const uint8_t *data,
    size_t size, license_sink sink, void *context, rh_error *error);

#endif
