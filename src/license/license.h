#ifndef LICENSE_LICENSE_H
#define LICENSE_LICENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/jose.h"

/*
 * Licence formats: one reader each turns a document into common records.
 * See FORMATS.md.  Readers see bytes from outside: every one is bounded, and has
 * a fuzz target.
 */

#define LICENSE_MAX (1024 * 1024) /* bytes of a document */
#define LICENSE_PER_DOCUMENT_MAX 256 /* licences in one envelope */
#define LICENSE_COUNTS_MAX 8
#define LICENSE_TIME_NONE INT64_MIN
#define LICENSE_ACTIONS_MAX 16
#define LICENSE_UNLIMITED UINT64_MAX

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

/* One action that a licence grants. */
struct license_action {
	char name[32]; /* "play" */
	uint64_t count; /* as granted; LICENSE_UNLIMITED */
	int64_t period; /* seconds from the first use of the licence; 0: no such limit */
};

/*
 * What a licence lets its computer do, as its document says.  Not kept: read from the
 * document when it is asked for.  not_before and not_after of the record hold for every action.
 */
struct license_rights {
	struct license_action actions[LICENSE_ACTIONS_MAX];
	size_t action_count;
	int32_t priority; /* of several licences of a key id the highest goes first */
	char root[128]; /* key id of the root licence, which must allow the action too; "" */
	uint32_t computers; /* how many may hold it, the first included; 0: not said */
	char computer[JOSE_THUMBPRINT_SIZE]; /* that it was issued to; "": to none */
	bool vague; /* there are conditions that the reader does not know */
};

/*
 * Who is trusted, and whose computer this is.  Made for one operation; read by several
 * threads.
 */
struct license_trust {
	const struct license_issuer *issuers;
	size_t issuer_count;
	const struct jose_key *computer; /* private: names the computer, opens content keys */
	int64_t now;
	/*
	 * The licence comes out of a backup or a store: it may have been issued to another
	 * computer, and its time may be over; its content key stays closed.
	 */
	bool moved;
};
struct license_issuer {
	const char *name; /* as in "iss" */
	const struct jose_set *keys;
};

/* A document as it came. */
struct license_document {
	const uint8_t *data;
	size_t size;
	const char *name; /* where from: for titles and messages; may be NULL */
	const char *format; /* a reader's name, or NULL to detect */
	/*
	 * For formats that prove themselves by a signature (license_format_signed): NULL reads
	 * without a look at it.
	 */
	const struct license_trust *trust;
	struct buffer *secret; /* with ${trust} and not moved: gets the content key, or "" */
};

/*
 * Receives each licence of a document; a code other than RH_OK stops.  ${rights} is NULL if
 * the reader cannot tell them.
 */
typedef int (*license_sink)(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error);

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

/* Whether licences of this format are signed, and so must be read with a trust. */
bool license_format_signed(const char *name);
/* Whether this document would be read as one of them. */
bool license_document_signed(const struct license_document *document);

/*
 * Finds the reader and reads.  Every failure names the document and the place
 * (line and column, or member), and comes before the first call of ${sink}: it
 * is given all licences of a document, or none.  RH_E_LICENSE_FORMAT, RH_E_LICENSE_INVALID,
 * RH_E_LICENSE_XML, RH_E_LICENSE_KEY_ID, RH_E_LICENSE_TOO_BIG; with a trust also
 * RH_E_LICENSE_ISSUER, _SIGNATURE, _COMPUTER, _EXPIRED, _NOT_YET, _CRITICAL, _CONTENT_KEY.
 * Safe on several threads at once.
 */
int license_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error);

/* Whether ${code} is about one licence alone, so that an operation goes on with the others. */
bool license_code(int code);

/* The class that the record's rights make. */
enum license_class license_class(const struct license *license);

