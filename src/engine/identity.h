#ifndef ENGINE_IDENTITY_H
#define ENGINE_IDENTITY_H

#include "authority/message.h"

#include "engine/engine.h"

#define SERVICE_ADDRESS_SIZE sizeof((struct license *)0)->service

/*
 * Who this computer is at one service, as the store keeps it (store/SCHEMA.md).  All zero is
 * empty.
 */
struct identity {
	char address[SERVICE_ADDRESS_SIZE];
	uint8_t secret[KEY_SIZE]; /* of its key there */
	char *certificate; /* NULL: not individualized */
	char *name; /* what the owner calls this computer there; NULL */
	char *head; /* rehost-head+jwt, the last one that was seen; NULL */
	int64_t since; /* of the certificate */
	bool release; /* the service knows who may release this computer */
};
/* Wipes. */
void identity_free(struct identity *identity);

/* ${*ret_there} false, and ${ret} empty, if there is none. */
int identity_load(struct rh_store *store, const char *address, struct identity *ret,
    bool *ret_there, rh_error *error);

/* Within the caller's transaction, or in one of its own. */
int identity_save(struct rh_store *store, const struct identity *identity, rh_error *error);

/*
 * The one that is kept, or else a new one with a fresh key, which is durable then: of several
 * processes one makes it.  Not within a transaction.
 */
int identity_make(
    struct rh_store *store, const char *address, struct identity *ret, rh_error *error);

/* Each that is kept. */
int identity_walk(struct rh_store *store,
    int (*function)(void *context, const struct identity *identity, rh_error *error),
    void *context, rh_error *error);

/* What a signed head says, unproven; all zeros for NULL. */
int identity_head(const char *head, struct head *ret, rh_error *error);

/* Takes a copy of ${text} in place of ${*member}. */
int identity_set(char **member, const char *text, rh_error *error);

#endif
