#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "license/wrapped.h"
#include "license/rules.h"
#include "license/actions.h"
#include "license/meta.h"

#define TEXT_MAX 16384 /* bytes of text kept of one element */
#define VERSION_MAX 16

/* The elements that mean something here ([MS-DRM] 2.2.3.2.4), by the element they stand in. */
enum element {
	OTHER,
	RESPONSE,
	LICENSE,
	LICENSORINFO,
	DATA,
	LID,
	KID,
	ISSUEDATE,
	META,
	META_ITEM,
	ONSTORE,
	ONACTION,
	CONDITION,
	ACTION
};

static const struct place {
	enum element parent;
	const char *name;
	enum element element;
} places[] = {
    {RESPONSE, "LICENSE", LICENSE},
    {LICENSE, "LICENSORINFO", LICENSORINFO},
    {LICENSE, "DATA", DATA},
    {LICENSORINFO, "DATA", DATA},
    {DATA, "META", META},
    {DATA, "ONACTION", ONACTION},
    {DATA, "LID", LID},
    {DATA, "KID", KID},
    {DATA, "ISSUEDATE", ISSUEDATE},
    {DATA, "ONSTORE", ONSTORE},
    {ONACTION, "CONDITION", CONDITION},
    {ONACTION, "ACTION", ACTION},
    {ONSTORE, "CONDITION", CONDITION},
    {ONSTORE, "ACTION", ACTION},
};

struct parser {
	const struct license_document *document;
	const char *place; /* for messages, as xml_source's */
	bool inner; /* the document was base64 in an envelope */
	struct found_list *list;

	enum element stack[XML_DEPTH_MAX];
	size_t depth;

	/* The text of the innermost element that wants it. */
	struct buffer text;
	bool capture;
	bool cut; /* it was longer than its limit */

	/* The licence being read. */
	struct found found;
	size_t ordinal; /* from 1 */
	char version[VERSION_MAX];
	bool has_data;
	bool has_lid;
	bool has_kid;
	bool has_elements;
	struct meta meta;
	struct actions actions;
};

static int fail(const struct parser *parser, rh_error *error, int code, const char *what)
{
	return reader_fail(parser->document, error, code, "%sLICENSE %zu %s", parser->place,
	    parser->ordinal, what);
}

/* ---- elements ---- */

static int set_lid(struct parser *parser, rh_error *error)
{
	struct license *license = &parser->found.license;

	if (parser->has_lid)
		return fail(parser, error, RH_E_LICENSE_INVALID, "has two LID");
	parser->has_lid = true;
	if (parser->cut || !reader_identifier(license->id, sizeof license->id,
			       (const char *)parser->text.data, parser->text.size))
		return fail(parser, error, RH_E_LICENSE_INVALID, "has a malformed LID");
	return RH_OK;
}

static int set_kid(struct parser *parser, rh_error *error)
{
	struct license *license = &parser->found.license;

	if (parser->has_kid)
		return fail(parser, error, RH_E_LICENSE_KEY_ID, "has two KID");
	parser->has_kid = true;
	if (parser->cut || !reader_identifier(license->key_id, sizeof license->key_id,
			       (const char *)parser->text.data, parser->text.size))
		return fail(parser, error, RH_E_LICENSE_KEY_ID, "has a malformed KID");
	return RH_OK;
}

static int start_license(
    struct parser *parser, const struct xml_attributes *attributes, rh_error *error)
{
	const char *name, *value;
	size_t size;

	memset(&parser->found, 0, sizeof parser->found);
	reader_record(&parser->found.license, &wmdrm_reader);
	parser->ordinal++;
	parser->version[0] = '\0';
	parser->has_data = parser->has_lid = parser->has_kid = parser->has_elements = false;
	meta_reset(&parser->meta);
	for (size_t i = 0; xml_attribute(attributes, i, &name, &value, &size); i++) {
		if (!reader_same_name(name, "version"))
			continue;
		reader_trim(&value, &size);
		text_copy(parser->version, sizeof parser->version, value, size);
	}
	return actions_reset(&parser->actions, error);
}

static enum element element_of(enum element parent, const char *name)
{
	if (parent == META)
		return META_ITEM;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (places[i].parent == parent && places[i].name[0] == name[0] &&
		    strcmp(places[i].name, name) == 0)
			return places[i].element;
	return OTHER;
}

static int start_root(
    struct parser *parser, const char *name, enum element *ret, rh_error *error)
{
	char shown[41];