/*
 * The title for people in ${language} ("de-AT", BCP 47; "" is none): a signed licence has one
 * a language, and its record all of them as compact JSON.  Best match after RFC 4647, section
 * 3.4; else English, else the first.
 */
void license_title(
    const struct license *license, const char *language, char *text, size_t size);

/*
 * What the store and the backup keep of a licence beside its document: counts
 * left, first use, and what the document alone does not tell (a forced format,
 * the file's name).  JSON text, see FORMATS.md, "state.json".
 */
struct license_state {
	struct license_count counts[LICENSE_COUNTS_MAX];
	size_t count_count;
	int64_t first_use; /* LICENSE_TIME_NONE: not used yet */
	/*
	 * Whose counts they are (thumbprint): on every other computer nothing is left of them.
	 * "": of the computer that the licence was issued to; if it names none, anybody's.
	 * Who adds a licence with counted actions sets it from license_rights.computer.
	 */
	char computer[JOSE_THUMBPRINT_SIZE];
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
 * Takes the more spent of both, two states of one licence: lower count per action, earlier
 * first use, the computer of ${other} if ${state} names none.  Returns whether ${state}
 * changed.
 */
bool license_state_merge(struct license_state *state, const struct license_state *other);

/*
 * The record as one line of text, so that who copies a licence need not read its document
 * again: see FORMATS.md, "Facts as a line".  A line names the version of the readers that
 * found the facts; raise it whenever a reader would now say something else of some document.
 * Only for licences that may be backed up.  A line of a signed licence may be believed only
 * if it is proven that the owner's own computer wrote it: see backup.h, "Proof".
 */
#define LICENSE_READERS_VERSION 2
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

/* ---- Rights in use: rights.c ---- */

/* Why an action is denied: the bits of QueryActionAllowed (reference: rh_denied in rehost.h).
 */
enum license_denied {
	LICENSE_DENIED_NO_LICENSE = 0x2,
	LICENSE_DENIED_NO_RIGHT = 0x4,
	LICENSE_DENIED_SPENT = 0x8,
	LICENSE_DENIED_EXPIRED = 0x10,
	LICENSE_DENIED_NOT_STARTED = 0x20,
	LICENSE_DENIED_CLOCK = 0x400,
	LICENSE_DENIED_CHAIN = 0x1000
};

/* A licence at one moment on one computer. */
struct license_holding {
	const struct license *facts;
	const struct license_rights *rights; /* NULL: the reader cannot tell them */
	const struct license_state *state;
};
struct license_moment {
	int64_t now;
	bool set_back; /* the clock was: nothing that ends or starts by time is allowed */
	const char *computer; /* thumbprint; NULL: none */
};

/*
 * 0, or every bit of enum license_denied that holds; an action that is not granted has
 * LICENSE_DENIED_NO_RIGHT alone.  ${action} is compared without case.  The root is not looked
 * at. At not_before an action is allowed, at not_after and at the end of the period no longer.
 * LICENSE_DENIED_CLOCK also if the action has a period and the first use is in the future: the
 * clock of one of the computers is wrong.
 */
unsigned license_denied(const struct license_holding *holding,
    const struct license_moment *moment, const char *action);

/*
 * What is left of the count of ${action} here, never more than was granted; LICENSE_UNLIMITED;
 * 0 also if it is not granted.
 */
uint64_t license_remaining(const struct license_holding *holding,
    const struct license_moment *moment, const char *action);

/*
 * When the action ends: not_after, or the end of the period after the first use if that is
 * earlier; LICENSE_TIME_NONE.
 */
int64_t license_ends(const struct license_holding *holding, const char *action);

/*
 * Spends one use of ${action}, which license_denied allows: lowers its count in ${state}, if it
 * is counted, and sets the first use, if any action of the licence has a period.  ${state} may
 * be that of ${holding}, which is not read.  Returns whether ${state} changed.
 */
bool license_spend(struct license_state *state, const struct license_holding *holding,
    const struct license_moment *moment, const char *action);

#endif
