#ifndef BACKUP_BACKUP_H
#define BACKUP_BACKUP_H

#include "crypto/age.h"
#include "crypto/crypto.h"

/*
 * The backup: an age file of zstd frames over a tar.  See FORMAT.md.  Nothing here
 * knows the store or the licence formats.
 */

#define BACKUP_FORMAT_VERSION 3 /* 1 and 2 are read */
#define BACKUP_ID_SIZE 17 /* 16 hex digits and NUL */
#define BACKUP_NAME_SIZE 64 /* of a generation's file */
#define FRAME_TARGET (1u << 20) /* bytes of tar after which a frame ends */
#define FRAME_MAX (8u << 20) /* bytes of tar that a reader accepts */
#define FRAME_COMPONENT_MAX 63 /* characters of a licence's name in the tar */
#define FRAME_DOCUMENT_MAX (1u << 20) /* bytes of one document */
#define FRAME_PART_MAX (64u << 10) /* bytes of one secret, of one state */
#define FRAME_FACTS_MAX (4u << 10) /* bytes of one licence's facts */
#define BACKUP_SERVICES_MAX 512 /* services with managed secrets in one backup */
#define BACKUP_ISSUERS_MAX (128u << 10) /* bytes of issuers.json */

/* ---- The directory and its generations ---- */

struct backup_directory;

/*
 * Opens ${path}.  RH_E_NO_DIRECTORY, RH_E_NOT_DIRECTORY, RH_E_ACCESS.
 * With ${writing} takes the directory's lock (RH_E_BACKUP_BUSY) and removes what
 * dead runs left behind.
 */
int backup_directory_open(
    const char *path, bool writing, struct backup_directory **ret, rh_error *error);
void backup_directory_close(struct backup_directory *directory);
const char *backup_directory_path(const struct backup_directory *directory);

struct backup_generation {
	char file[BACKUP_NAME_SIZE];
	char id[BACKUP_ID_SIZE];
	int64_t created; /* from the name */
	uint64_t bytes;
	bool whole; /* age_check_structure, and the size that its parity file tells */
	bool parity; /* a parity file lies beside it */
	bool mendable; /* not whole, but its parity file has its structure whole */
};

/*
 * Complete generations, newest first; ${ret} is freed with free().  Files
 * that are damaged in their structure are listed with ${whole} false.
 */
int backup_list(struct backup_directory *directory, struct backup_generation **ret,
    size_t *ret_count, rh_error *error);

/*
 * Removes generations older than the ${keep} newest whole ones; never the one
 * that was committed through ${directory}.
 */
int backup_prune(struct backup_directory *directory, unsigned keep, rh_error *error);

/*
 * Opens recovery.age, and puts it there; see FORMAT.md.  Reading: RH_E_SECRET_NEEDED if
 * there is none that the passphrase could open, RH_E_SECRET_WRONG, RH_E_BACKUP_CORRUPT.
 * Writing takes about a second, and needs a directory opened for writing.
 */
int backup_recovery_read(struct backup_directory *directory, const char *passphrase,
    struct age_identity *ret, rh_error *error);
int backup_recovery_write(struct backup_directory *directory, const char *passphrase,
    const struct age_identity *identity, rh_error *error);

/* ---- Parity: what a medium did to a backup, and the cure ---- */

enum backup_condition {
	BACKUP_WHOLE, /* every byte is as it was written */
	BACKUP_MENDABLE, /* some are not, and the parity file can make them anew */
	BACKUP_LOST, /* some are lost */
	BACKUP_UNKNOWN /* there is no parity file that could tell */
};

/* What backup_check and backup_repair found and did; both files of a generation together. */
struct backup_state {
	enum backup_condition
	    condition; /* of the backup; the parity file alone is never lost */
	uint64_t bytes; /* looked at */
	uint64_t bytes_bad; /* in blocks of 4,096 bytes */
	uint64_t bytes_lost; /* of these */
	uint64_t bytes_mended; /* by backup_repair */
	unsigned reserve; /* percent of the reserve that is used where most is; 0 to 100 */
	rh_error why; /* of BACKUP_UNKNOWN: RH_E_PARITY, and why the parity file is of no use */
};

