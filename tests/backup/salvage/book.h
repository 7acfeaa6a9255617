#ifndef TESTS_BACKUP_SALVAGE_BOOK_H
#define TESTS_BACKUP_SALVAGE_BOOK_H

#include "../sample.h"

/*
 * Backups of which it is written down where everything stands, and what must be left of them
 * once some bytes are lost: made and told without the code under test, but for tar and zstd.
 */

#define BOOK_FILE "licenses-20260102T030405Z-0123456789abcdef.age"
#define BOOK_ID "0123456789abcdef"
#define BOOK_CREATED 1767323045
#define BOOK_CHUNK 65536
#define BOOK_TAG 16

enum book_kind { BOOK_HEADER, BOOK_LICENSES, BOOK_MANIFEST, BOOK_END };

/* A member of a frame's tar; ${end} is that of what it takes. */
struct book_member {
	size_t start;
	size_t end;
	unsigned license; /* UINT_MAX: of none */
};

struct book_frame {
	enum book_kind kind;
	size_t start; /* in the plaintext */
	size_t end;
	unsigned number; /* of the frame of licences that it is of */
	unsigned first; /* licence */
	unsigned count;
	size_t content;
	struct book_member *members;
	size_t member_count;
};

struct book {
	int version;
	unsigned licenses;
	size_t document_size;
	struct buffer plain;
	struct book_frame *frames;
	size_t count;
	struct buffer file; /* age */
	size_t payload; /* offset of the first chunk */
	size_t chunks;
};

/* ${frames} frames of ${per_frame} licences. */
void book_make(
    struct book *book, int version, unsigned frames, unsigned per_frame, size_t document_size);
/* The same, with each manifest behind the frame of licences that is ${behind} later. */
void book_make_behind(struct book *book, int version, unsigned frames, unsigned per_frame,
    size_t document_size, unsigned behind);
void book_free(struct book *book);

/* Key of the proofs in it. */
extern const uint8_t book_key[KEY_SIZE];

/* What may come of a licence. */
enum book_fate {
	BOOK_GIVEN,
	BOOK_TOLD, /* damaged, by name, with its facts */
	BOOK_GONE /* damaged by name, without facts, or never heard of */
};

/* Fills ${fates} for each licence if the chunks that ${bad} says are lost. */
void book_foretell(const struct book *book, const bool *bad, enum book_fate *fates);

#endif
