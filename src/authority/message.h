#ifndef AUTHORITY_MESSAGE_H
#define AUTHORITY_MESSAGE_H

#include <jansson.h>

#include "crypto/jws.h"

/*
 * The messages between a computer and its License Management Service, for both sides:
 * PROTOCOL.md.  Reading is bounded and checks every member's form; texts of a message that was
 * read belong to it and live until it is freed.  Absent texts are NULL, absent times
 * MESSAGE_TIME_NONE.  Reading fails with RH_E_LICENSE_INVALID, naming the member, and
 * RH_E_MEMORY. Writing takes the same structures, filled by hand with texts that the caller
 * keeps, and appends JSON to ${ret}.
 */

#define MESSAGE_MAX (1024 * 1024) /* bytes of a request */
#define MESSAGE_REPLY_MAX (4 * 1024 * 1024) /* bytes of a reply */
#define MESSAGE_LICENSES_MAX 500
#define MESSAGE_TARGET (512 * 1024) /* bytes after which a client ends a batch */
#define MESSAGE_PROOF_MAX 4096 /* characters of Rehost-Proof */
#define MESSAGE_NONCE_MAX 128 /* characters */
#define MESSAGE_ID_MAX 255 /* bytes of a licence's id, and of an issuer */
#define MESSAGE_COMPUTERS_MAX 1000 /* that are told of one licence */
#define MESSAGE_NAME_MAX 64 /* characters (not bytes) of a computer's name */
#define MESSAGE_IDEMPOTENCY_MIN 16
#define MESSAGE_IDEMPOTENCY_MAX 64
#define MESSAGE_TIME_NONE INT64_MIN

enum message_path { /* below the address */
	MESSAGE_KEYS,
	MESSAGE_NONCE,
	MESSAGE_PRIVACY,
	MESSAGE_COMPUTERS,
	MESSAGE_PLAN,
	MESSAGE_COMMIT,
	MESSAGE_LICENSES,
	MESSAGE_RELEASE
};
/* "/v1/keys" and so on. */
extern const char *const message_paths[];

/* ---- /v1/computers ---- */

struct computers_request {
	const char *name;
	const char *release; /* thumbprint */
	json_t *root;
};
int computers_request_read(
    struct computers_request *message, const void *json, size_t size, rh_error *error);
int computers_request_write(
    const struct computers_request *message, struct buffer *ret, rh_error *error);
void computers_request_free(struct computers_request *message);

struct computers_reply {
	const char *certificate;
	const char *head;
	json_t *root;
};
int computers_reply_read(
    struct computers_reply *message, const void *json, size_t size, rh_error *error);
int computers_reply_write(
    const struct computers_reply *message, struct buffer *ret, rh_error *error);
void computers_reply_free(struct computers_reply *message);

/* ---- /v1/plan, /v1/commit, /v1/licenses: their requests ---- */

struct request_license {
	const char *document;
	size_t document_size;
	const char *secret; /* base64url, or NULL */
	size_t secret_size; /* characters */
	/* Not sent: what the document says it is, so that an answer about another is noticed
	 * without reading it again; NULL: unknown. */
	const char *id;
	const char *issuer;
};
struct restore_request {
	enum message_path path; /* set before reading: PLAN, COMMIT or LICENSES */
	const char *idempotency_key; /* COMMIT alone */
	const char *key; /* COMMIT alone: compact JWE */
	const char *owner;
	const char *claim;
	const char *head;
	struct request_license *licenses; /* reading: the message's; writing: the caller's */
	size_t license_count;
	json_t *root;
};
int restore_request_read(
    struct restore_request *message, const void *json, size_t size, rh_error *error);
int restore_request_write(
    const struct restore_request *message, struct buffer *ret, rh_error *error);
void restore_request_free(struct restore_request *message);

/* ---- and their replies ---- */

enum message_result {
	MESSAGE_FREE, /* "free" */
	MESSAGE_COSTS, /* "costs" */
	MESSAGE_GRANTED, /* "granted" */
	MESSAGE_REFUSED /* "refused" */
};
struct reply_license {
	const char *id;
	const char *issuer;
	enum message_result result;
	uint32_t computers;
	uint32_t limit;
	int64_t since;
	int64_t next;
	const char *code;
	const char *detail;
	const char *page;
	const char *secret; /* base64url */
};
struct restore_reply {
	struct reply_license *licenses;
	size_t license_count;
	const char *grants;
	const char *key; /* compact JWE */
	const char *head;
	json_t *root;
};
int restore_reply_read(
    struct restore_reply *message, const void *json, size_t size, rh_error *error);
int restore_reply_write(
    const struct restore_reply *message, struct buffer *ret, rh_error *error);
void restore_reply_free(struct restore_reply *message);

struct status_computer {
	const char *computer;
	const char *name;
	int64_t since;
	int64_t releasing;
	bool original;
	bool you;
};
struct status_license {
	const char *id;
	const char *issuer;
	const char *title;
	const char *code; /* refused: only these two */
	const char *detail;
	uint32_t limit;
	uint32_t free;
	int64_t next;
	struct status_computer *computers;
	size_t computer_count;
};
struct status_reply {
	struct status_license *licenses;
	size_t license_count;
	const char *head;
	json_t *root;
};
int status_reply_read(
    struct status_reply *message, const void *json, size_t size, rh_error *error);
/* Lists of computers that are too long are cut; the one that is ${you} stays. */
int status_reply_write(const struct status_reply *message, struct buffer *ret, rh_error *error);
void status_reply_free(struct status_reply *message);

/* ---- /v1/release ---- */

enum release_state { RELEASE_WAITING, RELEASE_RELEASED, RELEASE_CANCELLED };
struct release_request {
	const char *computer;
	const char *proof;
	const char *owner;
	bool cancel;
	json_t *root;
};
int release_request_read(
    struct release_request *message, const void *json, size_t size, rh_error *error);
