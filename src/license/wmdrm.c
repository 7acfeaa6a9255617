#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "license/reader.h"
#include "license/rules.h"
#include "license/xml.h"

#define TEXT_MAX 16384 /* bytes of text kept of one element */
#define RULES_MAX 32 /* ONACTION elements of one licence */
#define ACTION_MAX 32 /* bytes of an action's name, with NUL */
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

/* One ONACTION, or all of ONSTORE.  Texts are offsets into parser.rules_text. */
struct rule {
	char type[ACTION_MAX];
	size_t condition;
	size_t action;
	bool odd; /* not of the plain shape: its meaning is unknown */
};

struct list {
	struct license *items;
	size_t count;
	size_t capacity;
	char digest_id[READER_DIGEST_ID_SIZE]; /* once it was needed */
};

struct parser {
	const struct license_document *document;
	const char *place; /* for messages, as xml_source's */
	bool inner; /* the document was base64 in an envelope */
	struct list *list;

	enum element stack[XML_DEPTH_MAX];
	size_t depth;

	/* The text of the innermost element that wants it. */
	struct buffer text;
	bool capture;
	bool cut; /* it was longer than its limit */

	/* The licence being read. */
	struct license license;
	size_t ordinal; /* from 1 */
	char version[VERSION_MAX];
	bool has_data;
	bool has_lid;
	bool has_kid;
	bool has_elements;
	char issuer[256]; /* META distributor */
	char fallback[512]; /* META name, if there is no title */
	char address[256]; /* host of META url */
	char key[32]; /* of the META that is open */
	struct buffer rules_text; /* offset 0: "" */
	struct rule rules[RULES_MAX];
	struct rule on_store;
	size_t rule_count;
	bool too_many_rules;
};

static int fail(const struct parser *parser, rh_error *error, int code, const char *what)
{
	return reader_fail(parser->document, error, code, "%sLICENSE %zu %s", parser->place,
	    parser->ordinal, what);
}

/* ---- rules ---- */

static int keep_rule_text(struct parser *parser, size_t *offset, rh_error *error)
{
	size_t start = parser->rules_text.size;
	int code;

	code = buffer_append(&parser->rules_text, parser->text.data, parser->text.size, error);
	if (code == RH_OK)
		code = buffer_append(&parser->rules_text, "", 1, error);
	if (code == RH_OK)
		*offset = start;
	return code;
}

static const char *rule_text(const struct parser *parser, size_t offset)
{
	return (const char *)parser->rules_text.data + offset;
}

/* The rule that the open ONACTION or ONSTORE fills. */
static struct rule *open_rule(struct parser *parser)
{
	if (parser->stack[parser->depth - 2] == ONSTORE)
		return &parser->on_store;
	return &parser->rules[parser->rule_count - 1];
}

static int end_rule_text(struct parser *parser, enum element element, rh_error *error)
{
	struct rule *rule;
	size_t *offset;

	if (parser->too_many_rules)
		return RH_OK;
	rule = open_rule(parser);
	offset = element == CONDITION ? &rule->condition : &rule->action;
	if (*offset != 0 || parser->cut) {
		rule->odd = true;
		return RH_OK;
	}
	return keep_rule_text(parser, offset, error);
}

