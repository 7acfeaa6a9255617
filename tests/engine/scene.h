#ifndef TESTS_ENGINE_SCENE_H
#define TESTS_ENGINE_SCENE_H

#include "issue.h"
#include "kit.h"

/* A computer with a store that trusts an issuer, and what is heard about single licences. */

#define SCENE_ISSUER "https://issuer.example"

struct scene {
	struct kit kit;
	rh_store *store;
	struct issue_keys *issuer;
	const char *computer; /* its JWK */
	rh_recovery_key recovery; /* made at once */
};
void scene_open(struct scene *scene);
void scene_close(struct scene *scene);

/* Trusts ${keys} as ${name}; ${kind} as in rh_pin_add. */
void scene_pin(
    struct scene *scene, rh_store *store, int kind, struct issue_keys *keys, const char *name);

/* Adds a licence of the issuer; members that are 0 get what is usual.  Must succeed. */
void scene_add(struct scene *scene, struct issue issue);

/* What was told about single licences, in order, and the notices. */
struct told {
	size_t count;
	struct told_one {
		int type;
		int code;
		char id[64];
		char key_id[64];
		char title[64];
		char text[300];
		char next_step[200];
	} list[64];
	size_t notices;
	char notice[300]; /* the last one */
	size_t needs; /* NEEDS_INDIVIDUALIZATION */
	char privacy[300]; /* address of the last of them */
};
rh_listener scene_listener(struct told *told);
/* The only one told of ${id}; fails the test if there is none or several. */
const struct told_one *scene_told(const struct told *told, const char *id);

#endif
