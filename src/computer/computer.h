#ifndef COMPUTER_COMPUTER_H
#define COMPUTER_COMPUTER_H

#include "crypto/age.h"
#include "crypto/crypto.h"
#include "crypto/jose.h"

/*
 * Who this computer is.  The computer key is 32 random bytes in
 * DIRECTORY/computer.key (mode 0600), born on first use and bound to the machine
 * id by a keyed hash; everything else is derived from it.  See README.md.
 */
#define COMPUTER_KEY_FILE "computer.key"
#define COMPUTER_ID_SIZE 33 /* 32 hex digits and NUL */

struct computer;

/*
 * Opens the key in the open ${directory}; makes it if missing and ${create}.
 * The machine id is read from $REHOST_MACHINE_ID_FILE, /etc/machine-id, or
 * /var/lib/dbus/machine-id.  ${path} names the directory in messages.
 * RH_E_STORE_OTHER_COMPUTER if the key is bound to another machine id,
 * RH_E_STORE_DAMAGED if the file is no computer key, RH_E_STORE_NEWER,
 * RH_E_STORE_MISSING if absent, RH_E_COMPUTER_ID.
 */
int computer_open(
    int directory, const char *path, bool create, struct computer **ret, rh_error *error);
/* Wipes and frees; NULL is fine. */
void computer_close(struct computer *computer);

/* Public: derived from the computer key, says nothing of the machine id. */
const char *computer_id(const struct computer *computer);

/* Secret, belongs to the computer: the key that seals the store key. */
const uint8_t *computer_sealing_key(const struct computer *computer);

/* Secret, belongs to the computer: opens backups that were made here. */
const struct age_identity *computer_age_identity(const struct computer *computer);

/*
 * Secret, belongs to the computer: the P-256 key that licences are issued to.  Its
 * thumbprint is the computer's name in them.  Made when it is first asked for (not by two
 * threads at once); then several threads may use it.
 */
int computer_license_key(
    struct computer *computer, const struct jose_key **ret, rh_error *error);

/* Secret, belongs to the computer: P-256 scalar that signs rehost.json. */
const uint8_t *computer_signing_key(const struct computer *computer);

#endif
