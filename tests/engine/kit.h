#ifndef TESTS_ENGINE_KIT_H
#define TESTS_ENGINE_KIT_H

#include <stddef.h>

#include "rehost/rehost.h"

/*
 * What tests of the engine share: a scratch directory, two computers, made-up
 * licences, and a listener that keeps what it heard.
 */
struct kit {
	char root[64];
	char media[96];
	char store[96]; /* of the old computer */
	char other[96]; /* of the new one */
	char machine_id[96];
};

void kit_open(struct kit *kit);
void kit_close(struct kit *kit);

/* From here on this process is that computer: "a" or "b". */
void kit_be(struct kit *kit, const char *computer);

rh_store *kit_store(const char *directory, unsigned flags);

/* XML of licence ${number}; restricted ones grant no backup.  Freed with free(). */
char *kit_license(int number, int restricted);

/* Adds licences ${first} to ${last} - 1; every ${restricted}-th is restricted, 0: none. */
void kit_add(rh_store *store, int first, int last, int restricted);

/* Adds one document; returns the result of rh_add. */
int kit_add_document(rh_store *store, const char *text, size_t size, const char *name,
    const char *format, rh_summary *summary);

/* Pins the issuer of a JWK set that names him. */
void kit_pin(struct kit *kit, rh_store *store, const char *set);

/*
 * Adds one signed licence: RH_OK, or the code of the event that says what became of it.
 */
int kit_add_signed(rh_store *store, const char *license);

/* What a listener heard. */
struct heard {
	int types[4096];
	int codes[4096];
	size_t count;
	size_t ends;
	int stop_at_type; /* an event type that asks to stop, -1: none */
	long polls_left; /* should_stop says yes when this runs out, -1: never */
	char last_text[1024];
};
rh_listener kit_listener(struct heard *heard);
size_t kit_heard(const struct heard *heard, int type);

size_t kit_count(rh_store *store, const char *filter);

/* Whether both stores hold the same licences with the same documents; restricted ones aside. */
int kit_same(rh_store *a, rh_store *b);

#endif
