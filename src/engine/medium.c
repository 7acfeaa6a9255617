#include <stdio.h>
#include <string.h>

#include "engine/medium.h"

/* Whether it is worth a word that both lie there: a file or memory is lost otherwise. */
static bool is_disk(const struct medium *medium)
{
	return medium->kind == MEDIUM_USB || medium->kind == MEDIUM_CARD ||
	       medium->kind == MEDIUM_DISK;
}

static bool holds_store(
    const struct medium *medium, const struct rh_store *store, const char *root)
{
	struct medium other;

	return store != NULL && medium_look(store->directory, root, &other, NULL) == RH_OK &&
	       medium_same_disk(medium, &other);
}

/* Its kind and name: what people know it by. */
static const char *short_name(const struct medium *medium, char *text, size_t size)
{
	medium_describe(medium, text, size);
	text[strcspn(text, ",")] = '\0';
	return text;
}

void medium_begin(struct workplace *place, struct report *report, const char *path,
    const struct rh_store *store, const char *root)
{
	const struct medium *medium = &place->medium;
	char text[512];
	bool same;

	place->root = root;
	place->known = medium_look(path, root, &place->medium, NULL) == RH_OK;
	if (!place->known)
		return;
	same = holds_store(medium, store, root);
	medium_describe(medium, text, sizeof text);
	report_medium(report,
	    &(rh_medium){
		.kind = medium_kind_name(medium->kind),
		.name = medium->name,
		.device = medium->device,
		.mount = medium->mount,
		.file_system = medium->file_system,
		.removable = medium->removable,
		.read_only = medium->read_only,
		.holds_store = same,
		.bytes_total = medium->bytes_total,
		.bytes_free = medium->bytes_free,
		.file_max = medium->file_max,
	    },
	    text);
	if (same && is_disk(medium) && report->operation == RH_OPERATION_BACKUP)
		report_notice(report,
		    "%s lies on the same disk as the licences: if the disk fails, both are "
		    "gone",
		    path);
}

/* What a medium that is no longer there looks like, depending on who is asked first. */
static bool may_be_gone(int code)
{
	switch (code) {
	case RH_E_ACCESS:
	case RH_E_NO_DIRECTORY:
	case RH_E_NOT_DIRECTORY:
	case RH_E_OPEN:
	case RH_E_READ:
	case RH_E_WRITE:
	case RH_E_READ_BACK:
	case RH_E_BACKUP_MISSING:
	case RH_E_BACKUP_CORRUPT:
		return true;
	default:
		return false;
	}
}

int medium_explain(const struct workplace *place, int code, rh_error *error)
{
	char name[256];
	rh_error before;

	if (!place->known || !may_be_gone(code))
		return code;
	before = error != NULL ? *error : (rh_error){0};
	if (before.text[0] == '\0')
		snprintf(before.text, sizeof before.text, "%s", rh_code_sentence(code));
	short_name(&place->medium, name, sizeof name);
	if (medium_gone(&place->medium, place->root))
		return error_set(
		    error, RH_E_MEDIUM_GONE, "the %s was taken away: %s", name, before.text);
	/* The kernel protects what is left of a torn FAT, or behind a device that fails. */
	if (code == RH_E_ACCESS && medium_turned_read_only(&place->medium, place->root))
		return error_set(error, RH_E_WRITE,
		    "the %s takes no writes any more, as after an error of its file system "
		    "(see fsck): %s",
		    name, before.text);
	return code;
}

int medium_check(const struct workplace *place, rh_error *error)
{
	int code = medium_explain(place, RH_E_READ, error);

	return code == RH_E_MEDIUM_GONE ? code : RH_OK;
}

void medium_end(const struct workplace *place, struct report *report)
{
	char name[256];

	if (place->known && place->medium.removable)
		report_notice(report,
		    "the backup is on the %s; unmount %s before you take it away",
		    short_name(&place->medium, name, sizeof name), place->medium.mount);
}
