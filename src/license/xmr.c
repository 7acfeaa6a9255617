#include <string.h>

#include "license/wrapped.h"

/*
 * XMR licences: objects in containers, all integers big-endian.  What is known of them
 * comes from open parsers that agree with each other; see FORMATS.md.
 */

enum { HEADER = 24, HEADER_ID = 8, OBJECT_HEADER = 8, GUID_SIZE = 16 };
enum { MUST_UNDERSTAND = 1, CONTAINER = 2 };
enum { DEPTH_MAX = 16 };
enum { SETTING_NO_PERSIST = 0x1, SETTING_BACKUP = 0x4 };

enum action { PLAY, COPY, BURN, ACTION_COUNT };
static const char *const action_names[ACTION_COUNT] = {"play", "copy", "burn"};

struct xmr {
	const struct xml_source *source;
	struct found *found;
	rh_error *error;
	bool granted[ACTION_COUNT];
	uint64_t counts[ACTION_COUNT]; /* LICENSE_UNLIMITED: none */
	int64_t period; /* from the first use, 0: none */
	int64_t play_period;
	bool has_settings;
	bool settings_allow;
	bool settings_persist;
	bool unknown; /* an object that must be understood and is not */
	bool closed; /* by it, or by a condition that cannot be told */
};

/* One object; ${data} is what follows its header. */
struct object {
	unsigned type;
	unsigned flags;
	const uint8_t *data;
	size_t size;
	size_t at; /* in the licence, for messages */
};

/* ---- objects that are read ---- */

static void on_grant(struct xmr *xmr, const struct object *object)
{
	enum action action = object->type == 0x04 ? PLAY : object->type == 0x0f ? BURN : COPY;

	/* Of content that is no objects the conditions cannot be seen. */
	if ((object->flags & CONTAINER) == 0 && object->size > 0)
		xmr->found->rights.vague = true;
	else
		xmr->granted[action] = true;
}

static void on_count(struct xmr *xmr, const struct object *object)
{
	enum action action = object->type == 0x17 ? PLAY : object->type == 0x1f ? BURN : COPY;
	uint32_t count = get_u32be(object->data);

	if (count < xmr->counts[action])
		xmr->counts[action] = count;
}

static void on_uplink(struct xmr *xmr, const struct object *object)
{
	reader_guid(xmr->found->rights.root, object->data, true);
}

static void on_key(struct xmr *xmr, const struct object *object)
{
	if (xmr->found->license.key_id[0] == '\0')
		reader_guid(xmr->found->license.key_id, object->data, true);
}

static void on_settings(struct xmr *xmr, const struct object *object)
{
	unsigned bits = (unsigned)object->data[0] << 8 | object->data[1];

	xmr->has_settings = true;
	xmr->settings_allow = xmr->settings_allow && (bits & SETTING_BACKUP) != 0;
	xmr->settings_persist = xmr->settings_persist && (bits & SETTING_NO_PERSIST) == 0;
}

static void on_priority(struct xmr *xmr, const struct object *object)
{
	uint32_t priority = get_u32be(object->data);

	xmr->found->rights.priority = priority > INT32_MAX ? INT32_MAX : (int32_t)priority;
}

static void narrow_end(struct license *license, uint32_t end)
{
	if (end != UINT32_MAX &&
	    (license->not_after == LICENSE_TIME_NONE || end < license->not_after))
		license->not_after = end;
}

static void on_expiration(struct xmr *xmr, const struct object *object)
{
	struct license *license = &xmr->found->license;
	uint32_t begin = get_u32be(object->data);

	if (begin != 0 && begin > license->not_before)
		license->not_before = begin;
	narrow_end(license, get_u32be(object->data + 4));
}

static void on_removal(struct xmr *xmr, const struct object *object)
{
	narrow_end(&xmr->found->license, get_u32be(object->data));
}

static void on_issued(struct xmr *xmr, const struct object *object)
{
	xmr->found->license.issued = get_u32be(object->data);
}

/* A period of nothing is said as the shortest there is; 0 would be none at all. */
static void on_period(struct xmr *xmr, const struct object *object)
{
	int64_t *period = object->type == 0x30 ? &xmr->play_period : &xmr->period;
	int64_t seconds = get_u32be(object->data);

	if (seconds == 0)
		seconds = 1;
	if (*period == 0 || seconds < *period)
		*period = seconds;
}

/* A time of grace only gives more. */
static void on_grace(struct xmr *xmr, const struct object *object)
{
	(void)object;
	xmr->found->rights.vague = true;
}

