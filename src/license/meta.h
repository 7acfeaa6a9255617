#ifndef LICENSE_META_H
#define LICENSE_META_H

#include "license/xml.h"

/*
 * META of a DRM v7 licence: names and values that the content's provider chose.
 * What the record has a place for is kept, the first of each.  Private to this room.
 */
struct meta {
	char title[512];
	char name[512]; /* stands in for a title */
	char distributor[256];
	char host[256]; /* of the url; stands in for a distributor */
	char key[32]; /* of the element that is open */
};

void meta_reset(struct meta *meta);

/*
 * An element begins: <META name="key"> or, in a META, <key>.  Takes
 * <META name="key" value="text"/> at once.
 */
void meta_start(struct meta *meta, const char *name, const struct xml_attributes *attributes);

/* The element that began ends, with this text. */
void meta_end(struct meta *meta, const char *text, size_t size);

/* Fills title and issuer. */
void meta_finish(const struct meta *meta, struct license *license);

#endif
