#ifndef BACKUP_PARITY_H
#define BACKUP_PARITY_H

#include "backup/internal.h"

/*
 * The parity file beside a backup: which of its bytes are bad, known without any key, and
 * others in their place.  See FORMAT.md, "Parity".  Of this room only; who is outside sees
 * backup.h.
 */

#define PARITY_BLOCK                                                                           \
	4096 /* bytes of a block of the backup, and of a page of the parity file               \
	      */
#define PARITY_HASH_SIZE 16 /* the first bytes of a SHA-256 */
#define PARITY_PERCENT_MAX 100
#define PARITY_STRIPE_MAX                                                                      \
	255 /* most blocks and pages of one stripe: the field tells no more apart */
#define PARITY_PAGE_HEAD 256 /* bytes of the head of a page of the table */
#define PARITY_PAGE_HASHES ((PARITY_BLOCK - PARITY_PAGE_HEAD) / PARITY_HASH_SIZE)
#define PARITY_SIZE_MAX (UINT64_C(1) << 40) /* bytes of a backup that is protected */

/* How a backup of this size is covered; a function of ${size} and ${percent} alone. */
struct parity_shape {
	uint64_t size; /* of the backup, in bytes; not 0 */
	unsigned percent; /* 1 to 100 */
	uint32_t blocks; /* of the backup; the last one may be short */
	uint32_t stripes; /* block i is of stripe i % stripes, in column i / stripes */
	unsigned columns; /* blocks of a stripe */
	unsigned rows; /* parity pages of a stripe: as many bad blocks are mended */
	uint32_t parity_pages; /* rows * stripes; page r * stripes + s is row r of stripe s */
	uint32_t table_pages; /* with the hashes of all blocks and parity pages */
	uint32_t
	    table_groups; /* page q is of group q % table_groups, in column q / table_groups */
	unsigned table_columns;
	unsigned table_rows; /* check pages of a group */
	uint32_t table_all; /* table pages and their check pages */
	uint32_t pages; /* of the whole parity file */
};

/* RH_E_ARGUMENT if ${size} or ${percent} is out of bounds. */
int parity_shape(struct parity_shape *ret, uint64_t size, unsigned percent, rh_error *error);
/* The place in the file, counted in pages, of parity page ${i}, and of table page ${i}. */
uint32_t parity_place(const struct parity_shape *shape, uint32_t i);
uint32_t parity_table_place(const struct parity_shape *shape, uint32_t i);
/* The other way round: which page of the one or the other it is. */
uint32_t parity_at(const struct parity_shape *shape, uint32_t place, bool *ret_table);

/* "licenses-....parity" for "licenses-....age"; any thread. */
bool parity_name(char name[BACKUP_NAME_SIZE], const char *file);
/* The other way round: false unless ${name} is a parity file's. */
bool parity_parse(const char *name, char file[BACKUP_NAME_SIZE]);

/* ---- parity_code.c: the code, over runs of ${size} bytes each ---- */

/*
 * Makes ${rows} runs from ${columns}: systematic Reed-Solomon over GF(2^8), any ${columns} of
 * all are enough.  columns + rows at most 255.  RH_E_MEMORY.
 */
struct parity_encoder;
int parity_encoder_new(
    unsigned columns, unsigned rows, struct parity_encoder **ret, rh_error *error);
void parity_encode(const struct parity_encoder *encoder, size_t size, uint8_t *const *data,
    uint8_t *const *parity);
void parity_encoder_free(struct parity_encoder *encoder);

/*
 * Makes the missing ones among the first ${columns} of ${runs} (${columns} + ${rows} of them)
 * out of the others: ${there} tells which are; a missing one of the first is written into its
 * run.  RH_E_BACKUP_CORRUPT if fewer than ${columns} are there.
 */
int parity_decode(unsigned columns, unsigned rows, size_t size, uint8_t *const *runs,
    const bool *there, rh_error *error);

/* A CRC-64 of a block: whether the medium gives it otherwise than it did before. */
uint64_t parity_sum(const void *bytes, size_t size);

/* ---- parity_table.c: the table of hashes, and its pages ---- */

/* ${digest} starts anew; ${hash} gets the first bytes of the SHA-256 of ${size} bytes. */
int parity_hash(struct digest *digest, const void *bytes, size_t size,
    uint8_t hash[PARITY_HASH_SIZE], rh_error *error);
/* Bytes of the table: a hash for each block and each parity page. */
size_t parity_table_size(const struct parity_shape *shape);
/* What stands in every page of the table, over all of it; ${file} is the backup's name. */
int parity_table_root(const struct parity_shape *shape, const char *file, const uint8_t *hashes,
    uint8_t ret[DIGEST_SIZE], rh_error *error);

/* Number of page ${i} of group ${g}; a page past the table's end is UINT32_MAX. */
uint32_t parity_table_number(const struct parity_shape *shape, uint32_t g, unsigned i);

/* Makes pages of the table, one group at a time. */
struct parity_pages {
	const struct parity_shape *shape;
	const char *file;
	const uint8_t *hashes;
	uint8_t root[DIGEST_SIZE];
	struct digest *digest;
	struct parity_encoder *encoder;
	uint8_t *bytes; /* of the group that was made last: its columns, then its rows */
};
int parity_pages_new(struct parity_pages *pages, const struct parity_shape *shape,
    const char *file, const uint8_t *hashes, rh_error *error);