/* Ends some time after it was stored, or belongs to a domain: nobody here can tell. */
static void on_condition(struct xmr *xmr, const struct object *object)
{
	(void)object;
	xmr->closed = true;
}

/*
 * The objects that are known; those without a function say what a player must be, or
 * nothing about rights.
 */
static const struct known {
	unsigned type;
	size_t size; /* bytes of it that are read */
	void (*read)(struct xmr *xmr, const struct object *object);
} known[] = {
    {0x01, 0, NULL},
    {0x02, 0, NULL},
    {0x03, 0, NULL},
    {0x04, 0, on_grant},
    {0x05, 0, NULL},
    {0x06, 16, on_uplink},
    {0x07, 0, NULL},
    {0x08, 0, NULL},
    {0x09, 0, NULL},
    {0x0a, 16, on_key},
    {0x0b, 0, NULL},
    {0x0c, 0, NULL},
    {0x0d, 2, on_settings},
    {0x0e, 0, on_grant},
    {0x0f, 0, on_grant},
    {0x10, 0, NULL},
    {0x11, 4, on_priority},
    {0x12, 8, on_expiration},
    {0x13, 4, on_issued},
    {0x14, 4, on_period},
    {0x15, 0, on_condition},
    {0x16, 0, NULL},
    {0x17, 4, on_count},
    {0x1a, 0, on_grace},
    {0x1b, 4, on_count},
    {0x1f, 4, on_count},
    {0x20, 0, NULL},
    {0x22, 0, NULL},
    {0x29, 0, on_condition},
    {0x2a, 0, NULL},
    {0x2c, 0, NULL},
    {0x30, 4, on_period},
    {0x32, 0, NULL},
    {0x33, 0, NULL},
    {0x34, 0, NULL},
    {0x36, 0, NULL},
    {0x37, 0, NULL},
    {0x38, 0, NULL},
    {0x39, 0, NULL},
    {0x3a, 0, NULL},
    {0x3b, 16, on_uplink},
    {0x3c, 0, on_grant},
    {0x3d, 0, on_grant},
    {0x50, 4, on_removal},
    {0x51, 0, NULL},
    {0x52, 0, NULL},
    {0x5a, 0, NULL},
};

/* ---- the tree ---- */

static int fail_at(
    const struct xmr *xmr, const struct object *object, int code, const char *what)
{
	return reader_fail(xmr->source->document, xmr->error, code,
	    "%sXMR licence: the object at byte %zu %s", xmr->source->place, object->at, what);
}

static int read_object(struct xmr *xmr, const struct object *object)
{
	const struct known *entry = NULL;

	for (size_t i = 0; i < sizeof known / sizeof *known && entry == NULL; i++)
		if (known[i].type == object->type)
			entry = &known[i];
	if (entry == NULL) {
		if ((object->flags & MUST_UNDERSTAND) != 0)
			xmr->unknown = xmr->closed = true;
		return RH_OK;
	}
	if (entry->read == NULL)
		return RH_OK;
	if (entry->size > 0 && (object->flags & CONTAINER) != 0)
		return fail_at(
		    xmr, object, RH_E_LICENSE_INVALID, "is a container where a value belongs");
	if (object->size < entry->size)
		return fail_at(xmr, object,
		    object->type == 0x0a ? RH_E_LICENSE_KEY_ID : RH_E_LICENSE_INVALID,
		    "is too short for its type");
	entry->read(xmr, object);
	return RH_OK;
}

/* The object at ${at}, which ends before ${end}. */
static int next_object(struct xmr *xmr, size_t at, size_t end, struct object *ret)
{
	const uint8_t *data = xmr->source->data + at;
	uint32_t length;

	ret->at = at;
	if (end - at < OBJECT_HEADER)
		return fail_at(xmr, ret, RH_E_LICENSE_INVALID, "is cut off");
	length = get_u32be(data + 4);
	if (length < OBJECT_HEADER)
		return fail_at(xmr, ret, RH_E_LICENSE_INVALID, "is shorter than its header");
	if (length > end - at)
		return fail_at(xmr, ret, RH_E_LICENSE_INVALID, "is longer than what it is in");
	ret->flags = (unsigned)data[0] << 8 | data[1];
	ret->type = (unsigned)data[2] << 8 | data[3];
	ret->data = data + OBJECT_HEADER;
	ret->size = length - OBJECT_HEADER;
	return RH_OK;
}

