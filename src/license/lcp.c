#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "crypto/jsontext.h"
#include "license/reader.h"

/*
 * Readium LCP 1.0.3, chapter 3 (ISO/IEC 23078-2).  What the document must have
 * is checked; the signature is not: that is the reading application's task.
 */

/* One licence being read; messages name members by their whole path. */
struct lcp {
	const struct license_document *document;
	struct license license;
	struct license_rights granted;
	rh_error *error;
};

static int fail(const struct lcp *lcp, const char *object, const char *name, const char *what)
{
	return reader_fail(lcp->document, lcp->error, RH_E_LICENSE_INVALID,
	    "LCP licence: member %s%s%s %s", object, object[0] != '\0' ? "." : "", name, what);
}

/* ---- members of a type ---- */

static int need_object(const struct lcp *lcp, const json_t *parent, const char *object,
    const char *name, json_t **ret)
{
	json_t *value = json_object_get(parent, name);

	if (value == NULL)
		return fail(lcp, object, name, "is missing");
	if (!json_is_object(value))
		return fail(lcp, object, name, "is no object");
	*ret = value;
	return RH_OK;
}

static int need_text(
    const struct lcp *lcp, const json_t *parent, const char *object, const char *name)
{
	const json_t *value = json_object_get(parent, name);

	if (value == NULL)
		return fail(lcp, object, name, "is missing");
	if (!json_is_string(value))
		return fail(lcp, object, name, "is no text");
	if (json_string_length(value) == 0)
		return fail(lcp, object, name, "is empty");
	return RH_OK;
}

static int need_texts(
    const struct lcp *lcp, const json_t *parent, const char *object, const char *const *names)
{
	int code = RH_OK;

	for (size_t i = 0; code == RH_OK && names[i] != NULL; i++)
		code = need_text(lcp, parent, object, names[i]);
	return code;
}

/* A date-time, or nothing where ${required} is false. */
static int read_time(const struct lcp *lcp, const json_t *parent, const char *object,
    const char *name, bool required, int64_t *ret)
{
	const json_t *value = json_object_get(parent, name);

	if (value == NULL && !required)
		return RH_OK;
	if (value == NULL)
		return fail(lcp, object, name, "is missing");
	if (!json_is_string(value) ||
	    !time_parse(json_string_value(value), json_string_length(value), ret))
		return fail(lcp, object, name, "is no date and time");
	return RH_OK;
}

static int read_count(struct lcp *lcp, const json_t *rights, const char *name)
{
	const json_t *value = json_object_get(rights, name);
	struct license_count *count;

	if (value == NULL) {
		reader_grant(&lcp->granted, name, LICENSE_UNLIMITED, 0);
		return RH_OK;
	}
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return fail(lcp, "rights", name, "is no count");
	count = &lcp->license.counts[lcp->license.count_count++];
	snprintf(count->action, sizeof count->action, "%s", name);
	count->remaining = (uint64_t)json_integer_value(value);
	reader_grant(&lcp->granted, name, count->remaining, 0);
	return RH_OK;
}

/* ---- parts of the document ---- */

static int read_identity(struct lcp *lcp, const json_t *root)
{
	static const char *const names[] = {"id", "provider", NULL};
	struct license *license = &lcp->license;
	const json_t *id, *provider;
	int64_t updated;
	int code = need_texts(lcp, root, "", names);

	if (code != RH_OK)
		return code;
	id = json_object_get(root, "id");
	provider = json_object_get(root, "provider");
	if (!reader_exact_text(
		license->id, sizeof license->id, json_string_value(id), json_string_length(id)))
		return fail(lcp, "", "id", "is too long or holds control characters");
	text_copy(license->issuer, sizeof license->issuer, json_string_value(provider),
	    json_string_length(provider));
	code = read_time(lcp, root, "", "issued", true, &license->issued);
	if (code != RH_OK)
		return code;
	return read_time(lcp, root, "", "updated", false, &updated);
}

static int check_encryption(const struct lcp *lcp, const json_t *root)
{
	static const char *const profile[] = {"profile", NULL};
	static const char *const content_key[] = {"encrypted_value", "algorithm", NULL};
	static const char *const user_key[] = {"text_hint", "algorithm", "key_check", NULL};
	json_t *encryption, *part;
	int code = need_object(lcp, root, "", "encryption", &encryption);

	if (code == RH_OK)
		code = need_texts(lcp, encryption, "encryption", profile);
	if (code == RH_OK)
		code = need_object(lcp, encryption, "encryption", "content_key", &part);
	if (code == RH_OK)
		code = need_texts(lcp, part, "encryption.content_key", content_key);
	if (code == RH_OK)
		code = need_object(lcp, encryption, "encryption", "user_key", &part);
	if (code == RH_OK)
		code = need_texts(lcp, part, "encryption.user_key", user_key);
	return code;
}

static int check_signature(const struct lcp *lcp, const json_t *root)
{
	static const char *const names[] = {"algorithm", "certificate", "value", NULL};
	json_t *signature;
	int code = need_object(lcp, root, "", "signature", &signature);

	return code == RH_OK ? need_texts(lcp, signature, "signature", names) : code;
}

/* Rights that a vendor has added may limit the others. */
static bool has_other_rights(const json_t *rights)
{
	static const char *const names[] = {"print", "copy", "start", "end"};
	size_t count = json_object_size(rights);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (json_object_get(rights, names[i]) != NULL)
			count--;
	return count > 0;
}

