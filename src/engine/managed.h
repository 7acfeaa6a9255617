#ifndef ENGINE_MANAGED_H
#define ENGINE_MANAGED_H

#include "base/text.h"

#include "engine/link.h"
#include "engine/medium.h"

/*
 * The restore of managed licences.  Those that are not in the store are asked for at their
 * services, in batches; what was granted is stored in local transactions of several batches,
 * within which nobody waits for the network.  A run that ends between a grant and its storing
 * is made good by the next one, for which the service charges nothing.
 */

/* A restore, as restore.c and managed.c share it. */
struct restore {
	struct rh_store *store; /* NULL: a plan for a computer without a store */
	struct report *report;
	rh_summary *summary;
	const rh_open_options *options;
	bool plan;
	const char *computer; /* this one's name in licences; "" if it has none yet */
	const struct opening *opening;
	struct workplace place; /* what the backup lies on */
	struct belief belief; /* of the generation that is read */
	struct store_sealer *sealer; /* to open rows that are there */
	struct store_row row; /* scratch */
	struct store_content content; /* scratch */
	struct managed *managed; /* NULL until managed_connect */
	bool owned_done; /* all that needs no service is restored from the generation */
	bool managed_seen; /* there are managed licences in the generation */
	bool limit_reached; /* stopped a licence */
	bool needs_individualization; /* did */
};

/* ---- restore.c ---- */

/* Tells of one licence. */
void restore_tell(
    struct restore *run, const struct content *content, int code, const char *text);
bool restore_counts_stay(const struct restore *run, const struct content *content);
/* Whether there is anything in its state that a licence which is here would take over. */
bool restore_spent(const struct content *content);
/*
 * A licence with this id is there, whatever its document: it stays, and takes over what was
 * spent more.  RH_S_ALREADY_HERE or RH_S_STATE_MERGED, counted; changes nothing in a plan.
 */
int restore_present(struct restore *run, const struct content *content, rh_error *error);
/* Gives an inserted row what was spent before it was removed. */
int restore_spent_before(struct restore *run, struct store_row *row, rh_error *error);

/* ---- managed.c ---- */

/*
 * Connects to the services that the header names, as far as this computer is individualized
 * there or may be.  A service that cannot be had is no failure.  Not within a transaction.
 */
int managed_connect(struct restore *run, const struct backup_header *header, rh_error *error);

/* Restores the managed licences of a generation that is read from its beginning. */
int managed_restore(struct restore *run, struct backup_reader *reader,
    const struct filter *filter, bool damaged_too, rh_error *error);

void managed_free(struct managed *managed);

/* ---- What managed.c and managed_batch.c share ---- */

/* One licence on its way. */
struct managed_slot {
	struct content content;
	int code; /* what became of it */
	bool present; /* a licence of this id is here already */
	struct store_grant grant; /* number, limit, since, position */
	char text[128];
};

/* What is sent for a batch. */
#define MANAGED_IDEMPOTENCY_BYTES 24
struct managed_request {
	struct restore_request message;
	struct request_license *licenses; /* the message's */
	struct buffer text; /* their secrets */
	char idempotency[BASE64_SIZE(MANAGED_IDEMPOTENCY_BYTES)];
};

/* Licences of one service that are asked for at once, and then stored. */
struct managed_batch {
	struct managed_batch *next;
	struct managed_service *service; /* NULL: licences that are here */
	struct managed_slot *slots[MESSAGE_LICENSES_MAX];
	size_t count;
	size_t bytes; /* of their documents and secrets */
	struct managed_request request;
	struct store_grant grants; /* what they have in common; no leaves: nothing */
};
void managed_batch_free(struct managed_batch *batch);

struct managed_service {
	char *address;
	const char *key, *owner; /* the header's */
	struct link *link; /* NULL unless ${code} is RH_OK */
	int code; /* RH_OK, or why it cannot be asked */
	rh_error why;
	bool told; /* that individualization is needed */
	bool heard; /* since the head was kept */
	char *claim; /* made when it is needed; NULL */
	struct managed_batch *batch; /* being collected; NULL */
	struct managed_batch *asked; /* under way; NULL */
};

struct managed {
	struct managed_service *services;
	size_t count;
	size_t away; /* batches under way */
	size_t collected; /* licences of open batches */
	size_t collected_bytes;
	struct managed_batch *pending; /* to be stored, the last one first */
	size_t pending_count;
	struct managed_batch *present; /* of ${pending}: has room for licences that are here */
};

/* Counts and tells of a licence that is not restored. */
void managed_fail(
    struct restore *run, const struct content *content, int code, const char *text);
void managed_fail_service(
    struct restore *run, struct managed_service *service, const struct content *content);

/*
 * Asks the service for its open batch, and takes what it granted of the one before it to what
 * is to be stored: the service works on one while the other is worked on here.  ${last}: no
 * batch of the service follows.  A service that fails is no failure: its licences are told so.
 */
int managed_ask(
    struct restore *run, struct managed_service *service, bool last, rh_error *error);
/* Takes what is still under way. */
int managed_hear(struct restore *run, struct managed_service *service, rh_error *error);

/* Stores what was granted, and the heads; tells of it.  Takes no notice of a cancel. */
int managed_store(struct restore *run, rh_error *error);

#endif