static int read_objects(struct xmr *xmr, size_t at, size_t end, unsigned depth)
{
	while (at < end) {
		struct object object;
		int code = next_object(xmr, at, end, &object);

		if (code == RH_OK)
			code = read_object(xmr, &object);
		if (code == RH_OK && (object.flags & CONTAINER) != 0) {
			if (depth == DEPTH_MAX)
				return fail_at(
				    xmr, &object, RH_E_LICENSE_INVALID, "is nested too deep");
			code = read_objects(xmr, at + OBJECT_HEADER,
			    at + OBJECT_HEADER + object.size, depth + 1);
		}
		if (code != RH_OK)
			return code;
		at += OBJECT_HEADER + object.size;
	}
	return RH_OK;
}

/* ---- what they make together ---- */

static void judge_backup(const struct xmr *xmr, struct license *license)
{
	license->backup = LICENSE_NO;
	if (xmr->unknown) {
		license->backup = LICENSE_UNKNOWN;
		license->reason = "the licence holds a rule that must be understood and is not";
	} else if (!xmr->has_settings || !xmr->settings_allow) {
		license->reason = "the licence does not grant the right to back up";
	} else if (!xmr->settings_persist) {
		license->reason = "the licence may not be kept";
	} else {
		/* The bit that grants it is known from third-party parsers only. */
		license->backup = LICENSE_UNKNOWN;
		license->reason = "whether an XMR licence may be backed up cannot be told for "
				  "certain";
	}
}

static void judge_actions(const struct xmr *xmr, struct found *found)
{
	struct license *license = &found->license;

	for (size_t i = 0; i < ACTION_COUNT; i++) {
		int64_t period = xmr->period;

		if (i == PLAY && xmr->play_period != 0 &&
		    (period == 0 || xmr->play_period < period))
			period = xmr->play_period;
		if (xmr->counts[i] != LICENSE_UNLIMITED) {
			struct license_count *count = &license->counts[license->count_count++];

			strcpy(count->action, action_names[i]);
			count->remaining = xmr->counts[i];
		}
		if (xmr->granted[i] && !xmr->closed)
			reader_grant(&found->rights, action_names[i], xmr->counts[i], period);
	}
	if (xmr->closed)
		found->rights.vague = true;
	found->has_rights = true;
}

static void read_id(const struct xml_source *source, struct license *license)
{
	static const uint8_t none[GUID_SIZE];

	if (memcmp(source->data + HEADER_ID, none, GUID_SIZE) != 0)
		reader_guid(license->id, source->data + HEADER_ID, false);
}

int xmr_parse(const struct xml_source *source, struct found *ret, rh_error *error)
{
	struct xmr xmr = {.source = source,
	    .found = ret,
	    .error = error,
	    .settings_allow = true,
	    .settings_persist = true};
	int code;

	if (source->size < XMR_MAGIC_SIZE ||
	    memcmp(source->data, XMR_MAGIC, XMR_MAGIC_SIZE) != 0)
		return reader_fail(source->document, error, RH_E_LICENSE_INVALID,
		    "%sXMR licence: it does not begin like one", source->place);
	if (source->size <= HEADER)
		return reader_fail(source->document, error, RH_E_LICENSE_INVALID,
		    "%sXMR licence: it is cut off in its header", source->place);
	memset(ret, 0, sizeof *ret);
	reader_record(&ret->license, &xmr_reader);
	for (size_t i = 0; i < ACTION_COUNT; i++)
		xmr.counts[i] = LICENSE_UNLIMITED;
	read_id(source, &ret->license);
	code = read_objects(&xmr, HEADER, source->size, 1);
	if (code != RH_OK)
		return code;
	judge_backup(&xmr, &ret->license);
	judge_actions(&xmr, ret);
	return RH_OK;
}

static bool xmr_detect(const struct license_document *document)
{
	return document->size >= XMR_MAGIC_SIZE &&
	       memcmp(document->data, XMR_MAGIC, XMR_MAGIC_SIZE) == 0;
}

static int xmr_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	if (xml_detect(document->data, document->size))
		return wmdrm_reader.read(document, sink, context, error);
	return wrapped_give(
	    document, xmr_parse, document->data, document->size, sink, context, error);
}

const struct license_reader xmr_reader = {
    .name = "xmr",
    .title = "XMR licence (Windows Media DRM 10, PlayReady)",
    .detect = xmr_detect,
    .read = xmr_read,
};
