#ifndef TESTS_ENGINE_FAKE_SERVICE_H
#define TESTS_ENGINE_FAKE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * A License Management Service of a few lines, in a process of its own on loopback: what the
 * client is to get is played, nothing is kept, and no proof of a nonce is asked for.
 */

#define FAKE_LEDGER_MAX 2048
#define FAKE_LIMIT 4

enum fake_mode {
	FAKE_WORKS,
	FAKE_BUSY, /* 503 */
	FAKE_RUBBISH, /* 200, and no JSON */
	FAKE_REFUSES, /* 403, a problem document */
	FAKE_ROLLED_BACK,
	FAKE_HANGS, /* answers after a minute */
	FAKE_HALF, /* half a reply */
	FAKE_OTHER_SECRET, /* one that does not open */
	FAKE_OTHER_GRANTS, /* signed for another computer */
	FAKE_OTHER_LICENSE, /* answers for another licence */
	FAKE_FEWER, /* answers for one licence less */
	FAKE_KILLS /* charges, kills ${victim}, and does not answer */
};

/* Shared with the other process. */
struct fake {
	pid_t pid;
	char address[64]; /* where it listens */
	char name[64]; /* the address that its statements name: usually the same */
	/* The script. */
	enum fake_mode mode; /* of plans and commits */
	char page[64]; /* where a limit points at */
	unsigned after; /* that go well before it */
	char limited[32]; /* ids that hold this text have reached their limit; "": none */
	char refused[32]; /* or are refused otherwise */
	pid_t victim;
	/* What was seen. */
	unsigned requests, computers, plans, commits;
	unsigned first; /* licences in the first commit */
	bool hanging; /* somebody waits for an answer */
	bool claimed, owned; /* in the last plan or commit */
	/* Of each licence the computers besides the original. */
	size_t count;
	struct {
		char id[64];
		unsigned computers;
		char names[FAKE_LIMIT][44];
	} ledger[FAKE_LEDGER_MAX];
};

struct fake *fake_open(void);
void fake_close(struct fake *fake);
/* All works, and nothing was seen. */
void fake_forget(struct fake *fake);
/* Its JWK set, as "/v1/keys" gives it; written to ${path}. */
void fake_keys(const struct fake *fake, const char *path);
/* How many licences are on another computer than the original. */
unsigned fake_charged(const struct fake *fake);

#endif
