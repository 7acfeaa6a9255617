#ifndef CLI_EJECT_H
#define CLI_EJECT_H

#include <limits.h>
#include <stdbool.h>

#include "rehost/rehost.h"

/* Unmounting what a backup was written to. */

struct eject {
	bool wanted;
	bool known; /* the system told what it is */
	bool possible; /* made to be taken away, or a disk image */
	bool power; /* it has power of its own to be switched off */
	char what[512]; /* in words */
	char device[256]; /* "/dev/sdb1" */
	char mount[PATH_MAX];
};

/* What the operation works on; false if that is not to be ejected, though it is wanted. */
bool eject_medium(struct eject *eject, const rh_event *event);

/*
 * Writes what is cached and unmounts: by udisks if it is there, else by umount(8).  Says
 * what it did.  RH_E_WRITE.
 */
int eject_run(const struct eject *eject, rh_error *error);

#endif