	if (strcmp(name, "LICENSE") == 0) {
		*ret = LICENSE;
		return RH_OK;
	}
	if (strcmp(name, "LICENSERESPONSE") == 0 && !parser->inner) {
		*ret = RESPONSE;
		return RH_OK;
	}
	text_copy(shown, sizeof shown, name, strlen(name));
	return reader_fail(parser->document, error, RH_E_LICENSE_FORMAT,
	    "%sXML, but no licence: its root element is %s", parser->place, shown);
}

/* Whether an element's text counts. */
static bool wants_text(const struct parser *parser, enum element element)
{
	switch (element) {
	case LICENSE:
		return !parser->inner;
	case LID:
	case KID:
	case ISSUEDATE:
	case META:
	case META_ITEM:
	case CONDITION:
	case ACTION:
		return true;
	default:
		return false;
	}
}

/* Elements within identifiers and rules would change what their text means. */
static int check_parent(const struct parser *parser, enum element parent, rh_error *error)
{
	if (parent == LID || parent == KID || parent == CONDITION || parent == ACTION)
		return fail(parser, error,
		    parent == KID ? RH_E_LICENSE_KEY_ID : RH_E_LICENSE_INVALID,
		    "has an element where only text belongs");
	return RH_OK;
}

static int enter(struct parser *parser, enum element element, const char *name,
    const struct xml_attributes *attributes, rh_error *error)
{
	switch (element) {
	case LICENSE:
		if (parser->ordinal == LICENSE_PER_DOCUMENT_MAX)
			return reader_fail(parser->document, error, RH_E_LICENSE_INVALID,
			    "%smore than %d LICENSE elements", parser->place,
			    LICENSE_PER_DOCUMENT_MAX);
		return start_license(parser, attributes, error);
	case DATA:
		if (parser->has_data)
			return fail(parser, error, RH_E_LICENSE_INVALID, "has two DATA");
		parser->has_data = true;
		break;
	case META:
	case META_ITEM:
		meta_start(&parser->meta, name, attributes);
		break;
	case ONACTION:
		actions_start_action(&parser->actions, attributes);
		break;
	case ONSTORE:
		actions_start_store(&parser->actions);
		break;
	default:
		break;
	}
	return RH_OK;
}

static int on_start(
    void *context, const char *name, const struct xml_attributes *attributes, rh_error *error)
{
	struct parser *parser = context;
	enum element parent = parser->depth > 0 ? parser->stack[parser->depth - 1] : OTHER;
	enum element element = OTHER;
	int code = RH_OK;

	if (parser->depth == 0) {
		code = start_root(parser, name, &element, error);
	} else {
		code = check_parent(parser, parent, error);
		element = element_of(parent, name);
	}
	if (code == RH_OK)
		code = enter(parser, element, name, attributes, error);
	if (code != RH_OK)
		return code;
	if (parent == LICENSE)
		parser->has_elements = true;
	parser->stack[parser->depth++] = element;
	parser->capture = wants_text(parser, element);
	if (parser->capture) {
		parser->text.size = 0;
		parser->cut = false;
	}
	return RH_OK;
}

static int on_text(void *context, const char *text, size_t size, rh_error *error)
{
	struct parser *parser = context;
	size_t room;

	if (!parser->capture)
		return RH_OK;
	/* The base64 of a LICENSE is as long as the document; the white space before it is not
	 * kept. */
	if (parser->stack[parser->depth - 1] == LICENSE) {
		if (parser->text.size == 0)
			while (size > 0 && strchr(" \t\r\n", *text) != NULL) {
				text++;
				size--;
			}
		room = LICENSE_MAX;
	} else {
		room = TEXT_MAX - parser->text.size;
	}
	if (size > room) {
		parser->cut = true;
		size = room;
	}
	return buffer_append(&parser->text, text, size, error);
}

/* ---- the end of a licence ---- */

static int end_plain(struct parser *parser, rh_error *error)
{
	meta_finish(&parser->meta, &parser->found.license);
	actions_finish(&parser->actions, &parser->found.license, &parser->found.rights);
	parser->found.has_rights = true;
	return found_add(parser->list, &parser->found, parser->place, error);
}

static int read_xml(struct parser *parser, const uint8_t *data, size_t size, rh_error *error);

/* A plain licence that was base64 in its envelope. */
static int read_inner(
    const struct parser *outer, const struct xml_source *source, rh_error *error)
{
	struct parser *inner = calloc(1, sizeof *inner);
	int code;

	if (inner == NULL)
		return error_memory(error);
	inner->document = outer->document;
	inner->place = source->place;
	inner->inner = true;
	inner->list = outer->list;
	code = read_xml(inner, source->data, source->size, error);
	free(inner);
	return code;
}

