#ifndef LICENSE_ACTIONS_H
#define LICENSE_ACTIONS_H

#include "license/xml.h"

/*
 * ONACTION and ONSTORE of a DRM v7 licence: collected while it is read, judged
 * at its end.  Private to this room.
 */

#define ACTIONS_MAX 32 /* ONACTION elements of one licence */

/* One ONACTION, or all of ONSTORE.  Texts are offsets into actions.texts. */
struct rule {
	char type[32]; /* the action in lower case; "" if it has none */
	size_t condition;
	size_t action;
	bool odd; /* not of the plain shape: its meaning is unknown */
};

/* All zero is ready for actions_reset(). */
struct actions {
	struct buffer texts; /* offset 0: "" */
	struct rule rules[ACTIONS_MAX];
	struct rule on_store;
	struct rule *open; /* NULL: it is one too many */
	size_t count;
	bool too_many;
};

/* Begins a new licence. */
int actions_reset(struct actions *actions, rh_error *error);
void actions_free(struct actions *actions);

void actions_start_action(struct actions *actions, const struct xml_attributes *attributes);
void actions_start_store(struct actions *actions);

enum actions_part { ACTIONS_CONDITION, ACTIONS_ACTION };

/* A CONDITION or ACTION of what was started last; ${cut}: the text is not all of it. */
int actions_text(struct actions *actions, enum actions_part part, const void *text, size_t size,
    bool cut, rh_error *error);

/*
 * Fills the right to back up with its reason, the times and the counts; and what else the
 * licence grants: actions whose conditions are understood, all others make ${rights} vague.
 */
void actions_finish(
    const struct actions *actions, struct license *license, struct license_rights *rights);

#endif
