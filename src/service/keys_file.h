#ifndef SERVICE_KEYS_FILE_H
#define SERVICE_KEYS_FILE_H

#include <stdbool.h>

#include "service/keys.h"

/* The file of keys.h and what is in it; for keys.c alone. */

struct service_key {
	char id[JOSE_THUMBPRINT_SIZE]; /* "kid": the thumbprint */
	bool signs; /* or else is sealed for */
	int64_t made;
	uint8_t secret[KEY_SIZE];
	struct jose_key *key;
};

struct service_key_list {
	struct service_key keys[JOSE_KEYS_MAX]; /* the newest first */
	size_t count;
};

/* Puts the last one where its time belongs; of the same second the later goes first. */
void key_list_order(struct service_key_list *list);

/* Appends ${before} and a JWK, with its private half or without. */
int key_append(struct buffer *text, const struct service_key *key, const char *before,
    bool private, rh_error *error);

/* The file, locked from opening to closing. */
struct keys_file {
	int directory;
	char path[4096]; /* for messages */
};
int keys_file_open(struct keys_file *file, const char *directory, rh_error *error);
void keys_file_close(struct keys_file *file);
/* ${*ret_missing}: there is none, and the list stays empty. */
int keys_file_read(const struct keys_file *file, struct service_key_list *list,
    bool *ret_missing, rh_error *error);
int keys_file_write(
    const struct keys_file *file, const struct service_key_list *list, rh_error *error);

#endif
