#ifndef BACKUP_REPAIR_H
#define BACKUP_REPAIR_H

#include "backup/parity.h"

/* One repair; of this room only.  repair.c mends in place, repair_copy.c makes a copy. */
struct repair {
	struct backup_directory *directory;
	const char *file;
	char display[DISPLAY_SIZE];
	const struct backup_watch *watch;
	struct backup_state *state;
	int fd; /* of the backup */
	int out; /* where it is mended: the same, or a copy */
	int parity_out;
	char out_display[DISPLAY_SIZE];
	char parity_out_display[DISPLAY_SIZE];
	size_t unflushed; /* bytes that were written since the last flush */
	struct parity *parity;
	struct parity_map map;
	struct parity_stripe *stripe;
	struct digest *digest;
};

int repair_stop(const struct repair *repair, rh_error *error);
/* RH_E_BACKUP_CORRUPT, in words. */
int repair_lost(const struct repair *repair, rh_error *error);
/*
 * Mends what is bad in ${out} and ${parity_out}, flushes both, and looks at every byte of
 * them again.
 */
int repair_mend(struct repair *repair, rh_error *error);

/* Puts copies of both files, mended, into ${to}; ${repair} has looked at them. */
int repair_copy(struct repair *repair, struct backup_directory *to, rh_error *error);

#endif