static int read_rights(struct lcp *lcp, const json_t *root)
{
	json_t *rights = NULL;
	int code = RH_OK;

	reader_grant(&lcp->granted, "read", LICENSE_UNLIMITED, 0);
	if (json_object_get(root, "rights") != NULL)
		code = need_object(lcp, root, "", "rights", &rights);
	if (code == RH_OK)
		code = read_count(lcp, rights, "print");
	if (code == RH_OK)
		code = read_count(lcp, rights, "copy");
	if (code == RH_OK)
		code =
		    read_time(lcp, rights, "rights", "start", false, &lcp->license.not_before);
	if (code == RH_OK)
		code = read_time(lcp, rights, "rights", "end", false, &lcp->license.not_after);
	if (code == RH_OK)
		lcp->granted.vague = has_other_rights(rights);
	return code;
}

/* ---- links ---- */

/* Whether a link has the relation; "rel" is one text or several. */
static bool link_is(const json_t *link, const char *relation)
{
	const json_t *rel = json_object_get(link, "rel");

	if (json_is_string(rel))
		return strcmp(json_string_value(rel), relation) == 0;
	for (size_t i = 0; i < json_array_size(rel); i++) {
		const json_t *one = json_array_get(rel, i);
		if (json_is_string(one) && strcmp(json_string_value(one), relation) == 0)
			return true;
	}
	return false;
}

static int check_link(const struct lcp *lcp, const json_t *link, size_t index)
{
	static const char *const names[] = {"href", NULL};
	const json_t *rel = json_object_get(link, "rel");
	char object[40];

	snprintf(object, sizeof object, "links[%zu]", index);
	if (!json_is_object(link))
		return fail(lcp, "", object, "is no object");
	if (rel == NULL)
		return fail(lcp, object, "rel", "is missing");
	if (!json_is_string(rel) && !json_is_array(rel))
		return fail(lcp, object, "rel", "is neither text nor array");
	return need_texts(lcp, link, object, names);
}

/* The publication's title, and its address or else its hash as the key id. */
static void read_publication(struct lcp *lcp, const json_t *link)
{
	struct license *license = &lcp->license;
	const json_t *title = json_object_get(link, "title");
	const json_t *href = json_object_get(link, "href");
	const json_t *hash = json_object_get(link, "hash");

	if (json_is_string(title))
		text_copy(license->title, sizeof license->title, json_string_value(title),
		    json_string_length(title));
	if (!reader_exact_text(license->key_id, sizeof license->key_id, json_string_value(href),
		json_string_length(href)) &&
	    json_is_string(hash))
		(void)reader_exact_text(license->key_id, sizeof license->key_id,
		    json_string_value(hash), json_string_length(hash));
}

static int read_links(struct lcp *lcp, const json_t *root)
{
	const json_t *links = json_object_get(root, "links"), *publication = NULL;
	bool hint = false;

	if (links == NULL)
		return fail(lcp, "", "links", "is missing");
	if (!json_is_array(links))
		return fail(lcp, "", "links", "is no array");
	for (size_t i = 0; i < json_array_size(links); i++) {
		const json_t *link = json_array_get(links, i);
		int code = check_link(lcp, link, i);

		if (code != RH_OK)
			return code;
		if (link_is(link, "hint"))
			hint = true;
		if (publication == NULL && link_is(link, "publication"))
			publication = link;
	}
	if (!hint)
		return fail(lcp, "", "links", "has no link with rel \"hint\"");
	if (publication == NULL)
		return fail(lcp, "", "links", "has no link with rel \"publication\"");
	read_publication(lcp, publication);
	return RH_OK;
}

/* ---- the reader ---- */

/* Other JSON than LCP is another format, not an invalid licence. */
static int check_format(const struct lcp *lcp, const json_t *root)
{
	static const char *const telling[] = {"encryption", "provider"};

	if (!json_is_object(root))
		return reader_fail(lcp->document, lcp->error, RH_E_LICENSE_FORMAT,
		    "JSON, but no Readium LCP licence: it is no object");
	for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++)
		if (json_object_get(root, telling[i]) == NULL)
			return reader_fail(lcp->document, lcp->error, RH_E_LICENSE_FORMAT,
			    "JSON, but no Readium LCP licence: member %s is missing",
			    telling[i]);
	return RH_OK;
}

static int read_document(struct lcp *lcp, const json_t *root)
{
	int code = check_format(lcp, root);

	if (code == RH_OK)
		code = read_identity(lcp, root);
	if (code == RH_OK)
		code = check_encryption(lcp, root);
	if (code == RH_OK)
		code = read_links(lcp, root);
	if (code == RH_OK)
		code = read_rights(lcp, root);
	if (code == RH_OK)
		code = check_signature(lcp, root);
	return code;
}

static int lcp_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	struct lcp lcp = {.document = document, .error = error};
	rh_error why;
	json_t *root;
	int code;

	code = jsontext_read(document->data, document->size, &root, &why);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK)
		return reader_fail(document, error, code, "%s", why.text);
	reader_record(&lcp.license, &lcp_reader);
	code = read_document(&lcp, root);
	json_decref(root);
	if (code != RH_OK)
		return code;
	/* A plain file that is meant to travel, guarded by its user's passphrase. */
	lcp.license.backup = LICENSE_YES;
	return sink(context, &lcp.license, &lcp.granted, error);
}

static bool lcp_detect(const struct license_document *document)
{
	const uint8_t *data = document->data;
	size_t i = reader_text_start(document);

	while (i < document->size && memchr(" \t\r\n", data[i], 4) != NULL)
		i++;
	return i < document->size && data[i] == '{';
}

const struct license_reader lcp_reader = {
    .name = "lcp",
    .title = "Readium LCP licence document (JSON)",
    .detect = lcp_detect,
    .read = lcp_read,
};
