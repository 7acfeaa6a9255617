#ifndef ENGINE_RECIPIENTS_H
#define ENGINE_RECIPIENTS_H

#include "engine/engine.h"

/* Who can open a backup. */

/* The owner's recovery key, made now if there is none; ${*ret_secret}: with its secret half. */
int recipients_owner(struct rh_store *store, struct report *report, struct age_identity *ret,
    bool *ret_secret, rh_error *error);

/* The computer, the owner, and whom the owner names; freed with free().  RH_E_RECIPIENT. */
int recipients_make(struct rh_store *store, const struct age_identity *recovery,
    const rh_backup_options *options, struct age_recipient **ret, size_t *ret_count,
    rh_error *error);

#endif