static void start_rule(struct parser *parser, const struct xml_attributes *attributes)
{
	const char *name, *value;
	struct rule *rule;
	size_t size;

	if (parser->rule_count == RULES_MAX) {
		parser->too_many_rules = true;
		return;
	}
	rule = &parser->rules[parser->rule_count++];
	memset(rule, 0, sizeof *rule);
	for (size_t i = 0; xml_attribute(attributes, i, &name, &value, &size); i++) {
		if (!reader_same_name(name, "type"))
			continue;
		reader_trim(&value, &size);
		if (!reader_exact_text(rule->type, sizeof rule->type, value, size))
			strcpy(rule->type, "?"); /* not a name that means anything here */
	}
	rule->odd = rule->type[0] == '\0';
	for (char *p = rule->type; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
}

static enum license_right rule_right(const struct parser *parser, const struct rule *rule)
{
	return rule->odd ? LICENSE_UNKNOWN : rules_right(rule_text(parser, rule->condition));
}

/* All rules for the action must allow it; ${absent} is the answer if there is none. */
static enum license_right right_to(
    const struct parser *parser, const char *action, enum license_right absent)
{
	enum license_right right = absent;
	bool found = false;

	if (parser->too_many_rules)
		return LICENSE_UNKNOWN;
	for (size_t i = 0; i < parser->rule_count; i++) {
		const struct rule *rule = &parser->rules[i];
		enum license_right one;

		/* A rule that does not name its action may be for this one. */
		if (strcmp(rule->type, action) != 0 && rule->type[0] != '\0')
			continue;
		one = rule_right(parser, rule);
		if (one == LICENSE_NO)
			return LICENSE_NO;
		if (!found || one == LICENSE_UNKNOWN)
			right = one;
		found = true;
	}
	return right;
}

static void judge_backup(struct parser *parser)
{
	struct license *license = &parser->license;
	enum license_right restore = right_to(parser, "restore", LICENSE_YES);

	license->backup = right_to(parser, "backup", LICENSE_NO);
	if (license->backup == LICENSE_NO) {
		license->reason = "the licence does not grant the right to back up";
	} else if (license->backup == LICENSE_UNKNOWN) {
		license->reason = "the licence's rule for backup is not understood";
	} else if (restore == LICENSE_NO) {
		/* One setting of the issuer covers both (WMRMRights.AllowBackupRestore). */
		license->backup = LICENSE_NO;
		license->reason = "the licence does not grant the right to restore";
	} else if (restore == LICENSE_UNKNOWN) {
		license->backup = LICENSE_UNKNOWN;
		license->reason = "the licence's rule for restore is not understood";
	}
}

/* Whether another rule is for the same action: which one holds is not known. */
static bool rule_is_one_of_many(const struct parser *parser, size_t index)
{
	for (size_t i = 0; i < parser->rule_count; i++)
		if (i != index && strcmp(parser->rules[i].type, parser->rules[index].type) == 0)
			return true;
	return false;
}

static void read_counts_and_times(struct parser *parser)
{
	const struct rule *store = &parser->on_store;
	struct license *license = &parser->license;
	const char *on_store = "";

	/* What is stored under a condition may not have been stored. */
	if (!store->odd && rule_right(parser, store) == LICENSE_YES)
		on_store = rule_text(parser, store->action);
	for (size_t i = 0; i < parser->rule_count && !parser->too_many_rules; i++) {
		const struct rule *rule = &parser->rules[i];
		const char *condition = rule_text(parser, rule->condition);
		struct license_count *count;
		uint64_t remaining;

		if (rule->odd || rule_is_one_of_many(parser, i))
			continue;
		if (strcmp(rule->type, "play") == 0)
			rules_times(condition, &license->not_before, &license->not_after);
		if (license->count_count == LICENSE_COUNTS_MAX ||
		    !rules_count(
			condition, rule_text(parser, rule->action), on_store, &remaining))
			continue;
		count = &license->counts[license->count_count++];
		memcpy(count->action, rule->type, sizeof count->action);
		count->remaining = remaining;
	}
}

/* ---- META: free-form, defined by the content's provider ---- */

/* The host of "scheme://user@host:port/..."; "" if there is none in plain characters. */
static void host_of(char *host, size_t capacity, const char *text, size_t size)
{
	const char *at = memmem(text, size, "://", 3);
	const char *end = text + size, *user, *colon;
	size_t length;

	host[0] = '\0';
	if (at == NULL)
		return;
	at += 3;
	length = 0;
	while (at + length < end && strchr("/?#", at[length]) == NULL)
		length++;
	user = memrchr(at, '@', length);
	if (user != NULL) {
		length -= (size_t)(user + 1 - at);
		at = user + 1;
	}
	colon = memchr(at, ':', length);
	if (colon != NULL)
		length = (size_t)(colon - at);
	if (length == 0 || length >= capacity)
		return;
	for (size_t i = 0; i < length; i++) {
		char c = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] + 32) : at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
			c == '-')) {
			host[0] = '\0';
			return;
		}
		host[i] = c;
	}
	host[length] = '\0';
}

