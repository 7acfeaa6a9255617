#ifndef ENGINE_CHECKING_H
#define ENGINE_CHECKING_H

#include "engine/engine.h"

/* What is told while the medium of a backup is looked at: verify.c, repair.c. */
struct checking {
	struct report *report;
	const char *file; /* of the backup; not ours */
	struct backup_watch watch; /* for the room of the backup */
};

/* ${checking->report} is set; ${checking} stays where it is. */
void checking_begin(struct checking *checking, const char *file);

/* The same in the words of the public header; ${ret->file} is the one that was begun with. */
void checking_condition(
    const struct checking *checking, const struct backup_state *state, rh_condition *ret);

/* Puts what was found bad in ${file} into words; ${code} is RH_E_BACKUP_MENDABLE or _CORRUPT.
 */
int checking_fail(
    const char *file, const struct backup_state *state, int code, rh_error *error);

#endif
