#ifndef ENGINE_MEDIUM_H
#define ENGINE_MEDIUM_H

#include "backup/media.h"
#include "engine/engine.h"

/* ---- medium.c: what an operation works on ---- */

struct workplace {
	bool known;
	struct medium medium;
	const char *root; /* of /proc and /sys: "" but in tests */
};

/*
 * Looks at what the directory ${path} lies on: MEDIUM event; for a backup also a notice if that
 * is the very disk that holds ${store}, which may be NULL.  What cannot be found out stays
 * unknown.
 */
void medium_begin(struct workplace *place, struct report *report, const char *path,
    const struct rh_store *store, const char *root);

/*
 * What ${code} and ${error} of a failure really are: RH_E_MEDIUM_GONE if the medium was taken
 * away since medium_begin, RH_E_WRITE for RH_E_ACCESS if it takes no writes any more.  Returns
 * the code.
 */
int medium_explain(const struct workplace *place, int code, rh_error *error);

/*
 * The same where nothing has failed but much is bad: bytes of a medium that is gone look like
 * bytes that are lost.  RH_OK if it is there.
 */
int medium_check(const struct workplace *place, rh_error *error);

/* After a backup: a notice that what can be taken away must be unmounted before. */
void medium_end(const struct workplace *place, struct report *report);

/* ---- space.c: whether a backup fits, known before the medium is full ---- */

struct space {
	const struct medium *medium; /* NULL: unknown */
	const char *path; /* of the directory, for messages */
	unsigned parity; /* percent */
	uint64_t licenses; /* that go in */
	uint64_t bytes; /* of their documents */
	uint64_t licenses_done;
	uint64_t bytes_done;
	uint64_t start; /* bytes of the backup before the first licence */
	bool reserved;
	double stretch_share; /* how far the last stretch went; 0: none yet */
	double stretch_bytes;
	double cheapest; /* what all came to if they were like those of the cheapest one */
};

/* Nothing is written yet of ${licenses} with documents of ${bytes} bytes. */
void space_start(
    struct space *space, uint64_t licenses, uint64_t bytes, const struct backup_writer *writer);

/* RH_E_FULL if no backup whatever fits on ${medium}; before anything is written. */
int space_floor(const struct space *space, rh_error *error);

/*
 * Judges by what ${written} bytes of the backup have come to and by the ${room} that there
 * is for it and its parity file; before an eighth is in it, it is RH_OK.  RH_E_FULL with what
 * is missing, RH_E_FILE_TOO_BIG.  ${*ret_rest}: bytes that will surely follow.
 */
int space_judge(
    struct space *space, uint64_t written, uint64_t room, uint64_t *ret_rest, rh_error *error);

/* The same of a backup that is being written; holds its room as soon as it can be judged. */
int space_check(struct space *space, struct backup_writer *writer, rh_error *error);

/* After RH_E_FULL: puts behind the sentence how much is missing, as far as that is known. */
void space_explain(
    const struct space *space, const struct backup_writer *writer, rh_error *error);

/* ---- backup.c ---- */

/* rh_backup, with ${root} before /proc and /sys. */
int backup_run(rh_store *store, const char *path, const rh_backup_options *options,
    const rh_listener *listener, const char *root, rh_summary *summary, rh_error *error);

#endif
