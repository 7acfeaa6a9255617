#ifndef FAULTS_SIGNED_SEEN_H
#define FAULTS_SIGNED_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "faults.h"

#define BIT(number) (1u << (number))

/* NULL if it does not open, or if something failed before. */
rh_store *signed_open(
    const char *place, const char *name, unsigned flags, struct outcome *outcome);

struct seen {
	unsigned mask; /* of licences */
	uint64_t left; /* of COUNTED */
	unsigned denied; /* of COUNTED */
	int64_t ends; /* of PERIODIC; 0: not begun */
	unsigned issuers;
	bool another; /* among them */
};

/* Everything that the store says, checked whole; no store is an empty one. */
int signed_look(const char *place, const char *name, struct seen *ret, rh_error *error);

/* Whether the content key is the one that was issued; the expired licence gives none. */
int signed_see_secret(rh_store *store, unsigned number, rh_error *error);

#endif
