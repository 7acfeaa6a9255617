#ifndef LICENSE_LICENSE_H
#define LICENSE_LICENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Licence formats: one reader each turns a document into common records.
 * See FORMATS.md.  Readers see bytes from outside: every one is bounded, and has
 * a fuzz target.
 */

#define LICENSE_MAX (1024 * 1024) /* bytes of a document */
#define LICENSE_PER_DOCUMENT_MAX 256 /* licences in one envelope */
#define LICENSE_COUNTS_MAX 8
#define LICENSE_TIME_NONE INT64_MIN

enum license_right { LICENSE_NO, LICENSE_YES, LICENSE_UNKNOWN };
enum license_class { LICENSE_OWNED, LICENSE_MANAGED, LICENSE_RESTRICTED };

struct license_count {
	char action[32];
	uint64_t remaining;
};

/* The common record.  Text is valid UTF-8 without control characters; "" is unknown. */
struct license {
	char id[256]; /* never empty */
	char key_id[128];
	char issuer[256];
	char title[512];
	char service[512]; /* address of the License Management Service */
	int64_t issued;
	int64_t not_before;
	int64_t not_after;
	struct license_count counts[LICENSE_COUNTS_MAX];
	size_t count_count;
	enum license_right backup;
	const char *reason; /* static: why it is restricted; "" otherwise */
	const char *format; /* static: name of the reader */
};

/* A document as it came. */
struct license_document {
	const uint8_t *data;
	size_t size;
	const char *name; /* where from: for titles and messages; may be NULL */
	const char *format; /* a reader's name, or NULL to detect */
};

/* Receives each licence of a document; a code other than RH_OK stops. */
typedef int (*license_sink)(void *context, const struct license *license, rh_error *error);

struct license_reader {
	const char *name; /* "wmdrm" */
	const char *title; /* "Windows Media DRM 7 licence (XML)" */
	/* Whether the document looks like this format; NULL: only when asked for. */
	bool (*detect)(const struct license_document *document);
	/* Calls ${sink} at least once, or fails. */
	int (*read)(const struct license_document *document, license_sink sink, void *context,
	    rh_error *error);
};

/* The one list of readers, in order of detection; ends with NULL. */
extern const struct license_reader *const license_readers[];

/* The registered name that equals ${name}, static; NULL if there is none. */
const char *license_format_name(const char *name);

/*
 * Finds the reader and reads.  Every failure names the document and the place
 * (line and column, or member), and comes before the first call of ${sink}: it
 * is given all licences of a document, or none.  RH_E_LICENSE_FORMAT, RH_E_LICENSE_INVALID,
 * RH_E_LICENSE_XML, RH_E_LICENSE_KEY_ID, RH_E_LICENSE_TOO_BIG.
 * Safe on several threads at once.
 */
int license_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error);

/* The class that the record's rights make. */
enum license_class license_class(const struct license *license);

/*
 * What the store and the backup keep of a licence beside its document: counts
 * left, first use, and what the document alone does not tell (a forced format,
 * the file's name).  JSON text, see FORMATS.md, "state.json".
 */
struct license_state {
	struct license_count counts[LICENSE_COUNTS_MAX];
	size_t count_count;
	int64_t first_use; /* LICENSE_TIME_NONE: not used yet */
	char format[32]; /* "" : detected */
	char name[256]; /* "" : not needed */
};

void license_state_init(struct license_state *state);
bool license_state_empty(const struct license_state *state);

/* Bounded; RH_E_LICENSE_INVALID. */
int license_state_parse(
    struct license_state *state, const void *json, size_t size, rh_error *error);

/* Appends compact JSON. */
int license_state_format(
    const struct license_state *state, struct buffer *buffer, rh_error *error);

/*
 * Takes the more spent of both: lower count per action, earlier first use.
 * Returns whether ${state} changed.
 */
bool license_state_merge(struct license_state *state, const struct license_state *other);

/*
 * The record as one line of text, so that who copies a licence need not read its document
 * again: see FORMATS.md, "Facts as a line".  A line names the version of the readers that
 * found the facts; raise it whenever a reader would now say something else of some document.
 * Only for licences that are owned; a format whose documents prove themselves by a signature
 * must not be taken from a line.
 */
#define LICENSE_READERS_VERSION 1
#define LICENSE_FACTS_MAX 2560 /* bytes of a line */

/* Appends the line, without newline; appends nothing if the record cannot be said so. */
int license_facts_format(const struct license *license, struct buffer *buffer, rh_error *error);

/* false if it is no line, or one of other readers: then the document tells. */
bool license_facts_parse(struct license *license, const void *line, size_t size);

/*
 * The id as one path component of a backup: bytes other than A-Z a-z 0-9 . _ - become
 * %XX, also a leading dot; if that is over 60 characters: "sha256-" and
 * 48 hex digits of the id's SHA-256.
 */
#define LICENSE_COMPONENT_SIZE 64
int license_path_component(char text[LICENSE_COMPONENT_SIZE], const char *id, rh_error *error);

#endif
