#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "backup/internal.h"

enum part_kind { PART_DOCUMENT, PART_SECRET, PART_SEALED, PART_STATE, PART_COUNT };

static const struct {
	const char *name;
	size_t limit;
} kinds[PART_COUNT] = {
    [PART_DOCUMENT] = {"document", FRAME_DOCUMENT_MAX},
    [PART_SECRET] = {"secret", FRAME_PART_MAX},
    [PART_SEALED] = {"secret.sealed", FRAME_PART_MAX},
    [PART_STATE] = {"state.json", FRAME_PART_MAX},
};

/* A file of a licence: as a member, and as a line of the manifest. */
struct part {
	const uint8_t *bytes; /* NULL: no member */
	size_t size;
	bool listed;
	uint8_t digest[DIGEST_SIZE]; /* as listed */
};

struct item {
	char component[FRAME_COMPONENT_MAX + 1];
	struct part parts[PART_COUNT];
	const uint8_t *facts; /* NULL: none */
	size_t facts_size;
};

/* The members of a frame that are of no licence; bytes NULL: not there. */
struct lists {
	struct tar_member manifest;
	struct tar_member facts;
	struct tar_member proof;
};

struct frame_parser {
	ZSTD_DCtx *decompressor;
	struct digest *digest;
	struct buffer tar;
	struct item *items; /* in the order of the members */
	size_t count;
	size_t capacity;
	size_t *sorted; /* indexes of the first ${members} items, by component */
	size_t sorted_capacity;
	size_t members; /* items that have a member; behind them those only listed */
	struct frame_prover prover;
	bool proven; /* the frame carries its proof */
};

int frame_parser_new(struct frame_parser **ret, rh_error *error)
{
	struct frame_parser *parser = calloc(1, sizeof *parser);
	int code;

	if (parser == NULL)
		return error_memory(error);
	code = digest_new(&parser->digest, error);
	if (code == RH_OK) {
		parser->decompressor = ZSTD_createDCtx();
		if (parser->decompressor == NULL)
			code = error_memory(error);
	}
	if (code != RH_OK) {
		frame_parser_free(parser);
		return code;
	}
	*ret = parser;
	return RH_OK;
}

void frame_parser_free(struct frame_parser *parser)
{
	if (parser == NULL)
		return;
	ZSTD_freeDCtx(parser->decompressor);
	digest_free(parser->digest);
	buffer_free_secret(&parser->tar);
	free(parser->items);
	free(parser->sorted);
	bytes_wipe(&parser->prover, sizeof parser->prover);
	free(parser);
}

void frame_parser_prove(
    struct frame_parser *parser, const uint8_t key[KEY_SIZE], const char *id)
{
	frame_prover_set(&parser->prover, key, id);
}

static int corrupt(const char *what, rh_error *error)
{
	return error_set(error, RH_E_BACKUP_CORRUPT, "%s", what);
}

/* A new item at the end; it moves the others. */
static int item_new(struct frame_parser *parser, const char *component, rh_error *error)
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

/*
 * Splits "licenses/COMPONENT/KIND".  RH_OK with ${*ret_kind} PART_COUNT: it does not
 * start so and is none of ours.
 */
static int path_split(const char *path, char component[FRAME_COMPONENT_MAX + 1],
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
		return corrupt("a member with a name that no licence has", error);
	memcpy(component, start, length);
	component[length] = '\0';
	for (int kind = 0; kind < PART_COUNT; kind++)
		if (strcmp(slash + 1, kinds[kind].name) == 0)
			*ret_kind = (enum part_kind)kind;
	if (*ret_kind == PART_COUNT || !frame_component_valid(component))
		return corrupt("a member with a name that no licence has", error);
	return RH_OK;
}

/* ---- Members ---- */

static int take_member(struct frame_parser *parser, const char *component, enum part_kind kind,
    const struct tar_member *member, rh_error *error)
{
	struct part *part;
	int code;

	if (member->size > kinds[kind].limit)
		return corrupt("a member that is too large", error);
	if (parser->count == 0 ||
	    strcmp(parser->items[parser->count - 1].component, component) != 0) {
		code = item_new(parser, component, error);
		if (code != RH_OK)
			return code;
	}
	part = &parser->items[parser->count - 1].parts[kind];
	if (part->bytes != NULL)
		return corrupt("a member that is there twice", error);
	part->bytes = member->bytes;
	part->size = member->size;
	part = parser->items[parser->count - 1].parts;
	if (part[PART_SECRET].bytes != NULL && part[PART_SEALED].bytes != NULL)
		return corrupt("a licence with two secrets", error);
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

/* Reads all members. */
static int read_members(struct frame_parser *parser, struct lists *lists, rh_error *error)
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
			return corrupt("a member behind the manifest of its frame", error);
		code = path_split(member.path, component, &kind, error);
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
			return corrupt("a licence that is there twice", error);
	return RH_OK;
}

