#include <stdio.h>
#include <string.h>

#include "base/text.h"

#include "engine/medium.h"

#define FLOOR ((uint64_t)4096) /* the smallest backup is one block */
#define SLACK ((uint64_t)12288) /* ends of files, and HOW-TO-OPEN.txt */
#define SHARE_MIN (1.0 / 8) /* of the licences, before anything is judged */
#define STRETCH (1.0 / 32) /* so that several were seen by then */

/* How large the backup will be. */
struct outlook {
	double share; /* of the licences that are in it; 0: unknown */
	double size; /* if all are like those so far */
	double sure; /* if like the cheapest; the less was seen, the less it is believed */
};

static double share_of(uint64_t done, uint64_t all)
{
	return all == 0 || done >= all ? 1 : (double)done / (double)all;
}

static double share_done(const struct space *space)
{
	double by_bytes = share_of(space->bytes_done, space->bytes);
	double by_count = share_of(space->licenses_done, space->licenses);

	return by_bytes > by_count ? by_bytes : by_count;
}

/* Bytes that the licences have come to. */
static double bytes_so_far(const struct space *space, uint64_t written)
{
	return (double)(written > space->start ? written - space->start : 0);
}

/* Licences that were added together are alike: the first may be the only ones of their kind. */
static void note_stretch(struct space *space, uint64_t written)
{
	double share = share_done(space), bytes = bytes_so_far(space, written), all;

	if (share - space->stretch_share < STRETCH)
		return;
	all = (bytes - space->stretch_bytes) / (share - space->stretch_share);
	if (space->stretch_share <= 0 || all < space->cheapest)
		space->cheapest = all;
	space->stretch_share = share;
	space->stretch_bytes = bytes;
}

static struct outlook look_ahead(const struct space *space, uint64_t written)
{
	struct outlook outlook = {.share = share_done(space)};
	double all, least;

	if (outlook.share <= 0)
		return (struct outlook){0};
	all = bytes_so_far(space, written) / outlook.share;
	least = space->stretch_share > 0 && space->cheapest < all ? space->cheapest : all;
	outlook.size = (double)written + all * (1 - outlook.share);
	outlook.sure =
	    (double)written + least * (1 - outlook.share) * (0.5 + 0.4 * outlook.share);
	return outlook;
}

static uint64_t with_parity(const struct space *space, double size)
{
	return (uint64_t)size + backup_parity_size((uint64_t)size, space->parity);
}

int space_floor(const struct space *space, rh_error *error)
{
	const struct medium *medium = space->medium;
	uint64_t needed = FLOOR + backup_parity_size(FLOOR, space->parity);
	char has[TEXT_AMOUNT_SIZE], missing[TEXT_AMOUNT_SIZE];

	if (medium == NULL || medium->bytes_total == 0 || medium->bytes_usable >= needed)
		return RH_OK;
	return error_set(error, RH_E_FULL,
	    "%s has %s free; the smallest backup needs about %s more", space->path,
	    text_amount(has, medium->bytes_usable),
	    text_amount(missing, needed - medium->bytes_usable));
}

void space_start(
    struct space *space, uint64_t licenses, uint64_t bytes, const struct backup_writer *writer)
{
	space->licenses = licenses;
	space->bytes = bytes;
	space->licenses_done = 0;
	space->bytes_done = 0;
	space->start = backup_writer_bytes(writer);
	space->reserved = false;
	space->stretch_share = 0;
	space->stretch_bytes = 0;
}

static int judge_file(const struct space *space, const struct outlook *outlook, rh_error *error)
{
	const struct medium *medium = space->medium;
	double parity = (double)backup_parity_size((uint64_t)outlook->sure, space->parity);
	double largest = outlook->sure > parity ? outlook->sure : parity;
	char size[TEXT_AMOUNT_SIZE], limit[TEXT_AMOUNT_SIZE];

	if (medium == NULL || medium->file_max == 0 || largest <= (double)medium->file_max)
		return RH_OK;
	return error_set(error, RH_E_FILE_TOO_BIG,
	    "a backup of about %s does not go on %s: %s takes files of up to %s",
	    text_amount(size, (uint64_t)outlook->size), space->path, medium_file_system(medium),
	    text_amount(limit, medium->file_max));
}

int space_judge(
    struct space *space, uint64_t written, uint64_t room, uint64_t *ret_rest, rh_error *error)
{
	struct outlook outlook;
	char size[TEXT_AMOUNT_SIZE], missing[TEXT_AMOUNT_SIZE];
	uint64_t needed;
	int code;

	*ret_rest = 0;
	note_stretch(space, written);
	outlook = look_ahead(space, written);
	if (outlook.share < SHARE_MIN)
		return RH_OK;
	code = judge_file(space, &outlook, error);
	if (code != RH_OK)
		return code;
	needed = with_parity(space, outlook.size);
	if (with_parity(space, outlook.sure) > room)
		return error_set(error, RH_E_FULL,
		    "a backup of about %s does not go on %s: it needs about %s more",
		    text_amount(size, needed), space->path,
		    text_amount(missing, needed - room));
	*ret_rest = (uint64_t)outlook.sure - written;
	return RH_OK;
}

int space_check(struct space *space, struct backup_writer *writer, rh_error *error)
{
	uint64_t rest;
	int code = space_judge(
	    space, backup_writer_bytes(writer), backup_writer_room(writer), &rest, error);

	if (code != RH_OK || rest == 0 || space->reserved)
		return code;
	space->reserved = true;
	return backup_writer_reserve(writer, rest, error);
}

void space_explain(
    const struct space *space, const struct backup_writer *writer, rh_error *error)
{
	static const char words[] = "it needs about";
	struct outlook outlook;
	char missing[TEXT_AMOUNT_SIZE];
	uint64_t needed, room;
	size_t used = strlen(error->text);

	if (writer == NULL || strstr(error->text, words) != NULL)
		return;
	outlook = look_ahead(space, backup_writer_bytes(writer));
	room = backup_writer_room(writer);
	needed = with_parity(space, outlook.size) + SLACK;
	/* Else it is not bytes that are missing, or others have given some back. */
	if (outlook.share > 0 && needed > room)
		snprintf(error->text + used, sizeof error->text - used, "; %s %s more", words,
		    text_amount(missing, needed - room));
}
