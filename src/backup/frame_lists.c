#include <string.h>

#include "base/text.h"
#include "backup/frame_parser.h"

/* ---- The manifest ---- */

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
			code = frame_path_split(
			    line + 2 * DIGEST_SIZE + 2, component, &kind, error);
	}
	if (code == RH_OK && kind == PART_COUNT)
		return frame_corrupt("a manifest with a line that is none", error);
	if (code != RH_OK)
		return code;

	/* The next line is of the same licence, or of the next one, but for damage. */
	if (*at >= parser->count || strcmp(parser->items[*at].component, component) != 0) {
		++*at;
		if (*at >= parser->members ||
		    strcmp(parser->items[*at].component, component) != 0)
			*at = frame_item_find(parser, component);
		if (*at == parser->count)
			code = frame_item_new(parser, component, error);
		if (code != RH_OK)
			return code;
	}
	part = &parser->items[*at].parts[kind];
	if (part->listed)
		return frame_corrupt("a manifest with the same line twice", error);
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
			return frame_corrupt("a manifest with a line that is none", error);
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

/*
 * The item that a line is about: lines are in the order of the members, and so are the
 * licences that are listed and lost.  ${at} and ${lost} are where to go on in the one and in
 * the other.  NULL: there is none.
 */
static struct item *item_of(
    struct frame_parser *parser, const char *component, size_t *at, size_t *lost)
{
	size_t i = *at;

	if (i >= parser->members || strcmp(parser->items[i].component, component) != 0)
		i = frame_item_find(parser, component);
	if (i < parser->count) {
		if (i < *at)
			return NULL;
		*at = i + 1;
		return &parser->items[i];
	}
	while (*lost < parser->count && strcmp(parser->items[*lost].component, component) != 0)
		++*lost;
	return *lost < parser->count ? &parser->items[(*lost)++] : NULL;
}

/* A licence may have none. */
static int read_facts(
    struct frame_parser *parser, const struct tar_member *facts, rh_error *error)
{
	const uint8_t *p = facts->bytes, *end = facts->bytes + facts->size;
	size_t at = 0, lost = parser->members;

	while (p < end) {
		const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
		const uint8_t *tab =
		    newline != NULL ? memchr(p, '\t', (size_t)(newline - p)) : NULL;
		size_t length = tab != NULL ? (size_t)(tab - p) : 0;
		char component[FRAME_COMPONENT_MAX + 1];
		struct item *item;

		if (length == 0 || length > FRAME_COMPONENT_MAX ||
		    newline - tab - 1 > FRAME_FACTS_MAX)
			return frame_corrupt("a line of facts that is none", error);
		memcpy(component, p, length);
		component[length] = '\0';
		item = item_of(parser, component, &at, &lost);
		if (item == NULL)
			return frame_corrupt("facts about a licence that is not there", error);
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

int frame_lists_read(struct frame_parser *parser, const struct lists *lists, rh_error *error)
{
	int code = RH_OK;

	if (lists->manifest.bytes == NULL)
		return RH_OK;
	code = read_manifest(parser, &lists->manifest, error);
	if (code == RH_OK && lists->facts.bytes != NULL)
		code = read_facts(parser, &lists->facts, error);
	return code == RH_OK ? check_proof(parser, lists, error) : code;
}
