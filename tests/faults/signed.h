#ifndef FAULTS_SIGNED_H
#define FAULTS_SIGNED_H

#include <stdbool.h>

#include "faults.h"

/*
 * Signed licences, and scenarios with them, in a folder of their own:
 *   sworn   the store of computer a: COUNTED, used twice, to EXPIRED; issuer and service pinned
 *   stick   a backup of COUNTED, used once, and PLAIN
 *   full    a backup of sworn
 *   issuer.jwks, another.jwks  of the issuer who is pinned, and of one who is not
 */
enum {
	COUNTED,
	PERIODIC,
	PLAIN,
	MANAGED,
	RESTRICTED,
	EXPIRED,
	NEW_COUNTED, /* these are not in the store */
	NEW_MANAGED,
	LATER, /* a later issue of COUNTED */
	SIGNED_LICENSES
};

#define SIGNED_GRANTED 1000
#define SIGNED_SPENT 2
#define SIGNED_STICK 2 /* licences in stick, */
#define SIGNED_FULL 4 /* and in full */
#define SIGNED_ISSUER "https://shop.example"
#define SIGNED_ANOTHER "https://another.example"
#define SIGNED_SERVICE "https://lms.example/"
#define SIGNED_SECRET_SIZE 20

/* The id; the key id is the same. */
extern const char *const signed_names[SIGNED_LICENSES];
/* The content key. */
void signed_secret(char secret[SIGNED_SECRET_SIZE + 1], unsigned number);

/* The licences and the owner's recovery key, after signed_load. */
extern char signed_texts[SIGNED_LICENSES][4096];
extern char signed_recovery[128];

/* Makes the folder that the runs start with; what they need besides goes into ${notes}. */
bool signed_prepare(const char *place, const char *notes);

/* Reads ${notes}, in the process that the runs are forked from. */
bool signed_load(const char *notes);

/* Ends with a NULL name. */
extern const struct scenario signed_scenarios[];

/* The folder is as it was made: nothing was used. */
void signed_forget(void);

/* Whether a content key, or the beginning of a licence, stands in ${text}. */
bool signed_leaks(const char *text);

/*
 * Adds documents ${first} to ${end}, excluded; backs up.  What is refused and should not be
 * is what the outcome ends in.
 */
void signed_add(const char *place, unsigned first, unsigned end, struct outcome *outcome);
void signed_backup(const char *place, const char *stick, struct outcome *outcome);

#endif