/* ---- The manifest ---- */

/* Index of the item with this component that has members; count if there is none. */
static size_t find_item(const struct frame_parser *parser, const char *component)
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

/* One line without its newline; ${*at} is the item of the line before. */
static int take_line(struct frame_parser *parser, char *line, size_t *at, rh_error *error)
{
	char component[FRAME_COMPONENT_MAX + 1];
	uint8_t digest[DIGEST_SIZE];
	enum part_kind kind = PART_COUNT;
	struct part *part;
	size_t length = strlen(line);
	int code = RH_OK;

	if (length > 2 * DIGEST_SIZE + 2 && memcmp(line + 2 * DIGEST_SIZE, "  ", 2) == 0) {
		line[2 * DIGEST_SIZE] = '\0';
		if (text_unhex(line, digest, DIGEST_SIZE))
			code = path_split(line + 2 * DIGEST_SIZE + 2, component, &kind, error);
	}
	if (code == RH_OK && kind == PART_COUNT)
		return corrupt("a manifest with a line that is none", error);
	if (code != RH_OK)
		return code;

	/* The next line is of the same licence, or of the next one, but for damage. */
	if (*at >= parser->count || strcmp(parser->items[*at].component, component) != 0)
		++*at;
	if (*at >= parser->members || strcmp(parser->items[*at].component, component) != 0)
		*at = find_item(parser, component);
	if (*at == parser->count) {
		code = item_new(parser, component, error);
		if (code != RH_OK)
			return code;
	}
	part = &parser->items[*at].parts[kind];
	if (part->listed)
		return corrupt("a manifest with the same line twice", error);
	part->listed = true;
	memcpy(part->digest, digest, sizeof digest);
	return RH_OK;
}

static int read_manifest(
    struct frame_parser *parser, const struct tar_member *manifest, rh_error *error)
{
	const uint8_t *p = manifest->bytes, *end = manifest->bytes + manifest->size;
	size_t at = 0;

	while (p < end) {
		const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
		char line[FRAME_LINE_MAX + 1];
		int code;

		if (newline == NULL || newline - p > FRAME_LINE_MAX ||
		    memchr(p, '\0', (size_t)(newline - p)) != NULL)
			return corrupt("a manifest with a line that is none", error);
		memcpy(line, p, (size_t)(newline - p));
		line[newline - p] = '\0';
		code = take_line(parser, line, &at, error);
		if (code != RH_OK)
			return code;
		p = newline + 1;
	}
	return RH_OK;
}

/* ---- The facts ---- */

/* Lines are in the order of the members; a licence may have none. */
static int read_facts(
    struct frame_parser *parser, const struct tar_member *facts, rh_error *error)
{
	const uint8_t *p = facts->bytes, *end = facts->bytes + facts->size;
	size_t at = 0;

	while (p < end) {
		const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
		const uint8_t *tab =
		    newline != NULL ? memchr(p, '\t', (size_t)(newline - p)) : NULL;
		size_t length = tab != NULL ? (size_t)(tab - p) : 0;
		struct item *item;

		if (length == 0 || length > FRAME_COMPONENT_MAX ||
		    newline - tab - 1 > FRAME_FACTS_MAX)
			return corrupt("a line of facts that is none", error);
		while (at < parser->members &&
		       (strlen(parser->items[at].component) != length ||
			   memcmp(parser->items[at].component, p, length) != 0))
			at++;
		if (at == parser->members)
			return corrupt("facts about a licence that is not there", error);
		item = &parser->items[at++];
		item->facts = tab + 1;
		item->facts_size = (size_t)(newline - tab - 1);
		p = newline + 1;
	}
	return RH_OK;
}

/* ---- The proof ---- */

/* Another's proof, or none, is no damage: then nothing is proven. */
static int check_proof(struct frame_parser *parser, const struct lists *lists, rh_error *error)
{
	char hex[2 * DIGEST_SIZE + 1];
	uint8_t told[DIGEST_SIZE], proof[DIGEST_SIZE];
	int code;

	if (!parser->prover.set || lists->proof.bytes == NULL ||
	    lists->proof.size != sizeof hex - 1)
		return RH_OK;
	memcpy(hex, lists->proof.bytes, lists->proof.size);
	hex[sizeof hex - 1] = '\0';
	if (!text_unhex(hex, told, sizeof told))
		return RH_OK;
	code = frame_prover_make(&parser->prover, parser->digest, lists->manifest.path,
	    lists->manifest.bytes, lists->manifest.size, lists->facts.bytes, lists->facts.size,
	    proof, error);
	parser->proven = code == RH_OK && bytes_equal(told, proof, sizeof told);
	return code;
}

