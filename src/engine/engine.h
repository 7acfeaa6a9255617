#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdatomic.h>

#include "backup/backup.h"
#include "engine/report.h"
#include "store/store.h"

/* What the engine's files share.  Public functions are in rehost/rehost.h. */

struct rh_store {
	char *directory;
	int fd; /* of the directory */
	struct computer *computer;
	struct store *store;
	char recipient[AGE_TEXT_SIZE]; /* of the computer */
	char language[LANGUAGE_SIZE]; /* of the user when the store was opened */
};

/* RH_E_ARGUMENT naming ${what} if ${value} is NULL or "". */
int argument_text(const char *value, const char *what, rh_error *error);

/* ---- filter.c ---- */

#define FILTER_TERMS_MAX 16

struct filter {
	char *text; /* owned; the terms point into it */
	size_t count;
	struct {
		int field;
		const char *pattern;
	} terms[FILTER_TERMS_MAX];
};

int filter_parse(struct filter *filter, const char *text, rh_error *error);
void filter_free(struct filter *filter);
bool filter_passes(const struct filter *filter, const rh_license *license);

/* ---- recovery.c ---- */

/* Fills ${ret}; ${*ret_secret} tells whether the secret half is there.  Wipe it. */
int recovery_load(struct rh_store *store, struct age_identity *ret, bool *ret_known,
    bool *ret_secret, rh_error *error);

/* The key that proves backups of this store; ${*ret_known} false if there is none.  Wipe it. */
int recovery_proof(
    struct rh_store *store, uint8_t ret[KEY_SIZE], bool *ret_known, rh_error *error);

/* ---- pins.c ---- */

/* Pins as they are kept: one sealed value of the store a kind. */
struct pins {
	size_t count;
	struct pin {
		char *name;
		char *source;
		int64_t added;
		char *text; /* the set, compact JSON */
		struct jose_set keys;
	} * list;
};
int pins_load(struct rh_store *store, enum rh_pin_kind kind, struct pins *ret, rh_error *error);
void pins_free(struct pins *pins);
/* NULL if nobody of this name is pinned. */
const struct pin *pins_find(const struct pins *pins, const char *name);

/* Every issuer as JSON text for a backup (NULL if there is none), freed with free(). */
int pins_export(const struct pins *pins, char **ret, rh_error *error);

/*
 * Takes into ${pins} those issuers of ${text} whose names it does not have, with a notice for
 * each if there is a ${report}.  RH_E_BACKUP_CORRUPT if it is no such text.
 */
int pins_merge(struct pins *pins, const char *text, struct report *report, bool *ret_changed,
    rh_error *error);

/*
 * Pins issuers of a proven backup that are not pinned here, with a notice for each; within
 * the caller's write transaction.  RH_E_BACKUP_CORRUPT if it is no such text.
 */
int pins_import(
    struct rh_store *store, const char *text, struct report *report, rh_error *error);

/* ---- trust.c: who is trusted, for reading signed licences ---- */

struct trust {
	struct license_trust trust;
	struct pins pins;
	struct license_issuer *issuers;
};
/*
 * ${store} NULL: of a computer without one, which trusts only who ${text} names.
 * ${text} NULL, or further issuers as pins_export made them.
 */
int trust_load(
    struct rh_store *store, bool moved, const char *text, struct trust *ret, rh_error *error);
void trust_free(struct trust *trust);

/* ---- settle.c: a licence whose id the store knows; within a write transaction ---- */

/* Whoever proves himself by a signature is replaced, and spent from, only by himself. */
bool settle_same_issuer(const struct license *a, const struct license *b);

/*
 * What becomes of a sealed row after RH_E_LICENSE_CONFLICT of store_insert: RH_S_UPDATED,
 * RH_S_OLDER, RH_E_LICENSE_CONFLICT.
 */
int settle_conflict(struct rh_store *store, struct store_sealer *sealer, struct store_row *row,
    const struct store_here *here, rh_error *error);

/* Gives an inserted row what it had spent before it was removed: RH_S_STATE_MERGED. */
int settle_spent(struct rh_store *store, struct store_sealer *sealer, struct store_row *row,
    rh_error *error);

/* ---- moment.c: the time that rights go by ---- */

/*
 * The present moment for rights: the clock, or, where it was set back, the time that must
 * have been reached by now.
 */
int moment_now(struct rh_store *store, struct license_moment *ret, rh_error *error);
/* Notes it in the store, so that it is not earlier again; within a write transaction. */
int moment_note(struct rh_store *store, const struct license_moment *moment, rh_error *error);
/* Whether what is noted is over a minute behind ${moment}. */
int moment_due(
    struct rh_store *store, const struct license_moment *moment, bool *ret, rh_error *error);

/* ---- licenses.c ---- */

/*
 * A licence as this computer's user sees it, with what is left here.  ${state} NULL: the
 * counts as granted.  ${computer} is this one's thumbprint.
 */
const rh_license *license_show(struct license_view *view, const struct rh_store *store,
    const struct store_row *row, const struct license_state *state, const char *computer);

/* The licence with this id, or the only one whose id starts so; as rh_get. */
int license_find(
    struct rh_store *store, const char *prefix, struct store_row *row, rh_error *error);

/* ---- opening.c: the newest backup that can be read ---- */

struct opening {
	struct backup_directory *directory;
	struct backup_generation *generations; /* newest first */
	size_t count;
	size_t next; /* the generation to try next */
	bool salvage; /* no other is whole: damage is passed over */
	struct age_identity identities[2];
	struct age_keys keys;
	bool own_keys; /* nobody gave a key: those of the store are tried */
	const struct workplace *place; /* what it lies on; NULL: not known */
};