/* What base64 in a LICENSE may hold, told apart by its first bytes, then by the version. */
static int read_wrapped(
    struct parser *parser, const uint8_t *data, size_t size, rh_error *error)
{
	char place[48];
	const struct xml_source source = {parser->document, place, data, size};
	int code;

	snprintf(place, sizeof place, "LICENSE %zu: ", parser->ordinal);
	if (xml_detect(data, size))
		return read_inner(parser, &source, error);
	code = wrapped_parse(&source, parser->version, &parser->found, error);
	if (code == RH_OK)
		code = found_add(parser->list, &parser->found, place, error);
	return code;
}

static int end_base64(struct parser *parser, rh_error *error)
{
	size_t capacity = parser->text.size / 4 * 3 + 3;
	uint8_t *data;
	ptrdiff_t size;
	int code;

	if (parser->text.size == 0)
		return fail(parser, error, RH_E_LICENSE_INVALID, "is empty");
	data = malloc(capacity);
	if (data == NULL)
		return error_memory(error);
	size = base64_decode(
	    data, capacity, (const char *)parser->text.data, parser->text.size, BASE64_LENIENT);
	if (size <= 0)
		code = fail(parser, error, RH_E_LICENSE_INVALID,
		    "holds neither a DATA element nor base64");
	else
		code = read_wrapped(parser, data, (size_t)size, error);
	bytes_wipe(data, capacity);
	free(data);
	return code;
}

static int end_license(struct parser *parser, rh_error *error)
{
	if (parser->has_data)
		return end_plain(parser, error);
	if (parser->has_elements || parser->inner)
		return fail(parser, error, RH_E_LICENSE_INVALID, "has no DATA element");
	return end_base64(parser, error);
}

static int leave(struct parser *parser, enum element element, rh_error *error)
{
	const char *text = (const char *)parser->text.data;
	size_t size = parser->text.size;

	switch (element) {
	case LICENSE:
		return end_license(parser, error);
	case LID:
		return set_lid(parser, error);
	case KID:
		return set_kid(parser, error);
	case ISSUEDATE:
		rules_date(text, size, &parser->found.license.issued);
		return RH_OK;
	case META:
	case META_ITEM:
		meta_end(&parser->meta, text, size);
		return RH_OK;
	case CONDITION:
		return actions_text(
		    &parser->actions, ACTIONS_CONDITION, text, size, parser->cut, error);
	case ACTION:
		return actions_text(
		    &parser->actions, ACTIONS_ACTION, text, size, parser->cut, error);
	default:
		return RH_OK;
	}
}

static int on_end(void *context, rh_error *error)
{
	struct parser *parser = context;
	enum element element = parser->stack[parser->depth - 1];
	int code = RH_OK;

	/* Text counts only up to the first element in it; a LICENSE's end always counts. */
	if (parser->capture || element == LICENSE)
		code = leave(parser, element, error);
	parser->capture = false;
	parser->depth--;
	return code;
}

static int read_xml(struct parser *parser, const uint8_t *data, size_t size, rh_error *error)
{
	const struct xml_source source = {parser->document, parser->place, data, size};
	const struct xml_handler handler = {on_start, on_text, on_end, parser};
	int code;

	code = buffer_reserve(&parser->text, 1024, error);
	if (code == RH_OK)
		code = xml_read(&source, &handler, error);
	buffer_free(&parser->text);
	actions_free(&parser->actions);
	return code;
}

static int wmdrm_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	struct found_list list = {.document = document};
	struct parser *parser = calloc(1, sizeof *parser);
	int code;

	if (parser == NULL)
		return error_memory(error);
	parser->document = document;
	parser->place = "";
	parser->list = &list;
	code = read_xml(parser, document->data, document->size, error);
	if (code == RH_OK && list.count == 0)
		code = reader_fail(
		    document, error, RH_E_LICENSE_INVALID, "the envelope holds no LICENSE");
	if (code == RH_OK)
		code = found_give(&list, sink, context, error);
	found_free(&list);
	free(parser);
	return code;
}

static bool wmdrm_detect(const struct license_document *document)
{
	return xml_detect(document->data, document->size);
}

const struct license_reader wmdrm_reader = {
    .name = "wmdrm",
    .title = "Windows Media DRM 7 licence (XML)",
    .detect = wmdrm_detect,
    .read = wmdrm_read,
};