/* Who listens; every member may be NULL. */
struct backup_watch {
	/*
	 * A run of bad bytes in ${file}, in the order of files and offsets; ${lost}: they
	 * cannot be mended.  A file that is too short ends in such a run.
	 */
	void (*on_damage)(
	    void *context, const char *file, uint64_t offset, uint64_t bytes, bool lost);
	/*
	 * There are to look at; told anew when a repair copies, and when it looks again at
	 * what it has mended.
	 */
	void (*on_total)(void *context, uint64_t bytes);
	void (*on_bytes)(void *context, uint64_t bytes); /* more were looked at */
	int (*stop)(void *context); /* other than 0: RH_E_CANCELED */
	void *context;
};

/*
 * Looks at every byte of the generation ${file} and of its parity file; needs no key.
 * RH_OK whatever was found; RH_E_BACKUP_MISSING, RH_E_MEDIUM_GONE, RH_E_READ,
 * RH_E_CANCELED.
 */
int backup_check(struct backup_directory *directory, const char *file,
    const struct backup_watch *watch, struct backup_state *ret, rh_error *error);

/*
 * Mends what can be mended of the generation ${file} and of its parity file.  Without ${to}
 * in their place, bad blocks alone, the backup first: at each instant no good byte has been
 * overwritten.  With ${to}, another directory that is open for writing, whole copies of both
 * appear there, read back and renamed into place as a backup is, and nothing changes in
 * ${directory}; if anything is lost there is no copy.  recovery.age comes along if ${to} has
 * none; where it cannot be read it is told as damage that is lost.  Directories without ${to}
 * must be open for writing. RH_OK if ${ret->condition} is BACKUP_WHOLE in the end;
 * RH_E_BACKUP_CORRUPT if something is lost (what could be mended was), RH_E_PARITY if there is
 * nothing to mend with, RH_E_BACKUP_EXISTS if ${to} has a file of that name, RH_E_READ_BACK,
 * RH_E_WRITE, RH_E_FULL, RH_E_CANCELED.
 */
int backup_repair(struct backup_directory *directory, const char *file,
    struct backup_directory *to, const struct backup_watch *watch, struct backup_state *ret,
    rh_error *error);

/* ---- The first member, rehost.json ---- */

struct backup_header {
	int format_version;
	char id[BACKUP_ID_SIZE];
	int64_t created;
	char generator[64];
	char computer_id[64];
	char *computer_key; /* JWK; NULL unless signed */
	uint64_t owned;
	uint64_t managed;
	uint64_t restricted;
	uint64_t bytes;
	/*
	 * For each service the key that managed secrets of this backup are derived from, sealed
	 * for the service: see FORMAT.md, "Managed secrets".  Owned.
	 */
	struct backup_service {
		char *service; /* address */
		char *key; /* compact JWE */
		char *owner; /* rehost-owner+jwt; NULL: none */
	} * services;
	size_t service_count;
	char *issuers; /* what issuers.json holds, JSON text; NULL: none.  Owned. */
	/*
	 * Proof: HMAC-SHA-256 over rehost.json and issuers.json, under a key that only holders
	 * of the recovery key can make (backup_proof_key).  Who merely encrypts for it cannot
	 * have written a backup that carries it.  Frames carry one of their own, or who reads
	 * one backup could put other licences behind its header.  Set by the reader; the
	 * writer makes it.
	 */
	bool has_proof;
	uint8_t proof[DIGEST_SIZE];
	uint8_t proven[DIGEST_SIZE]; /* set by the reader: digest of what the proof is over */
};

/* ---- Proof: proof.c ---- */

/* Secret: 32 bytes from the secret half of a recovery key. */
int backup_proof_key(
    const struct age_identity *recovery, uint8_t ret[KEY_SIZE], rh_error *error);
/* ${*ret}: whether the header that was read carries the proof of this key. */
int backup_header_proven(const struct backup_header *header, const uint8_t key[KEY_SIZE],
    bool *ret, rh_error *error);

void backup_header_free(struct backup_header *header);

/* ---- Frames: made and read on any thread ---- */

/*
 * A frame of licences, compressed.  Since version 3 what is told about it (its manifest,
 * facts and proof) is a zstd frame of its own, which lies in the file at some distance: damage
 * of the one leaves the other.  In versions 1 and 2 all is in ${licenses}.
 */
