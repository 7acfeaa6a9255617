#include <stdlib.h>
#include <string.h>

#include "backup/frame_parser.h"

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

int frame_corrupt(const char *what, rh_error *error)
{
	return error_set(error, RH_E_BACKUP_CORRUPT, "%s", what);
}

/* ---- Unpacking ---- */

/* Leaves whole members, and the name of the one that the cut goes through. */
static void trim(struct frame_parser *parser)
{
	struct tar_cursor cursor = {parser->tar.data, parser->tar.size, 0};
	struct tar_member member;
	bool end = false;

	parser->tail[0] = '\0';
	if (parser->tar.size == 0)
		return;
	while (!end && tar_next(&cursor, &member, &end, NULL) == RH_OK)
		continue;
	tar_path(cursor.bytes + cursor.offset, cursor.size - cursor.offset, parser->tail);
	parser->tar.size = cursor.offset;
}

/* Licences, and behind them their manifest if it stands apart. */
static int unpack(
    struct frame_parser *parser, const struct backup_frame *frame, rh_error *error)
{
	const struct buffer *licenses = &frame->licenses, *manifest = &frame->manifest;
	int code = RH_OK;

	buffer_clear(&parser->tar);
	if (frame->cut) {
		code = zframe_append_cut(parser->decompressor, licenses->data, licenses->size,
		    FRAME_MAX, &parser->tar, error);
		if (code == RH_OK)
			trim(parser);
	} else if (licenses->size > 0 || manifest->size == 0) {
		code = zframe_append(parser->decompressor, licenses->data, licenses->size,
		    FRAME_MAX, &parser->tar, error);
	}
	if (code == RH_OK && manifest->size > 0)
		code = zframe_append(parser->decompressor, manifest->data, manifest->size,
		    FRAME_MAX, &parser->tar, error);
	return code;
}

static int read_frame(
    struct frame_parser *parser, const struct backup_frame *frame, rh_error *error)
{
	struct lists lists = {0};
	int code;

	parser->count = 0;
	parser->proven = false;
	code = unpack(parser, frame, error);
	if (code == RH_OK)
		code = frame_members_read(parser, &lists, error);
	if (code == RH_OK && frame->alone)
		return frame->cut ? frame_members_cut(parser, &lists, error) : RH_OK;
	if (code == RH_OK && lists.manifest.bytes == NULL && parser->count > 0)
		code = frame_corrupt("a frame of licences without its manifest", error);
	return code == RH_OK ? frame_lists_read(parser, &lists, error) : code;
}

/* ---- Licences ---- */

static int digest_part(struct frame_parser *parser, const struct part *part,
    uint8_t ret[DIGEST_SIZE], rh_error *error)
{
	int code = digest_update(parser->digest, part->bytes, part->size, error);

	return code == RH_OK ? digest_finish(parser->digest, ret, error) : code;
}

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
			    "the %s of licence %s is missing", part_rules[kind].name,
			    item->component);
		if (!part->listed)
			return error_set(error, RH_E_LICENSE_DAMAGED,
			    "the %s of licence %s is not in the manifest",
			    part_rules[kind].name, item->component);
		code = digest_part(parser, part, digest, error);
		if (code != RH_OK)
			return code;
		if (!bytes_equal(digest, part->digest, DIGEST_SIZE))
			return error_set(error, RH_E_LICENSE_DAMAGED,
			    "the %s of licence %s is not what the manifest says",
			    part_rules[kind].name, item->component);
	}
	return RH_OK;
}

/* The same of a licence that no manifest lists. */
static int check_alone(struct frame_parser *parser, struct item *item, rh_error *error)
{
	struct part *document = &item->parts[PART_DOCUMENT];

	if (item->cut || document->bytes == NULL)
		return error_set(error, RH_E_LICENSE_DAMAGED,
		    "licence %s lies where the backup is damaged", item->component);
	return digest_part(parser, document, document->digest, error);
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

static int tell_damaged(const struct frame_parser *parser, const struct item *item,
    int (*on_damaged)(void *context, const struct frame_license *damaged, const rh_error *why),
    void *context, const rh_error *why)
{
	struct frame_license damaged = {
	    .component = item->component,
	    .facts = item->facts,
	    .facts_size = item->facts_size,
	    .proven = parser->proven,
	};

	return on_damaged(context, &damaged, why);
}

int frame_parse(struct frame_parser *parser, const struct backup_frame *frame,
    int (*on_license)(void *context, const struct frame_license *license, rh_error *error),
    int (*on_damaged)(void *context, const struct frame_license *damaged, const rh_error *why),
    void *context, rh_error *error)
{
	int code = read_frame(parser, frame, error);

	for (size_t i = 0; i < parser->count && code == RH_OK; i++) {
		struct item *item = &parser->items[i];
		rh_error why;

		code = frame->alone ? check_alone(parser, item, &why)
				    : check_item(parser, item, &why);
		if (code == RH_OK)
			code = give_item(parser, item, on_license, context, error);
		else if (code == RH_E_LICENSE_DAMAGED && on_damaged != NULL)
			code = tell_damaged(parser, item, on_damaged, context, &why);
		else if (error != NULL)
			*error = why;
	}
	return code;
}
