#ifndef TESTS_ENGINE_ISSUE_H
#define TESTS_ENGINE_ISSUE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Signed licences for tests, made with libjose: another hand than the one that reads them.
 * Everything that is given out is freed with free(); what cannot be made ends the program.
 */

/* An issuer's key, or a service's. */
struct issue_keys;
/* ${algorithm} is "ES256" for an issuer, "ECDH-ES+A256KW" for a service. */
struct issue_keys *issue_keys_new(const char *kid, const char *algorithm);
void issue_keys_free(struct issue_keys *keys);

/*
 * The public halves of ${count} keys as a JWK set; its member "issuer" or "service" (after
 * the first key's algorithm) is ${name}, unless that is NULL.
 */
char *issue_set(struct issue_keys *const *keys, size_t count, const char *name);

/* The thumbprint (RFC 7638, SHA-256) of a public JWK. */
char *issue_thumbprint(const char *jwk);

/* What a licence says; members that are 0 or NULL are left out, but for ${id} and ${issuer}. */
struct issue {
	const char *id;
	const char *issuer;
	const char *key_id;
	const char *actions; /* JSON: {"play":{"count":3,"period":86400}} */
	const char *title; /* JSON: "a text" in quotes, or an object */
	const char *service;
	const char *root; /* root_key_id */
	const char *computer; /* public JWK, or private: the computer that it is issued to */
	const void *content_key;
	size_t content_key_size;
	int64_t issued; /* 0: 1,700,000,000 */
	int64_t not_before;
	int64_t not_after;
	int backup;
	int computers;
	int priority;
	const char *more; /* JSON object: further claims, or others in their place */
};
char *issue_license(const struct issue_keys *keys, const struct issue *issue);

/* Any claims under any protected header (NULL: the one that licences have), signed. */
char *issue_sign(const struct issue_keys *keys, const char *header, const char *claims);

/* ${size} bytes as a compact JWE to ${jwk}. */
char *issue_seal(const char *jwk, const void *bytes, size_t size);

/* Opens a compact JWE with a service's key; NULL if it does not open. */
void *issue_open(const struct issue_keys *keys, const char *jwe, size_t *ret_size);

#endif
