#ifndef BACKUP_INTERNAL_H
#define BACKUP_INTERNAL_H

#include <zstd.h>

#include "backup/backup.h"

/* What the files of this room share; nobody else includes it. */

/* ---- tar.c: ustar (POSIX.1-1988), regular files only ---- */

#define TAR_BLOCK 512
#define TAR_PATH_MAX 99
/* The latest time that the header's 11 octal digits can say. */
#define TAR_TIME_MAX 077777777777LL
/* Two blocks of zeros end an archive. */
#define TAR_END_SIZE ((size_t)2 * TAR_BLOCK)

/* Bytes that a member takes with its header. */
size_t tar_member_size(size_t size);

/* Appends a member, mode 0600, owner 0. */
int tar_append(struct buffer *tar, const char *path, const void *bytes, size_t size,
    int64_t time, rh_error *error);

/* Walks over the ${size} bytes at ${bytes}; ${offset} starts at 0. */
struct tar_cursor {
	const uint8_t *bytes;
	size_t size;
	size_t offset;
};

struct tar_member {
	char path[TAR_PATH_MAX + 1];
	const uint8_t *bytes; /* within the cursor's bytes */
	size_t size;
};

/* Sets ${*ret_end} behind the last member.  RH_E_BACKUP_CORRUPT. */
int tar_next(
    struct tar_cursor *cursor, struct tar_member *member, bool *ret_end, rh_error *error);

/* Name of the member whose header starts there; false if there is no header, whole. */
bool tar_path(const void *bytes, size_t size, char ret[TAR_PATH_MAX + 1]);

/* ---- zframe.c: one zstd frame (RFC 8878) with its size ---- */

int zframe_compressor(ZSTD_CCtx **ret, rh_error *error);

/* Puts ${size} bytes as one frame in place of what ${frame} held. */
int zframe_pack(ZSTD_CCtx *compressor, const void *bytes, size_t size, struct buffer *frame,
    rh_error *error);

/*
 * Puts the content of the one frame that the ${size} bytes are in place of what ${bytes}
 * held; at most ${limit} bytes.  RH_E_BACKUP_CORRUPT.
 */
int zframe_unpack(ZSTD_DCtx *decompressor, const void *frame, size_t size, size_t limit,
    struct buffer *bytes, rh_error *error);

/* The same behind what ${bytes} holds. */
int zframe_append(ZSTD_DCtx *decompressor, const void *frame, size_t size, size_t limit,
    struct buffer *bytes, rh_error *error);

/* As far as it goes, of a frame that stops in the middle: perhaps nothing. */
int zframe_append_cut(ZSTD_DCtx *decompressor, const void *frame, size_t size, size_t limit,
    struct buffer *bytes, rh_error *error);

/* The first block of the content; ${*ret_there} false if that much does not come out. */
int zframe_peek(ZSTD_DCtx *decompressor, const void *frame, size_t size, size_t limit,
    uint8_t ret[TAR_BLOCK], bool *ret_there, rh_error *error);

/*
 * Length of the first frame in ${size} bytes; 0 if it goes on behind them.
 * RH_E_BACKUP_CORRUPT if there is none, or one whose content is over ${limit}.
 */
int zframe_measure(const void *bytes, size_t size, size_t limit, size_t *ret, rh_error *error);

/* ---- frame_build.c ---- */

/* A line of a manifest, as sha256sum -c reads it: digest, two spaces, path; no newline. */
#define FRAME_LINE_MAX (2 * DIGEST_SIZE + 2 + TAR_PATH_MAX)

bool frame_component_valid(const char *component);

/* ---- header.c ---- */

/* The most that the first frame may hold. */
#define HEADER_FRAME_MAX ((size_t)2 << 20)

/* Appends rehost.json, its signature, and, as far as there are, issuers and proof to ${tar}. */
int backup_header_write(const struct backup_header *header, const uint8_t *signing_key,
    const uint8_t *proof_key, struct buffer *tar, rh_error *error);

/*
 * Reads what backup_header_write wrote; other members are skipped.  ${*ret} is
 * freed with backup_header_free.  RH_E_BACKUP_CORRUPT, RH_E_BACKUP_NEWER.
 */
int backup_header_read(
    const void *tar, size_t size, struct backup_header *ret, rh_error *error);

