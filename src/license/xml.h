#ifndef LICENSE_XML_H
#define LICENSE_XML_H

#include "license/license.h"

/*
 * XML as a stream of events, over libxml2's SAX2 interface.  Private to this
 * room.  No network, no files, no document type declarations (so no entities but
 * the five of XML), nesting up to XML_DEPTH_MAX.
 */

#define XML_DEPTH_MAX 64

struct xml_source {
	const struct license_document *document; /* for messages */
	const char *place; /* where in it, as "LICENSE 2: ", or "" */
	const uint8_t *data;
	size_t size;
};

/* The attributes of an element; valid during the call. */
struct xml_attributes;

/* The attribute at ${index}; false behind the last.  Values are not NUL-terminated. */
bool xml_attribute(const struct xml_attributes *attributes, size_t index, const char **ret_name,
    const char **ret_value, size_t *ret_size);

/*
 * Names are without prefix.  Text comes in pieces, with references resolved.  A code other than
 * RH_OK stops and is the result.
 */
struct xml_handler {
	int (*start)(void *context, const char *name, const struct xml_attributes *attributes,
	    rh_error *error);
	int (*text)(void *context, const char *text, size_t size, rh_error *error);
	int (*end)(void *context, rh_error *error);
	void *context;
};

/* Whether the bytes start as an XML document, in UTF-8 or UTF-16. */
bool xml_detect(const uint8_t *data, size_t size);

/*
 * Reads the whole document.  UTF-8, UTF-16, ISO-8859-1 and windows-1252.
 * RH_E_LICENSE_XML with line and column if it is not well-formed.
 * Safe on several threads at once; writes nothing to standard error.
 */
int xml_read(
    const struct xml_source *source, const struct xml_handler *handler, rh_error *error);

#endif
