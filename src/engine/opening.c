#include <stdlib.h>
#include <string.h>

#include "crypto/recovery_code.h"

#include "engine/medium.h"

static void add_identity(struct opening *opening, const struct age_identity *identity)
{
	opening->identities[opening->keys.identity_count++] = *identity;
	opening->keys.identities = opening->identities;
}

/* The key that the caller gave, or those that the store has. */
static int collect_keys(struct opening *opening, struct rh_store *store,
    const rh_open_options *options, rh_error *error)
{
	struct age_identity identity = {0};
	bool known, secret = false;
	int code = RH_OK;

	if (options->recovery_key != NULL) {
		code = recovery_key_parse(&identity, options->recovery_key, error);
		if (code == RH_OK)
			add_identity(opening, &identity);
	}
	if (code == RH_OK && options->passphrase != NULL) {
		code = backup_recovery_read(
		    opening->directory, options->passphrase, &identity, error);
		if (code == RH_OK)
			add_identity(opening, &identity);
	}
	if (code == RH_OK && opening->keys.identity_count == 0) {
		opening->own_keys = true;
		if (store != NULL) {
			add_identity(opening, computer_age_identity(store->computer));
			code = recovery_load(store, &identity, &known, &secret, error);
		}
		if (code == RH_OK && secret)
			add_identity(opening, &identity);
	}
	bytes_wipe(&identity, sizeof identity);
	return code;
}

int opening_options(const rh_open_options *options, struct filter *ret, rh_error *error)
{
	if (options->size != sizeof *options)
		return error_set(error, RH_E_ARGUMENT,
		    "the options were not set up by RH_OPEN_OPTIONS_INIT");
	return filter_parse(ret, options->filter, error);
}

int opening_begin(struct opening *opening, struct rh_store *store, const char *path,
    const rh_open_options *options, rh_error *error)
{
	int code;

	*opening = (struct opening){0};
	code = argument_text(path, "backup directory", error);
	if (code == RH_OK)
		code = backup_directory_open(path, false, &opening->directory, error);
	if (code == RH_OK)
		code = backup_list(
		    opening->directory, &opening->generations, &opening->count, error);
	if (code == RH_OK && opening->count == 0)
		code = error_set(
		    error, RH_E_BACKUP_MISSING, "there is no complete backup in %s", path);
	if (code == RH_OK)
		code = collect_keys(opening, store, options, error);
	if (code != RH_OK)
		opening_end(opening);
	return code;
}

/* Of this or a later place in the list, the first generation that is complete. */
static size_t next_complete(const struct opening *opening, size_t from)
{
	while (from < opening->count && !opening->generations[from].whole &&
	       !opening->generations[from].mendable)
		from++;
	return from;
}

int opening_reader(
    struct opening *opening, struct report *report, struct backup_reader **ret, rh_error *error)
{
	size_t found = next_complete(opening, opening->next);
	const struct backup_generation *generation;
	int code;

	for (size_t i = opening->next; i < found && i < opening->count; i++)
		report_notice(
		    report, "%s is damaged or incomplete", opening->generations[i].file);
	if (found < opening->count)
		opening->next = found;
	if (next_complete(opening, next_complete(opening, 0) + 1) >= opening->count)
		opening->salvage = true;
	generation = &opening->generations[opening->next];
	code = backup_reader_new(
	    opening->directory, generation->file, &opening->keys, opening->salvage, ret, error);
	if (opening_older(opening, report, code)) {
		error_clear(error);
		return opening_reader(opening, report, ret, error);
	}
	/* The computer's own keys not fitting is no wrong secret: none was given. */
	if (code == RH_E_SECRET_WRONG && opening->own_keys)
		return error_set(error, RH_E_SECRET_NEEDED,
		    "%s was made on another computer and opens with its recovery key",
		    generation->file);
	return code;
}

/* Damage is where the medium does not read, too, as long as it is there. */
static bool is_damage(const struct opening *opening, int code)
{
	if (code == RH_E_READ)
		return opening->place == NULL || medium_check(opening->place, NULL) == RH_OK;
	return code == RH_E_BACKUP_CORRUPT;
}

bool opening_older(struct opening *opening, struct report *report, int code)
{
	size_t next = opening->next + 1, found = next_complete(opening, next);

	if (!is_damage(opening, code))
		return false;
	/* None is whole: what is left of a newer one is likely to be more. */
	if (found == opening->count && !opening->salvage) {
		opening->salvage = true;
		opening->next = next_complete(opening, 0);
		report_notice(report, "no backup is whole; what is left of %s is used",
		    opening->generations[opening->next].file);
		return true;
	}
	/* The newest are damaged; an older one that is damaged too comes after those. */
	if (found == opening->count && next < opening->count &&
	    next_complete(opening, opening->next) != opening->next)
		found = next;
	if (found == opening->count)
		return false;
	report_notice(report, "%s is damaged; the earlier backup %s is used",
	    opening->generations[opening->next].file, opening->generations[found].file);
	opening->next = found;
	return true;
}

int opening_again(const struct opening *opening, struct backup_reader **ret, rh_error *error)
{
	return backup_reader_new(opening->directory, opening->generations[opening->next].file,
	    &opening->keys, opening->salvage, ret, error);
}

void opening_tell_wear(
    const struct opening *opening, struct report *report, const struct backup_reader *reader)
{
	const struct backup_generation *generation = &opening->generations[opening->next];
	rh_condition condition = {.file = generation->file, .bytes = generation->bytes};
	struct backup_wear wear;

	backup_reader_wear(reader, &wear);
	if (wear.bytes_mended == 0 && wear.bytes_lost == 0)
		return;
	condition.state = wear.bytes_lost > 0 ? RH_STATE_LOST : RH_STATE_MENDABLE;
	condition.bytes_bad = wear.bytes_mended + wear.bytes_lost;
	condition.bytes_mended = wear.bytes_mended;
	condition.bytes_lost = wear.bytes_lost;
	report_condition(report, &condition);
}

void opening_end(struct opening *opening)
{
	backup_directory_close(opening->directory);
	free(opening->generations);
	bytes_wipe(opening->identities, sizeof opening->identities);
	*opening = (struct opening){0};
}
