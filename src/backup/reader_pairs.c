#include <string.h>

#include "backup/reader.h"

void pairs_free(struct pairs *pairs)
{
	for (size_t i = 0; i < PAIRS_ROOM; i++)
		backup_frame_free(&pairs->all[i].frame);
	buffer_free_secret(&pairs->tar);
}

bool pairs_take(struct pairs *pairs, struct backup_frame *frame)
{
	struct pair *all = pairs->all;
	struct backup_frame swap = *frame;

	if (pairs->count == 0 || !all[0].ready)
		return false;
	pairs->bytes -= all[0].frame.licenses.size;
	*frame = all[0].frame;
	pairs->count--;
	memmove(all, all + 1, pairs->count * sizeof *all);
	all[pairs->count].frame = swap;
	return true;
}

bool pairs_crowded(const struct pairs *pairs)
{
	return pairs->count > PAIRS_WAITING_MAX || pairs->bytes > PAIRS_BYTES_MAX;
}

void pairs_give_up(struct pairs *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct pair *pair = &pairs->all[i];

		if (!pair->ready)
			pair->frame.alone = true;
		pair->ready = true;
	}
}

int pairs_licenses(
    struct pairs *pairs, const struct piece *piece, bool ready, bool alone, rh_error *error)
{
	struct pair *pair = &pairs->all[pairs->count];
	int code;

	backup_frame_clear(&pair->frame);
	code = buffer_append(&pair->frame.licenses, piece->bytes, piece->size, error);
	if (code != RH_OK)
		return code;
	memcpy(pair->path, piece->path, sizeof pair->path);
	pair->ready = ready;
	pair->frame.cut = piece->cut;
	pair->frame.alone = alone;
	pairs->bytes += piece->size;
	pairs->count++;
	return RH_OK;
}

/* What its licences are is all that is known of them. */
static int add_orphan(struct pairs *pairs, const struct piece *piece, rh_error *error)
{
	struct pair *pair = &pairs->all[pairs->count];
	int code;

	backup_frame_clear(&pair->frame);
	code = buffer_append(&pair->frame.manifest, piece->bytes, piece->size, error);
	if (code != RH_OK)
		return code;
	pair->path[0] = '\0';
	pair->ready = true;
	pairs->count++;
	return RH_OK;
}

/* The name in the first line of the manifest, which is the last member; "" if there is none. */
static int first_name(struct pairs *pairs, const struct piece *piece, ZSTD_DCtx *decompressor,
    char ret[TAR_PATH_MAX + 1], rh_error *error)
{
	const size_t at = FRAME_LINE_MAX - TAR_PATH_MAX;
	struct tar_cursor cursor;
	struct tar_member member = {0};
	const uint8_t *newline;
	bool end = false;
	int code = zframe_unpack(
	    decompressor, piece->bytes, piece->size, FRAME_MAX, &pairs->tar, error);

	ret[0] = '\0';
	if (code != RH_OK)
		return code;
	cursor = (struct tar_cursor){pairs->tar.data, pairs->tar.size, 0};
	while (code == RH_OK && !end)
		code = tar_next(&cursor, &member, &end, error);
	if (code != RH_OK || member.size <= at)
		return code;
	newline = memchr(member.bytes + at, '\n', member.size - at);
	if (newline == NULL || newline - (member.bytes + at) > TAR_PATH_MAX)
		return RH_OK;
	memcpy(ret, member.bytes + at, (size_t)(newline - (member.bytes + at)));
	ret[newline - (member.bytes + at)] = '\0';
	return RH_OK;
}

/* Whose manifest it is; the place behind the last one if of nobody. */
static size_t find_owner(struct pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->count; i++) {
		const struct pair *pair = &pairs->all[i];

		if (name == NULL ? !pair->ready : !pair->ready && strcmp(pair->path, name) == 0)
			return i;
	}
	return pairs->count;
}

int pairs_manifest(
    struct pairs *pairs, const struct piece *piece, ZSTD_DCtx *decompressor, rh_error *error)
{
	char name[TAR_PATH_MAX + 1];
	struct pair *pair;
	size_t owner;
	int code = RH_OK;

	if (decompressor != NULL)
		code = first_name(pairs, piece, decompressor, name, error);
	if (code != RH_OK)
		return code;
	owner = find_owner(pairs, decompressor != NULL ? name : NULL);
	if (owner == pairs->count)
		return decompressor != NULL ? add_orphan(pairs, piece, error)
					    : error_set(error, RH_E_BACKUP_CORRUPT,
						  "a manifest that belongs to no frame");
	/* Manifests come in the order of their frames: older ones get none any more. */
	pairs_give_up(pairs, owner);
	pair = &pairs->all[owner];
	pair->ready = true;
	return buffer_append(&pair->frame.manifest, piece->bytes, piece->size, error);
}