struct backup_frame {
	struct buffer licenses; /* empty: lost, or the end */
	struct buffer manifest; /* empty: lost, or there is none apart */
	bool cut; /* ${licenses} stops in the middle, at damage */
	bool alone; /* the manifest is lost: licences are what age has authenticated */
};
void backup_frame_clear(struct backup_frame *frame);
void backup_frame_free(struct backup_frame *frame);

struct frame_builder;
int frame_builder_new(struct frame_builder **ret, rh_error *error);
void frame_builder_free(struct frame_builder *builder);

/* Every frame from here on gets a proof, for the backup ${id}. */
void frame_builder_prove(
    struct frame_builder *builder, const uint8_t key[KEY_SIZE], const char *id);

/* Starts a frame; ${number} names its manifest, ${time} stands in every member. */
int frame_begin(struct frame_builder *builder, uint32_t number, int64_t time, rh_error *error);

/*
 * One licence: ${component} as license_path_component makes it; ${secret} and
 * ${state} may be empty.  ${digest} is the document's SHA-256, for the manifest.
 */
struct frame_license {
	const char *component;
	const void *document;
	size_t document_size;
	const uint8_t *digest;
	const void *secret;
	size_t secret_size;
	const void *state; /* JSON */
	size_t state_size;
	const void
	    *facts; /* what the document says, one line of text; for the writer's own use */
	size_t facts_size;
	bool sealed; /* ${secret} is a managed one, sealed by managed_seal */
	bool proven; /* set by the parser: the frame carries the proof that was asked for */
};

/*
 * Where the next licence's document of ${size} bytes will lie in the frame: one that is put
 * there before frame_add is not copied.  Valid until the next call with this builder.
 */
int frame_reserve(struct frame_builder *builder, size_t size, uint8_t **ret, rh_error *error);

/*
 * RH_E_LICENSE_TOO_BIG; RH_E_ARGUMENT for a frame over FRAME_MAX, which a frame that is
 * ended at FRAME_TARGET never is.  The frame is no use after a failure.
 */
int frame_add(
    struct frame_builder *builder, const struct frame_license *license, rh_error *error);

/* The most bytes of tar that a licence takes, its lines in the manifest counted. */
size_t frame_license_size(size_t document, size_t secret, size_t state);

/*
 * Ends the frame with its manifest and gives it compressed; the builder's, until begin.
 * Without a licence it is empty, and backup_writer_append takes that as nothing.
 */
int frame_finish(
    struct frame_builder *builder, const struct backup_frame **ret, rh_error *error);

/* Reads one compressed frame; one per thread, reused. */
struct frame_parser;
int frame_parser_new(struct frame_parser **ret, rh_error *error);
void frame_parser_free(struct frame_parser *parser);

/* Frames of the backup ${id} are looked at for the proof of this key. */
void frame_parser_prove(
    struct frame_parser *parser, const uint8_t key[KEY_SIZE], const char *id);

/*
 * Decompresses and reads every member, compares documents with the frame's
 * manifest (both ways), and calls ${on_license} for each licence; its memory is
 * the parser's, until the next call.  RH_E_LICENSE_DAMAGED is given to
 * ${on_damaged} per licence (may be NULL: then the first one fails); anything else that
 * is wrong is RH_E_BACKUP_CORRUPT.
 *
 * Of a frame that is ${cut}, the licences that stand whole before the cut are given, and
 * ${on_damaged} gets all others that its manifest lists; so it does for every licence of
 * a manifest whose licences are lost.  Of a frame that is ${alone} what is there is given,
 * without facts and unproven; at a cut the last one's name may be all that is known.
 * ${damaged}: ${component}, and ${facts} and ${proven} as far as they are known; no more.
 */
int frame_parse(struct frame_parser *parser, const struct backup_frame *frame,
    int (*on_license)(void *context, const struct frame_license *license, rh_error *error),
    int (*on_damaged)(void *context, const struct frame_license *damaged, const rh_error *why),
    void *context, rh_error *error);

/* ---- The whole file ---- */

struct backup_writer;

