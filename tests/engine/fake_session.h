#ifndef TESTS_ENGINE_FAKE_SESSION_H
#define TESTS_ENGINE_FAKE_SESSION_H

#include "engine/engine.h"
#include "authority/session.h"

/*
 * A License Management Service that does as the test says, in the place of
 * authority/session.h (the linker's --wrap, see meson.build).
 */

#define FAKE_SERVICE "https://lms.example/a"
/* A computer that holds every licence, too. */
#define FAKE_ANOTHER "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* What is in the set that the service shows. */
enum fake_set { FAKE_FIRST, FAKE_ROTATED, FAKE_STRANGERS, FAKE_OTHERS_NAME, FAKE_RUBBISH };

struct fake {
	/* As the test says. */
	enum fake_set set;
	int fetch, connect, individualize, status, release; /* codes; RH_OK */
	int unknown_key; /* so many calls are answered by RH_E_SERVICE_KEYS first */
	int64_t seq; /* of the next head */
	int64_t resolved; /* the same; its time is 1 */
	bool half; /* status: answers for one licence less */
	bool others; /* status: answers for another licence */
	int refused_from; /* status: from this licence on all are refused; -1 */
	int64_t effective;
	enum release_state state;
	void (*hook)(void *context); /* while the keys are fetched */
	void *hook_context;

	/* What came. */
	unsigned fetches, opens, closes, connects, individualizations, statuses, releases;
	char asked_at[128], address[128];
	char computer[JOSE_THUMBPRINT_SIZE]; /* who asked last */
	char certificate[64]; /* with which it came; "" */
	char head[4096]; /* with which it came; "" */
	char name[300], release_thumbprint[64];
	char claimed_by[JOSE_THUMBPRINT_SIZE]; /* of the last status; "" */
	unsigned claims;
	size_t licenses; /* asked about in all */
	size_t most; /* in one message */
	char lost[64], released_by[JOSE_THUMBPRINT_SIZE];
	char owner_key[JOSE_THUMBPRINT_SIZE]; /* of the owner's statement; "" */
	bool cancel;
};
extern struct fake fake;

void fake_open(void);
void fake_close(void);
/* Forgets what came and what was said. */
void fake_clear(void);

#endif
