#ifndef BACKUP_FRAME_PARSER_H
#define BACKUP_FRAME_PARSER_H

#include "backup/internal.h"

/* What the files that read a frame share; nobody else includes it. */

enum part_kind { PART_DOCUMENT, PART_SECRET, PART_SEALED, PART_STATE, PART_COUNT };

struct part_rule {
	const char *name;
	size_t limit;
};
extern const struct part_rule part_rules[PART_COUNT];

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
	bool cut; /* members may be missing, and nothing tells which */
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
	char tail[TAR_PATH_MAX + 1]; /* name of the member that a cut goes through; "": unknown
				      */
	struct item *items; /* in the order of the members */
	size_t count;
	size_t capacity;
	size_t *sorted; /* indexes of the first ${members} items, by component */
	size_t sorted_capacity;
	size_t members; /* items that have a member; behind them those only listed */
	struct frame_prover prover;
	bool proven; /* the frame carries its proof */
};

int frame_corrupt(const char *what, rh_error *error);

/* ---- frame_members.c ---- */

/* A new item at the end; it moves the others. */
int frame_item_new(struct frame_parser *parser, const char *component, rh_error *error);

/*
 * Splits "licenses/COMPONENT/KIND".  RH_OK with ${*ret_kind} PART_COUNT: it does not
 * start so and is none of ours.
 */
int frame_path_split(const char *path, char component[FRAME_COMPONENT_MAX + 1],
    enum part_kind *ret_kind, rh_error *error);

/* Reads all members of ${parser->tar}, and sorts the items; no licence may come twice. */
int frame_members_read(struct frame_parser *parser, struct lists *lists, rh_error *error);

/* The same when there is no manifest, and the end was cut off. */
int frame_members_cut(struct frame_parser *parser, const struct lists *lists, rh_error *error);

/* Index of the item with this component that has members; count if there is none. */
size_t frame_item_find(const struct frame_parser *parser, const char *component);

/* ---- frame_lists.c ---- */

/* Reads manifest, facts and proof, as far as they are there, into the items. */
int frame_lists_read(struct frame_parser *parser, const struct lists *lists, rh_error *error);

#endif