/*
 * Starts a generation under a temporary name, with ${header} as first member,
 * signed by ${signing_key} (P-256 scalar).  Fills ${header->id}, ${header->created}
 * (later than every generation there), ${header->format_version}, and ${header->generator}
 * if it is empty; ${header->computer_key} is not read.  ${proof_key} NULL: without proof; else
 * the frames want theirs, too.  ${parity}: percent, 0 for no parity file.
 * ${directory} outlives the writer.
 */
int backup_writer_new(struct backup_directory *directory, struct backup_header *header,
    const uint8_t *signing_key, const uint8_t *proof_key,
    const struct age_recipient *recipients, size_t count, unsigned parity,
    struct backup_writer **ret, rh_error *error);
/* Takes the manifest's bytes; it is written some frames later. */
int backup_writer_append(
    struct backup_writer *writer, const struct backup_frame *frame, rh_error *error);

/*
 * Ends the archive, flushes it, reads it back from the medium and compares; then the same
 * with its parity file.  Both still under temporary names.  ${stop}, if not NULL, is asked now
 * and then and stops with RH_E_CANCELED when it returns other than 0.
 */
int backup_writer_finish(
    struct backup_writer *writer, int (*stop)(void *context), void *context, rh_error *error);

/*
 * Writes HOW-TO-OPEN.txt if needed, renames the parity file and then the backup into place
 * and flushes the directory: from here on it is a backup.  If only that flush fails the backup
 * stays, beside the older ones.
 */
int backup_writer_commit(struct backup_writer *writer, rh_error *error);
/* Size of the age file so far, with what waits to be written. */
uint64_t backup_writer_bytes(const struct backup_writer *writer);
/*
 * Holds room for ${bytes} more of it, where the file system can; backup_writer_finish gives
 * back what was not needed.  RH_E_FULL.
 */
int backup_writer_reserve(struct backup_writer *writer, uint64_t bytes, rh_error *error);
/*
 * What the backup and its parity file can take on this medium, with what they have taken;
 * UINT64_MAX: unknown.
 */
uint64_t backup_writer_room(const struct backup_writer *writer);
/* Size of the parity file of a backup of ${size} bytes; 0: none is made of such a one. */
uint64_t backup_parity_size(uint64_t size, unsigned percent);
/* Removes the temporary files unless they were committed; NULL is fine. */
void backup_writer_free(struct backup_writer *writer);

struct backup_reader;

/* What was found wrong while reading. */
struct backup_wear {
	uint64_t bytes_mended; /* in memory, by the parity file */
	uint64_t
	    bytes_lost; /* of the plaintext, by whole chunks; at least 1 if the end is lost */
	bool header_lost; /* rehost.json: the header says nothing but the file's name */
};

/*
 * Opens ${file} of ${directory} and reads its header.  What is damaged is mended in memory
 * where its parity file can.  RH_E_SECRET_NEEDED,
 * RH_E_SECRET_WRONG, RH_E_BACKUP_CORRUPT, RH_E_BACKUP_NEWER, RH_E_BACKUP_MISSING.
 * ${salvage}: damage beyond that is passed over, as long as the age header opens: then
 * backup_reader_next gives what is whole, and backup_reader_wear tells.
 * ${directory} outlives the reader.
 */
int backup_reader_new(struct backup_directory *directory, const char *file,
    const struct age_keys *keys, bool salvage, struct backup_reader **ret, rh_error *error);
const struct backup_header *backup_reader_header(const struct backup_reader *reader);
/* Until now; complete at the end. */
void backup_reader_wear(const struct backup_reader *reader, struct backup_wear *ret);

/*
 * Asks ${stop} before each part that is lost, on the thread that reads: backup_reader_next is
 * RH_E_CANCELED when it returns other than 0.  A file may be of many lost parts and little
 * else.
 */
void backup_reader_heed(
    struct backup_reader *reader, int (*stop)(void *context), void *context);

/*
 * The next frame of licences, compressed; both parts of ${frame} are empty at the
 * authenticated end, or, if damage is passed over, at the last that is there.
 */
int backup_reader_next(
    struct backup_reader *reader, struct backup_frame *frame, rh_error *error);
void backup_reader_free(struct backup_reader *reader);

#endif