/* Takes what the record has a place for; the first one wins. */
static void meta(struct parser *parser, const char *key, const char *text, size_t size)
{
	struct license *license = &parser->license;

	reader_trim(&text, &size);
	if (size == 0)
		return;
	if (reader_same_name(key, "title") && license->title[0] == '\0')
		text_copy(license->title, sizeof license->title, text, size);
	else if (reader_same_name(key, "name") && parser->fallback[0] == '\0')
		text_copy(parser->fallback, sizeof parser->fallback, text, size);
	else if (reader_same_name(key, "distributor") && parser->issuer[0] == '\0')
		text_copy(parser->issuer, sizeof parser->issuer, text, size);
	else if (reader_same_name(key, "url") && parser->address[0] == '\0')
		host_of(parser->address, sizeof parser->address, text, size);
}

/*
 * Sets the key of <META name="key"> or <META><key>, and takes
 * <META name="key" value="text"/> at once.
 */
static void start_meta(
    struct parser *parser, const char *name, const struct xml_attributes *attributes)
{
	const char *attribute, *value, *text = NULL;
	size_t size, text_size = 0;

	text_copy(parser->key, sizeof parser->key, name, strlen(name));
	for (size_t i = 0; xml_attribute(attributes, i, &attribute, &value, &size); i++) {
		if (reader_same_name(attribute, "name")) {
			text_copy(parser->key, sizeof parser->key, value, size);
		} else if (reader_same_name(attribute, "value")) {
			text = value;
			text_size = size;
		}
	}
	if (text != NULL)
		meta(parser, parser->key, text, text_size);
}

/* ---- elements ---- */

static int set_lid(struct parser *parser, rh_error *error)
{
	struct license *license = &parser->license;

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
	struct license *license = &parser->license;

	if (parser->has_kid)
		return fail(parser, error, RH_E_LICENSE_KEY_ID, "has two KID");
	parser->has_kid = true;
	if (parser->cut || !reader_identifier(license->key_id, sizeof license->key_id,
			       (const char *)parser->text.data, parser->text.size))
		return fail(parser, error, RH_E_LICENSE_KEY_ID, "has a malformed KID");
	return RH_OK;
}

static void start_license(struct parser *parser, const struct xml_attributes *attributes)
{
	const char *name, *value;
	size_t size;

	reader_record(&parser->license, &wmdrm_reader);
	parser->ordinal++;
	parser->version[0] = '\0';
	parser->has_data = parser->has_lid = parser->has_kid = parser->has_elements = false;
	parser->issuer[0] = parser->fallback[0] = parser->address[0] = '\0';
	parser->rules_text.size = 1;
	parser->rule_count = 0;
	parser->too_many_rules = false;
	memset(&parser->on_store, 0, sizeof parser->on_store);
	for (size_t i = 0; xml_attribute(attributes, i, &name, &value, &size); i++) {
		if (!reader_same_name(name, "version"))
			continue;
		reader_trim(&value, &size);
		text_copy(parser->version, sizeof parser->version, value, size);
	}
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
		start_license(parser, attributes);
		break;
	case DATA:
		if (parser->has_data)
			return fail(parser, error, RH_E_LICENSE_INVALID, "has two DATA");
		parser->has_data = true;
		break;
	case META:
	case META_ITEM:
		start_meta(parser, name, attributes);
		break;
	case ONACTION:
		start_rule(parser, attributes);
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

static int add(struct parser *parser, rh_error *error)
{
	struct list *list = parser->list;

	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].id, parser->license.id) == 0)
			return reader_fail(parser->document, error, RH_E_LICENSE_INVALID,
			    "%stwo LICENSE elements have the same LID", parser->place);
	if (list->count == list->capacity) {
		size_t capacity = list->capacity > 0 ? 2 * list->capacity : 1;
		struct license *items = realloc(list->items, capacity * sizeof *items);

		if (items == NULL)
			return error_memory(error);
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = parser->license;
	return RH_OK;
}