int parity_pages_make(struct parity_pages *pages, uint32_t g, rh_error *error);
void parity_pages_free(struct parity_pages *pages);

/* What the head of a page says; ${*ret_good} false if it is none of ours, or its hash is wrong.
 */
struct parity_head {
	uint64_t size;
	unsigned percent;
	uint32_t number;
	char file[BACKUP_NAME_SIZE];
	uint8_t root[DIGEST_SIZE];
};
int parity_head_read(struct digest *digest, const uint8_t page[PARITY_BLOCK],
    struct parity_head *ret, bool *ret_good, rh_error *error);

/* ---- parity_write.c ---- */

/*
 * Writes the parity of the backup in ${fd} (${size} bytes, called ${file}) to the empty file
 * ${out}, flushes it, reads it back from the medium and compares.  Two descriptors that are
 * not closed.  ${stop} as in backup_writer_finish.  Memory: at most 24 MiB.  ${ret_bytes} may
 * be NULL.  RH_E_READ, RH_E_WRITE, RH_E_FULL, RH_E_READ_BACK, RH_E_CANCELED.
 */
struct parity_target {
	int fd;
	uint64_t size;
	const uint64_t *sums; /* of its blocks, as they should be read; NULL: not known */
	const char *file;
	const char *display; /* for messages */
	int out;
	const char *out_display;
};
int parity_write(const struct parity_target *target, unsigned percent,
    int (*stop)(void *context), void *context, uint64_t *ret_bytes, rh_error *error);

/* ---- parity_open.c ---- */

struct parity {
	struct parity_shape shape;
	char file[BACKUP_NAME_SIZE]; /* the backup's name */
	char name[BACKUP_NAME_SIZE]; /* of the parity file */
	char display[DISPLAY_SIZE]; /* of the same, for messages */
	int fd; /* of the same */
	uint64_t bytes; /* of the same, as it was opened */
	uint8_t root[DIGEST_SIZE];
	uint8_t *hashes; /* of the blocks, then of the parity pages; PARITY_HASH_SIZE each */
	bool *table_bad; /* for each page of the table: it is bad in the file */
	uint32_t table_bad_count;
};

/*
 * Opens the parity file of the backup ${file}, for writing too with ${writing}, and reads its
 * table, mending it in memory where it must.
 * RH_E_PARITY: none, of another backup, or too damaged to be of use; the text says which.
 */
int parity_open(struct backup_directory *directory, const char *file, bool writing,
    struct parity **ret, rh_error *error);
void parity_free(struct parity *parity);

/* Whether ${page} (PARITY_BLOCK bytes) is what the table says of its entry ${index}. */
int parity_good(const struct parity *parity, struct digest *digest, uint64_t index,
    const uint8_t *page, bool *ret, rh_error *error);

/*
 * Reads ${size} bytes at ${offset}.  What lies behind the end of the file and what the medium
 * cannot read is zeros, by blocks, and no failure; every other failure is one.
 */
int parity_read_at(
    int fd, uint64_t offset, void *bytes, size_t size, const char *display, rh_error *error);

/* ---- parity_map.c: which blocks and pages are bad ---- */

struct parity_map {
	bool *bad; /* for each entry of the table */
	uint16_t *counts; /* of each stripe */
	uint64_t bad_blocks; /* of the backup */
	uint64_t bad_pages; /* parity pages; those of the table are in struct parity */
	uint64_t lost_blocks;
	uint64_t extra; /* bytes that the backup has behind its end: to be cut off */
	uint64_t parity_extra; /* the same of the parity file */
	unsigned reserve; /* percent of the rows that is used where most is */
};

/* Reads both files; ${fd} is the backup's, which nobody changes meanwhile. */
int parity_map_make(const struct parity *parity, int fd, const char *display,
    const struct backup_watch *watch, struct parity_map *ret, rh_error *error);
bool parity_map_lost(
    const struct parity_map *map, const struct parity *parity, uint32_t stripe);
bool parity_map_whole(const struct parity_map *map, const struct parity *parity);
/* What can be made of the stripe is not what was there. */
void parity_map_give_up(struct parity_map *map, const struct parity *parity, uint32_t stripe);
void parity_map_free(struct parity_map *map);

/* Tells the runs of bad bytes of both files, and sums up. */
void parity_map_tell(const struct parity_map *map, const struct parity *parity,
    const struct backup_watch *watch, struct backup_state *ret);

/* ---- parity_stripe.c ---- */

/*
 * One stripe in memory, with what is bad of it mended.  Used for one stripe after another, on
 * one thread.
 */
struct parity_stripe;
int parity_stripe_new(const struct parity *parity, const struct parity_map *map, int fd,
    const char *display, struct parity_stripe **ret, rh_error *error);
void parity_stripe_free(struct parity_stripe *stripe);

/*
 * Reads what is good of stripe ${s} and makes its bad blocks out of it, each verified by its
 * hash.  RH_E_BACKUP_CORRUPT if they cannot be made.
 */
int parity_stripe_mend(struct parity_stripe *stripe, uint32_t s, rh_error *error);
/* Block ${column}; of a stripe that was mended. */
const uint8_t *parity_stripe_block(const struct parity_stripe *stripe, unsigned column);
/* Makes its parity pages, too, each verified. */
int parity_stripe_encode(struct parity_stripe *stripe, rh_error *error);
const uint8_t *parity_stripe_page(const struct parity_stripe *stripe, unsigned row);

#endif