int release_request_write(
    const struct release_request *message, struct buffer *ret, rh_error *error);
void release_request_free(struct release_request *message);

struct release_reply {
	const char *computer;
	enum release_state state;
	int64_t effective;
	const char *head;
	json_t *root;
};
int release_reply_read(
    struct release_reply *message, const void *json, size_t size, rh_error *error);
int release_reply_write(
    const struct release_reply *message, struct buffer *ret, rh_error *error);
void release_reply_free(struct release_reply *message);

/* ---- Problems (RFC 9457) ---- */

struct problem_reply {
	int status;
	const char *code;
	const char *title;
	const char *detail;
	json_t *root;
};
int problem_reply_read(
    struct problem_reply *message, const void *json, size_t size, rh_error *error);
int problem_reply_write(
    const struct problem_reply *message, struct buffer *ret, rh_error *error);
void problem_reply_free(struct problem_reply *message);

/* ---- Signed statements ---- */

#define TYPE_PROOF "rehost-proof+jwt"
#define TYPE_COMPUTER "rehost-computer+jwt"
#define TYPE_HEAD "rehost-head+jwt"
#define TYPE_GRANTS "rehost-grants+jwt"
#define TYPE_CLAIM "rehost-claim+jwt"
#define TYPE_OWNER "rehost-owner+jwt"
#define TYPE_RELEASE "rehost-release+jwt"

/* The claims of a proof; texts are the caller's. */
struct proof {
	const char *method; /* "POST" */
	const char *address; /* of the resource */
	int64_t time;
	const char *nonce;
	const char *certificate; /* NULL for /v1/computers */
};
/* Signs a request; ${ret} is freed with free(). */
int proof_sign(const struct jose_key *key, const struct proof *proof, const void *body,
    size_t size, char **ret, rh_error *error);

/*
 * Reads a proof and verifies its own signature and that it is over this body.
 * RH_E_LICENSE_INVALID: malformed; RH_E_LICENSE_SIGNATURE; RH_E_LICENSE_DAMAGED: another body.
 * ${ret} points into ${jws}, which the caller frees with jws_free; its key is the computer's.
 */
int proof_read(struct jws *jws, struct proof *ret, const char *text, size_t size,
    const void *body, size_t body_size, rh_error *error);

/*
 * The other statements, signed and checked.  Checking: RH_E_LICENSE_INVALID (malformed, or of
 * another service, computer or nonce than is given), RH_E_LICENSE_SIGNATURE.  ${keys} are the
 * service's public keys, picked by "kid"; RH_E_LICENSE_ISSUER if there is no such key.
 */
int certificate_sign(const struct jose_key *service_key, const char *service,
    const char *computer, int64_t now, char **ret, rh_error *error);
int certificate_check(const char *text, const struct jose_set *keys, const char *service,
    const char *computer, rh_error *error);

struct head {
	int64_t seq;
	uint8_t hash[DIGEST_SIZE];
	int64_t time; /* of signing */
	/* When the ledger, put back to an old copy, was last taken as it is; 0: never. */
	int64_t resolved;
};
/* Whether who kept ${kept} goes on with ${head}: the log has grown, or was resolved since. */
bool head_follows(const struct head *head, const struct head *kept);
/* Without a look at the signature: of one that was checked before. */
int head_read(const char *text, struct head *ret, rh_error *error);
int head_sign(const struct jose_key *service_key, const char *service, const struct head *head,
    char **ret, rh_error *error);
int head_check(const char *text, const struct jose_set *keys, const char *service,
    struct head *ret, rh_error *error);

int claim_sign(const struct jose_key *license_key, const char *service, const char *computer,
    char **ret, rh_error *error);
/* ${ret_license_key}: thumbprint of who claims. */
int claim_check(const char *text, const char *service, const char *computer,
    char ret_license_key[JOSE_THUMBPRINT_SIZE], rh_error *error);

int owner_sign(const struct jose_key *license_key, const char *service, const char *release,
    char **ret, rh_error *error);
int owner_check(const char *text, const char *service,
    char ret_license_key[JOSE_THUMBPRINT_SIZE], char ret_release[JOSE_THUMBPRINT_SIZE],
    rh_error *error);

/* The release key of an owner at a service, from the recovery key's 32 secret bytes. */
int release_key(const uint8_t recovery[KEY_SIZE], const char *service, struct jose_key **ret,
    rh_error *error);
int release_sign(const struct jose_key *release_key, const char *service, const char *computer,
    const char *nonce, char **ret, rh_error *error);
/* ${ret_release}: thumbprint of the release key that signed. */
int release_check(const char *text, const char *service, const char *computer,
    const char *nonce, char ret_release[JOSE_THUMBPRINT_SIZE], rh_error *error);

/* ---- Grants ---- */

struct grant {
	const char *issuer;
	const char *license;
	const char *computer; /* thumbprint */
	uint32_t number; /* k */
	uint32_t limit; /* n */
	int64_t since;
};
/* The hash of its leaf.  RH_E_LICENSE_INVALID if a text holds a line feed. */
int grant_leaf(const struct grant *grant, uint8_t ret[DIGEST_SIZE], rh_error *error);
/* Signs the root of the leaves of one reply. */
int grants_sign(const struct jose_key *service_key, const char *service, const char *computer,
    int64_t now, const uint8_t (*leaves)[DIGEST_SIZE], size_t count, char **ret,
    rh_error *error);
/* Whether these are the leaves that were signed. */
int grants_check(const char *text, const struct jose_set *keys, const char *service,
    const char *computer, const uint8_t (*leaves)[DIGEST_SIZE], size_t count, rh_error *error);

#endif
