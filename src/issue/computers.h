#ifndef ISSUE_COMPUTERS_H
#define ISSUE_COMPUTERS_H

#include "issue/jwk.h"

/*
 * The computers that licences are issued to, as `rehost computer show --public` prints
 * them: each a public JWK, or a JWK set of them.
 */
struct computer {
	char *name; /* the file's, without folders; NULL for one that a row brought */
	char thumbprint[THUMBPRINT_SIZE];
	json_t *jwk; /* public, four members */
};

/* All zero has none. */
struct computers {
	struct computer *list;
	size_t count;
};

int computers_read(struct computers *computers, const char *path, rh_error *error);
void computers_free(struct computers *computers);

/*
 * The computer of a row: by thumbprint, by its file's name, with or without what follows
 * the last dot.  RH_E_LICENSE_INVALID if there is none, or more than one.
 */
int computers_find(const struct computers *computers, const char *name,
    const struct computer **ret, rh_error *error);

/* One from a JWK; wiped by computer_clear. */
int computer_read(
    struct computer *computer, const json_t *jwk, const char *what, rh_error *error);
void computer_clear(struct computer *computer);

#endif