/* An id for a licence without LID; those behind the first add their number. */
static int synthesize_id(struct parser *parser, rh_error *error)
{
	struct license *license = &parser->license;
	struct list *list = parser->list;
	int code;

	if (list->digest_id[0] == '\0') {
		code = reader_digest_id(parser->document, list->digest_id, error);
		if (code != RH_OK)
			return code;
	}
	if (list->count == 0)
		strcpy(license->id, list->digest_id);
	else
		snprintf(license->id, sizeof license->id, "%s-%zu", list->digest_id,
		    list->count + 1);
	return RH_OK;
}

static int end_plain(struct parser *parser, rh_error *error)
{
	struct license *license = &parser->license;
	int code;

	if (!parser->has_lid) {
		code = synthesize_id(parser, error);
		if (code != RH_OK)
			return code;
	}
	if (license->title[0] == '\0')
		memcpy(license->title, parser->fallback, sizeof license->title);
	memcpy(license->issuer, parser->issuer[0] != '\0' ? parser->issuer : parser->address,
	    sizeof license->issuer);
	judge_backup(parser);
	read_counts_and_times(parser);
	return add(parser, error);
}

static int read_xml(struct parser *parser, const uint8_t *data, size_t size, rh_error *error);

/* A plain licence that was base64 in its envelope. */
static int read_inner(struct parser *outer, const uint8_t *data, size_t size, rh_error *error)
{
	struct parser *inner = calloc(1, sizeof *inner);
	char place[48];
	int code;

	if (inner == NULL)
		return error_memory(error);
	snprintf(place, sizeof place, "LICENSE %zu: ", outer->ordinal);
	inner->document = outer->document;
	inner->place = place;
	inner->inner = true;
	inner->list = outer->list;
	code = read_xml(inner, data, size, error);
	free(inner);
	return code;
}

/* What base64 in a LICENSE may hold, told apart by its first bytes, then by the version. */
static int read_wrapped(
    struct parser *parser, const uint8_t *data, size_t size, rh_error *error)
{
	if (xml_detect(data, size))
		return read_inner(parser, data, size, error);
	if (size >= 4 && memcmp(data, "XMR\0", 4) == 0)
		return fail(parser, error, RH_E_LICENSE_FORMAT,
		    "is an XMR licence, a format that is not read yet");
	if (strcmp(parser->version, "0.1.0.0") == 0)
		return fail(parser, error, RH_E_LICENSE_FORMAT,
		    "is a licence of version 1, a format that is not read yet");
	if (strcmp(parser->version, "3.0.0.0") == 0)
		return fail(parser, error, RH_E_LICENSE_INVALID,
		    "has the version of an XMR licence and is none");
	if (parser->version[0] != '\0' && strcmp(parser->version, "2.0.0.0") != 0)
		return reader_fail(parser->document, error, RH_E_LICENSE_FORMAT,
		    "%sLICENSE %zu has version %s, which is not known", parser->place,
		    parser->ordinal, parser->version);
	return fail(parser, error, RH_E_LICENSE_INVALID,
	    "is still encrypted to the client that asked for it; add it as that client keeps "
	    "it");
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
		rules_date(text, size, &parser->license.issued);
		return RH_OK;
	case META:
	case META_ITEM:
		meta(parser, parser->key, text, size);
		return RH_OK;
	case CONDITION:
	case ACTION:
		return end_rule_text(parser, element, error);
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
		code = buffer_append(&parser->rules_text, "", 1, error);
	if (code == RH_OK)
		code = xml_read(&source, &handler, error);
	buffer_free(&parser->text);
	buffer_free(&parser->rules_text);
	return code;
}

static int wmdrm_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	struct list list = {0};
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
	/* Nothing is given away of a document that does not read to its end. */
	for (size_t i = 0; code == RH_OK && i < list.count; i++)
		code = sink(context, &list.items[i], error);
	free(list.items);
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
