#ifndef LICENSE_SIGNED_H
#define LICENSE_SIGNED_H

#include <jansson.h>

#include "license/reader.h"

/* The parts of the reader of signed licences.  Private to it. */

/* One licence being read. */
struct signed_license {
	const struct license_document *document;
	rh_error *error;
	char key_id[JOSE_KEY_ID_SIZE]; /* of the issuer's key: "kid" of the header */
	json_t *claims;
	const char *content_key; /* within the claims; NULL: none */
	size_t content_key_size;
	struct license license;
	struct license_rights rights;
};

/* The JSON object in ${text}; ${part} names it in messages. */
int signed_object(const struct signed_license *token, const char *part, const void *text,
    size_t size, json_t **ret);

/* From ${token->claims} to the record, the rights and the content key. */
int signed_claims_read(struct signed_license *token);

/*
 * Whether ${crit} of ${part}, if it is there, names nothing but ${known} (ends with NULL).
 */
int signed_critical(const struct signed_license *token, const char *part, const json_t *crit,
    const char *const *known);

/* ---- Titles: title.c ---- */

/* Whether ${tag} has the shape of a language tag (BCP 47). */
bool title_tag(const char *tag);

/* One text, as it stands in a record's title. */
void title_from_text(struct license *license, const char *text, size_t size);

/* An object from language tags to texts, as it stands in a record's title. */
void title_from_object(struct license *license, json_t *object);

#endif