/* ---- proof.c ---- */

/* What a header's proof is over; ${issuers} NULL: none. */
int proof_of_header(uint8_t ret[DIGEST_SIZE], const void *json, size_t size,
    const void *issuers, size_t issuers_size, rh_error *error);

/* What a frame is proven with. */
struct frame_prover {
	bool set;
	uint8_t key[KEY_SIZE];
	char id[BACKUP_ID_SIZE];
};
void frame_prover_set(struct frame_prover *prover, const uint8_t key[KEY_SIZE], const char *id);

/* The frame's proof: over the manifest, by its member's name, and the lines of facts. */
int frame_prover_make(const struct frame_prover *prover, struct digest *digest,
    const char *manifest_path, const void *manifest, size_t manifest_size, const void *facts,
    size_t facts_size, uint8_t ret[DIGEST_SIZE], rh_error *error);

/* ---- generation.c: names of generations ---- */

/* false if ${created} or ${id} cannot be said in a name. */
bool generation_name(char name[BACKUP_NAME_SIZE], int64_t created, const char *id);
/* false unless ${name} is one; ${id} and ${created} may be NULL. */
bool generation_parse(const char *name, int64_t *created, char id[BACKUP_ID_SIZE]);

/* ---- directory.c ---- */

#define PART_SUFFIX ".part"
#define PART_NAME_SIZE (BACKUP_NAME_SIZE + sizeof PART_SUFFIX)
#define RECOVERY_FILE "recovery.age"
#define HOW_TO_FILE "HOW-TO-OPEN.txt"

struct backup_directory {
	char *path;
	int fd;
	bool writing;
	bool locked;
	char committed[BACKUP_NAME_SIZE]; /* by this handle; never pruned */
};

/* Calls ${visit} with each name in the directory until it returns other than RH_OK. */
int backup_directory_each(struct backup_directory *directory,
    int (*visit)(
	struct backup_directory *directory, const char *name, void *context, rh_error *error),
    void *context, rh_error *error);

/* The latest time in the name of a generation here; INT64_MIN if there is none. */
int backup_directory_latest(struct backup_directory *directory, int64_t *ret, rh_error *error);

/* "PATH/NAME", for messages. */
#define DISPLAY_SIZE 512
const char *backup_directory_display(
    char text[DISPLAY_SIZE], const struct backup_directory *directory, const char *name);

/*
 * Opens a regular file of the directory for reading, or for both.  RH_E_BACKUP_MISSING if it
 * is not there or is no regular file; RH_E_ACCESS if it is a link, and is to be written;
 * RH_E_READ if the medium has lost what it knew of it.
 */
int backup_directory_file(struct backup_directory *directory, const char *name, bool writing,
    int *ret_fd, uint64_t *ret_size, rh_error *error);

/* An age_source over an open file. */
struct file_source {
	int fd;
	const char *path;
};
int file_source_read(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error);

/* ---- mended.c: a backup's file, with what its parity can mend ---- */

/*
 * Opens the generation ${file} for an age_source, ${*ret_source}, which holds ${*ret}.  Bytes
 * are read as they lie there until the source is told to doubt them, or until the medium
 * cannot read some; from then on each block is compared with what the parity file says of it,
 * and made anew if it differs.  What cannot be mended is given as it is, or as zeros.
 * RH_E_BACKUP_MISSING, RH_E_OPEN; RH_E_READ if the medium is gone.
 */
struct mended;
int mended_open(struct backup_directory *directory, const char *file, struct mended **ret,
    struct age_source *ret_source, rh_error *error);
void mended_free(struct mended *mended);
/* Of the bytes that were given, how many were made anew; each block counts once. */
uint64_t mended_bytes(const struct mended *mended);
/* Of what was given, the first byte that is of a block known to be lost; UINT64_MAX: none. */
uint64_t mended_lost(const struct mended *mended);
/*
 * ${code}, which was set in ${error}; or, if zeros were given where the medium could not read
 * and no parity file knows better, why it could not.
 */
int mended_explain(const struct mended *mended, int code, rh_error *error);

/* ---- howto.c ---- */

/* Puts HOW-TO-OPEN.txt there unless it is. */
int howto_write(struct backup_directory *directory, rh_error *error);

#endif
