#ifndef LICENSE_ENCODING_H
#define LICENSE_ENCODING_H

#include "license/xml.h"

/*
 * Turns an XML document into UTF-8.  ${*ret} is either the source's own
 * bytes, with ${*ret_owned} NULL, or new ones that the caller frees with free(${*ret_owned}).
 * What the bytes are goes before what they say they are.  RH_E_LICENSE_XML.
 */
int encoding_to_utf8(const struct xml_source *source, const uint8_t **ret, size_t *ret_size,
    void **ret_owned, rh_error *error);

#endif