/* Checks that the options are set up, and reads their filter. */
int opening_options(const rh_open_options *options, struct filter *ret, rh_error *error);

/* Opens the directory, lists it, and collects keys.  ${store} may be NULL. */
int opening_begin(struct opening *opening, struct rh_store *store, const char *path,
    const rh_open_options *options, rh_error *error);

/*
 * Opens the next generation that is whole in structure, if need be with its parity, with a
 * notice for each one that is not.  Where there is but one, or each has failed, damage is
 * passed over (${opening->salvage}), from the newest on; where there is none at all, in the
 * newest that opens. RH_E_BACKUP_MISSING if there is none, RH_E_BACKUP_CORRUPT if all are
 * damaged.
 */
int opening_reader(struct opening *opening, struct report *report, struct backup_reader **ret,
    rh_error *error);

/*
 * Whether a generation is left to try after this one ended in ${code}: RH_E_BACKUP_CORRUPT, or
 * RH_E_READ of a medium that is still there.  Says so.
 */
bool opening_older(struct opening *opening, struct report *report, int code);

/* The generation that opening_reader gave last, from its beginning. */
int opening_again(const struct opening *opening, struct backup_reader **ret, rh_error *error);

/* Says, with a CONDITION event, what had to be mended and what was lost in reading it. */
void opening_tell_wear(
    const struct opening *opening, struct report *report, const struct backup_reader *reader);
void opening_end(struct opening *opening);

/* ---- belief.c: how far a backup is believed ---- */

struct belief {
	bool proven; /* written by a holder of the recovery key, or his computer */
	uint8_t key[KEY_SIZE]; /* secret: that proves it */
	bool trusts; /* signatures can be checked */
	struct trust trust;
};

/*
 * Whether the header carries the proof of a key of ${opening} or ${store} (may be NULL), and
 * who is trusted for signatures: the issuers of a proven backup, and those of the
 * store.  Without a store, or with ${show_only}, unproven signed licences are read without a
 * look at their signatures.
 */
int belief_form(const struct opening *opening, struct rh_store *store,
    const struct backup_header *header, bool show_only, struct belief *ret, rh_error *error);
void belief_free(struct belief *belief);

/* ---- contents.c: licences of a backup, read in parallel ---- */

/* A licence of a backup, read and checked. */
struct content {
	struct store_row row; /* facts; also sealed, if there is a store to seal for */
	struct license_state state;
	char component[LICENSE_COMPONENT_SIZE];
	char computer[JOSE_THUMBPRINT_SIZE]; /* that the document, if it was read, names */
	int code; /* RH_OK, or why the licence cannot be used */
	rh_error *why; /* NULL if code is RH_OK */
	bool chosen; /* by the filter */
	bool passed_over; /* left out this time: nothing is to be said of it */
	struct buffer document; /* with ${contents->keep} */
	struct buffer secret; /* as it lies in the backup: sealed */
	bool unchecked; /* signed, and nobody could tell whether rightly */
};

/* What may be left out of a reading. */
enum contents_part { CONTENTS_OWNED = 1, CONTENTS_MANAGED = 2, CONTENTS_DAMAGED = 4 };

struct contents {
	struct report *report;
	struct backup_reader *reader;
	const struct filter *filter;
	struct store *seal_for; /* seal rows for this store, or NULL */
	int64_t added; /* time of adding, for the rows */
	const struct belief *belief;
	/*
	 * Take the facts from the backup, where it has them, of signed licences if they are
	 * proven; else compare them.
	 */
	bool believe;
	unsigned leave_out; /* enum contents_part */
	/*
	 * Of managed ones, gives document and sealed secret along; a row that is sealed waits
	 * for its secret (store_seal_secret).  Where one was issued to ${computer}, a name in
	 * licences or "", it says so.
	 */
	bool keep;
	const char *computer;
	bool quiet; /* ${on_content} tells report_done itself */

	/* On a worker thread, for each usable licence that the filter chose; may be NULL. */
	int (*on_members)(void *context, const struct frame_license *members, rh_error *error);
	/* On the calling thread, for every licence of the backup in order. */
	int (*on_content)(void *context, struct content *content, rh_error *error);
	void *context;

	/* Private. */
	struct backup_frame first; /* a frame that was read ahead */
	bool away; /* the reader is read on worker threads */
	atomic_bool stopped; /* asked there */
	bool unchecked; /* was said */
	uint64_t licenses;
	uint64_t bytes;
	uint64_t damaged; /* of those licences */
};

/*
 * Reads ahead so that ${seal_for} may learn its dictionary from the first licences, within
 * the caller's write transaction.  To be called before contents_run.
 */
int contents_learn(struct contents *contents, rh_error *error);

/*
 * Reads every licence.  RH_E_BACKUP_CORRUPT also if fewer or more licences or
 * bytes come than the header says; but for licences that are lost to damage that is passed
 * over: ${on_content} gets each of them, as far as it is known, with RH_E_LICENSE_DAMAGED.
 */
int contents_run(struct contents *contents, rh_error *error);

void contents_free(struct contents *contents);
/* Of one that was taken out of the hands of a reading. */
void content_free(struct content *content);

/* contents_facts.c: fills facts and state.  A code of license_code is of this one alone. */
int content_read(const struct contents *run, struct content *content,
    const struct frame_license *members, rh_error *error);
/* Copies of what a service is asked with. */
int content_keep(const struct contents *run, struct content *content,
    const struct frame_license *members, rh_error *error);

/* For readers that only count: what became of each licence. */
struct tally {
	struct report *report;
	rh_summary *summary;
	rh_error first; /* of the licences that cannot be used */
};

/* An ${on_content}: counts the licence, and reports it if it cannot be used. */
int tally_content(void *context, struct content *content, rh_error *error);

#endif
