#ifndef TESTS_BACKUP_REPAIR_PATIENT_H
#define TESTS_BACKUP_REPAIR_PATIENT_H

#include "../parity/damage.h"

/* A damaged backup, and what it was before. */

struct patient {
	struct damage damage; /* the files as they are given */
	struct buffer backup, parity; /* as they were */
	char to[256]; /* an empty directory */
};
/* For cmocka; the state is a struct patient, of SIZE bytes with 10 % and whole. */
int patient_setup(void **state);
int patient_teardown(void **state);

/* Puts the files there as they were protected, then damages some of both; ${longer}: and adds
 * to their ends. */
void patient_fall_ill(struct patient *patient, bool longer);

/* backup_repair; ${to} NULL: in place.  Fails the test unless ${error} agrees. */
int patient_repair(struct patient *patient, const char *to, const struct backup_watch *watch,
    struct backup_state *ret, rh_error *error);

/* Fails the test unless both files in ${path} are as they were. */
void patient_expect_whole(const struct patient *patient, const char *path);
/* ... unless both files are what was given. */
void patient_expect_untouched(const struct patient *patient);
/* ... if a block that was good when it was given is not. */
void patient_expect_no_worse(const struct patient *patient);

#endif
