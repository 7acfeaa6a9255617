#ifndef TESTS_OBJECT_FAKE_ENGINE_H
#define TESTS_OBJECT_FAKE_ENGINE_H

#include <pthread.h>
#include <stdbool.h>

#include "rehost/rehost.h"

/*
 * Stands in for the engine where a test must decide what happens and when: the
 * functions of rehost.h that the object calls, doing as the script says.
 */
struct script {
	int exists; /* rh_backup_exists */
	int open; /* rh_store_open */
	int result; /* rh_backup, rh_restore; their contract if asked to stop */
	unsigned restricted; /* RESTRICTED events */
	unsigned licenses; /* LICENSE events */
	bool needs; /* NEEDS_INDIVIDUALIZATION */
	bool individualize; /* INDIVIDUALIZE, from BEGIN to what comes of it */
	bool limit; /* LIMIT, of a licence and of one of which nothing is known */
	bool chatter; /* TOTALS, PROGRESS, RECOVERY_KEY, NOTICE too */
	bool block; /* wait after BEGIN until stopped or fake_unblock */
	bool block_exists; /* rh_backup_exists waits for fake_unblock */
	bool committed; /* a stop comes too late to matter */
};

/* What the engine was asked. */
struct asked {
	unsigned opened, closed, backups, restores;
	unsigned store_flags;
	char store[256]; /* "(default)" for NULL */
	char directory[256];
	int overwrite, plan, individualize;
	char passphrase[64], recovery_key[64], filter[64],
	    service_url[64]; /* "(none)" for NULL */
	pthread_t thread;
};

void fake_script(const struct script *script); /* forgets what was asked */
void fake_unblock(void);
struct asked fake_asked(void);

#endif