/* ---- Licences ---- */

/* RH_E_LICENSE_DAMAGED unless the members are those that the manifest lists. */
static int check_item(struct frame_parser *parser, const struct item *item, rh_error *error)
{
	for (int kind = 0; kind < PART_COUNT; kind++) {
		const struct part *part = &item->parts[kind];
		uint8_t digest[DIGEST_SIZE];
		int code;

		if (part->bytes == NULL && !part->listed && kind != PART_DOCUMENT)
			continue;
		if (part->bytes == NULL)
			return error_set(error, RH_E_LICENSE_DAMAGED,
			    "the %s of licence %s is missing", kinds[kind].name,
			    item->component);
		if (!part->listed)
			return error_set(error, RH_E_LICENSE_DAMAGED,
			    "the %s of licence %s is not in the manifest", kinds[kind].name,
			    item->component);
		code = digest_update(parser->digest, part->bytes, part->size, error);
		if (code == RH_OK)
			code = digest_finish(parser->digest, digest, error);
		if (code != RH_OK)
			return code;
		if (!bytes_equal(digest, part->digest, DIGEST_SIZE))
			return error_set(error, RH_E_LICENSE_DAMAGED,
			    "the %s of licence %s is not what the manifest says",
			    kinds[kind].name, item->component);
	}
	return RH_OK;
}

static int give_item(const struct frame_parser *parser, const struct item *item,
    int (*on_license)(void *context, const struct frame_license *license, rh_error *error),
    void *context, rh_error *error)
{
	const struct part *parts = item->parts;
	bool sealed = parts[PART_SEALED].bytes != NULL;
	const struct part *secret = &parts[sealed ? PART_SEALED : PART_SECRET];
	struct frame_license license = {
	    .component = item->component,
	    .document = parts[PART_DOCUMENT].bytes,
	    .document_size = parts[PART_DOCUMENT].size,
	    .digest = parts[PART_DOCUMENT].digest,
	    .secret = secret->bytes,
	    .secret_size = secret->size,
	    .state = parts[PART_STATE].bytes,
	    .state_size = parts[PART_STATE].size,
	    .facts = item->facts,
	    .facts_size = item->facts_size,
	    .sealed = sealed,
	    .proven = parser->proven,
	};

	return on_license(context, &license, error);
}

static int read_frame(
    struct frame_parser *parser, const struct backup_frame *frame, rh_error *error)
{
	struct lists lists = {0};
	int code;

	parser->count = 0;
	parser->proven = false;
	code = zframe_unpack(parser->decompressor, frame->licenses.data, frame->licenses.size,
	    FRAME_MAX, &parser->tar, error);
	if (code == RH_OK)
		code = read_members(parser, &lists, error);
	if (code == RH_OK && lists.manifest.bytes == NULL && parser->count > 0)
		code = corrupt("a frame of licences without its manifest", error);
	if (code == RH_OK)
		code = sort_items(parser, error);
	if (code == RH_OK && lists.facts.bytes != NULL)
		code = read_facts(parser, &lists.facts, error);
	if (code == RH_OK && lists.manifest.bytes != NULL)
		code = read_manifest(parser, &lists.manifest, error);
	if (code == RH_OK && lists.manifest.bytes != NULL)
		code = check_proof(parser, &lists, error);
	return code;
}

int frame_parse(struct frame_parser *parser, const struct backup_frame *frame,
    int (*on_license)(void *context, const struct frame_license *license, rh_error *error),
    int (*on_damaged)(void *context, const struct frame_license *damaged, const rh_error *why),
    void *context, rh_error *error)
{
	int code = read_frame(parser, frame, error);

	for (size_t i = 0; i < parser->count && code == RH_OK; i++) {
		const struct item *item = &parser->items[i];
		rh_error why;

		code = check_item(parser, item, &why);
		if (code == RH_OK)
			code = give_item(parser, item, on_license, context, error);
		else if (code == RH_E_LICENSE_DAMAGED && on_damaged != NULL)
			code = on_damaged(context,
			    &(struct frame_license){.component = item->component}, &why);
		else if (error != NULL)
			*error = why;
	}
	return code;
}
