#include <stdlib.h>
#include <string.h>

#include "backup/frame_parser.h"

const struct part_rule part_rules[PART_COUNT] = {
    [PART_DOCUMENT] = {"document", FRAME_DOCUMENT_MAX},
    [PART_SECRET] = {"secret", FRAME_PART_MAX},
    [PART_SEALED] = {"secret.sealed", FRAME_PART_MAX},
    [PART_STATE] = {"state.json", FRAME_PART_MAX},
};

int frame_item_new(struct frame_parser *parser, const char *component, rh_error *error)
{
	struct item *item;

	if (parser->count == parser->capacity) {
		size_t capacity = parser->capacity > 0 ? 2 * parser->capacity : 64;
		struct item *items = realloc(parser->items, capacity * sizeof *items);

		if (items == NULL)
			return error_memory(error);
		parser->items = items;
		parser->capacity = capacity;
	}
	item = &parser->items[parser->count++];
	memset(item, 0, sizeof *item);
	memcpy(item->component, component, strlen(component));
	return RH_OK;
}

int frame_path_split(const char *path, char component[FRAME_COMPONENT_MAX + 1],
    enum part_kind *ret_kind, rh_error *error)
{
	static const char folder[] = "licenses/";
	const char *start = path + sizeof folder - 1, *slash;
	size_t length;

	*ret_kind = PART_COUNT;
	if (strncmp(path, folder, sizeof folder - 1) != 0)
		return RH_OK;
	slash = strchr(start, '/');
	length = slash != NULL ? (size_t)(slash - start) : 0;
	if (length == 0 || length > FRAME_COMPONENT_MAX)
		return frame_corrupt("a member with a name that no licence has", error);
	memcpy(component, start, length);
	component[length] = '\0';
	for (int kind = 0; kind < PART_COUNT; kind++)
		if (strcmp(slash + 1, part_rules[kind].name) == 0)
			*ret_kind = (enum part_kind)kind;
	if (*ret_kind == PART_COUNT || !frame_component_valid(component))
		return frame_corrupt("a member with a name that no licence has", error);
	return RH_OK;
}

static int take_member(struct frame_parser *parser, const char *component, enum part_kind kind,
    const struct tar_member *member, rh_error *error)
{
	struct part *part;
	int code;

	if (member->size > part_rules[kind].limit)
		return frame_corrupt("a member that is too large", error);
	if (parser->count == 0 ||
	    strcmp(parser->items[parser->count - 1].component, component) != 0) {
		code = frame_item_new(parser, component, error);
		if (code != RH_OK)
			return code;
	}
	part = &parser->items[parser->count - 1].parts[kind];
	if (part->bytes != NULL)
		return frame_corrupt("a member that is there twice", error);
	part->bytes = member->bytes;
	part->size = member->size;
	part = parser->items[parser->count - 1].parts;
	if (part[PART_SECRET].bytes != NULL && part[PART_SEALED].bytes != NULL)
		return frame_corrupt("a licence with two secrets", error);
	return RH_OK;
}

/* Whether it is "manifest/NUMBER" and the suffix. */
static bool is_list(const char *path, const char *suffix)
{
	static const char folder[] = "manifest/";
	const char *number = path + sizeof folder - 1;
	size_t digits;

	if (strncmp(path, folder, sizeof folder - 1) != 0)
		return false;
	digits = strspn(number, "0123456789");
	return digits >= 6 && strcmp(number + digits, suffix) == 0;
}

static int read_all(struct frame_parser *parser, struct lists *lists, rh_error *error)
{
	struct tar_cursor cursor = {parser->tar.data, parser->tar.size, 0};
	struct tar_member member;
	bool end = false;

	for (;;) {
		char component[FRAME_COMPONENT_MAX + 1];
		enum part_kind kind;
		int code = tar_next(&cursor, &member, &end, error);

		if (code != RH_OK || end)
			return code;
		if (lists->manifest.bytes != NULL)
			return frame_corrupt(
			    "a member behind the manifest of its frame", error);
		code = frame_path_split(member.path, component, &kind, error);
		if (code == RH_OK && kind != PART_COUNT)
			code = take_member(parser, component, kind, &member, error);
		else if (code == RH_OK && is_list(member.path, ".sha256"))
			lists->manifest = member;
		else if (code == RH_OK && is_list(member.path, ".facts"))
			lists->facts = member;
		else if (code == RH_OK && is_list(member.path, ".mac"))
			lists->proof = member;
		if (code != RH_OK)
			return code;
	}
}

static int compare_items(const void *a, const void *b, void *context)
{
	const struct item *items = context;

	return strcmp(items[*(const size_t *)a].component, items[*(const size_t *)b].component);
}

/* No licence may come twice. */
static int sort_items(struct frame_parser *parser, rh_error *error)
{
	size_t *sorted = parser->sorted;

	parser->members = parser->count;
	if (parser->sorted_capacity < parser->count) {
		sorted = realloc(sorted, parser->capacity * sizeof *sorted);
		if (sorted == NULL)
			return error_memory(error);
		parser->sorted = sorted;
		parser->sorted_capacity = parser->capacity;
	}
	for (size_t i = 0; i < parser->count; i++)
		sorted[i] = i;
	if (parser->count > 1)
		qsort_r(sorted, parser->count, sizeof *sorted, compare_items, parser->items);
	for (size_t i = 1; i < parser->count; i++)
		if (compare_items(&sorted[i - 1], &sorted[i], parser->items) == 0)
			return frame_corrupt("a licence that is there twice", error);
	return RH_OK;
}

size_t frame_item_find(const struct frame_parser *parser, const char *component)
{
	size_t low = 0, high = parser->members;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		size_t index = parser->sorted[middle];
		int order = strcmp(component, parser->items[index].component);

		if (order == 0)
			return index;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return parser->count;
}

int frame_members_read(struct frame_parser *parser, struct lists *lists, rh_error *error)
{
	int code = read_all(parser, lists, error);

	return code == RH_OK ? sort_items(parser, error) : code;
}

int frame_members_cut(struct frame_parser *parser, const struct lists *lists, rh_error *error)
{
	char component[FRAME_COMPONENT_MAX + 1];
	enum part_kind kind = PART_COUNT;
	int code = RH_OK;

	/* What is told of licences stands behind the last one. */
	if (lists->facts.bytes != NULL || lists->proof.bytes != NULL)
		return RH_OK;
	if (parser->tail[0] != '\0') {
		code = frame_path_split(parser->tail, component, &kind, error);
		if (code != RH_OK || kind == PART_COUNT)
			return code;
		if (parser->count == 0 ||
		    strcmp(parser->items[parser->count - 1].component, component) != 0)
			code = frame_item_new(parser, component, error);
	}
	if (code == RH_OK && parser->count > 0)
		parser->items[parser->count - 1].cut = true;
	return code;
}
