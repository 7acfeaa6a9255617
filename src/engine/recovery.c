#include <stdlib.h>
#include <string.h>

#include "crypto/recovery_code.h"

#include "engine/engine.h"

/* Values of the store, see store/SCHEMA.md: 32 raw bytes each. */
#define VALUE_SECRET "recovery.secret"
#define VALUE_RECIPIENT "recovery.recipient"
#define VALUE_PROOF "proof" /* stays when the secret is forgotten */

/* Reads a 32-byte value; ${*ret_there} is false if there is none. */
static int load_key(struct store *store, const char *name, uint8_t key[AGE_KEY_SIZE],
    bool *ret_there, rh_error *error)
{
	struct buffer value = {0};
	int code = store_value_get(store, name, &value, error);

	if (code == RH_OK && value.size != 0 && value.size != AGE_KEY_SIZE)
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "the value %s of the store has a wrong size", name);
	if (code == RH_OK) {
		*ret_there = value.size != 0;
		if (*ret_there)
			memcpy(key, value.data, AGE_KEY_SIZE);
	}
	buffer_free_secret(&value);
	return code;
}

int recovery_load(struct rh_store *store, struct age_identity *ret, bool *ret_known,
    bool *ret_secret, rh_error *error)
{
	uint8_t secret[AGE_KEY_SIZE];
	int code;

	*ret_secret = false;
	code = load_key(store->store, VALUE_RECIPIENT, ret->recipient.key, ret_known, error);
	if (code != RH_OK || !*ret_known)
		return code;
	code = load_key(store->store, VALUE_SECRET, secret, ret_secret, error);
	if (code == RH_OK && *ret_secret)
		code = age_identity_from_secret(ret, secret, error);
	bytes_wipe(secret, sizeof secret);
	return code;
}

int recovery_proof(
    struct rh_store *store, uint8_t ret[KEY_SIZE], bool *ret_known, rh_error *error)
{
	struct age_identity identity = {0};
	uint8_t key[KEY_SIZE];
	bool known = false, recipient, secret = false;
	int code = load_key(store->store, VALUE_PROOF, key, &known, error);

	/* A key made by a version that knew of no proofs. */
	if (code == RH_OK && !known)
		code = recovery_load(store, &identity, &recipient, &secret, error);
	if (code == RH_OK && secret)
		code = backup_proof_key(&identity, key, error);
	if (code == RH_OK) {
		*ret_known = known || secret;
		if (*ret_known)
			memcpy(ret, key, sizeof key);
	}
	bytes_wipe(key, sizeof key);
	bytes_wipe(&identity, sizeof identity);
	return code;
}

/* RH_S_ALREADY_HERE if another process was faster: its key may be on paper by now. */
static int store_identity(
    struct rh_store *store, const struct age_identity *identity, rh_error *error)
{
	uint8_t proof[KEY_SIZE], other[KEY_SIZE];
	bool there = false;
	int code = backup_proof_key(identity, proof, error);

	if (code == RH_OK)
		code = store_begin(store->store, error);
	if (code != RH_OK)
		goto done;
	code = load_key(store->store, VALUE_RECIPIENT, other, &there, error);
	if (code == RH_OK && there)
		code = RH_S_ALREADY_HERE;
	if (code == RH_OK)
		code = store_value_set(store->store, VALUE_PROOF, proof, sizeof proof, error);
	if (code == RH_OK)
		code = store_value_set(
		    store->store, VALUE_SECRET, identity->secret, AGE_KEY_SIZE, error);
	if (code == RH_OK)
		code = store_value_set(store->store, VALUE_RECIPIENT, identity->recipient.key,
		    AGE_KEY_SIZE, error);
	if (code == RH_OK)
		code = store_commit(store->store, error);
	if (code != RH_OK)
		store_rollback(store->store);

done:
	bytes_wipe(proof, sizeof proof);
	return code;
}

int rh_recovery_make(rh_store *store, rh_error *error)
{
	struct age_identity identity;
	bool known, secret;
	int code;

	if (store == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store was given");
	code = recovery_load(store, &identity, &known, &secret, error);
	if (code == RH_OK && known)
		code = RH_S_ALREADY_HERE;
	if (code == RH_OK)
		code = age_identity_generate(&identity, error);
	if (code == RH_OK)
		code = store_identity(store, &identity, error);
	bytes_wipe(&identity, sizeof identity);
	return code;
}

void rh_recovery_free(rh_recovery_key *key)
{
	if (key == NULL)
		return;
	rh_free(key->recipient);
	rh_free_secret(key->identity);
	rh_free_secret(key->code);
	*key = (rh_recovery_key){0};
}

/* The written forms of a key. */
static int write_forms(
    const struct age_identity *identity, bool secret, rh_recovery_key *ret, rh_error *error)
{
	char recipient[AGE_TEXT_SIZE], text[AGE_TEXT_SIZE], code[RECOVERY_CODE_SIZE];
	rh_recovery_key key = {0};

	age_recipient_format(recipient, &identity->recipient);
	key.recipient = strdup(recipient);
	if (secret) {
		age_identity_format(text, identity);
		key.identity = strdup(text);
		recovery_code_format(code, identity);
		key.code = strdup(code);
		bytes_wipe(text, sizeof text);
		bytes_wipe(code, sizeof code);
	}
	if (key.recipient == NULL || (secret && (key.identity == NULL || key.code == NULL))) {
		rh_recovery_free(&key);
		return error_memory(error);
	}
	*ret = key;
	return RH_OK;
}

int rh_recovery_show(rh_store *store, rh_recovery_key *ret, rh_error *error)
{
	struct age_identity identity;
	bool known, secret;
	int code;

	if (store == NULL || ret == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store was given");
	code = recovery_load(store, &identity, &known, &secret, error);
	if (code == RH_OK && !known)
		code = error_set(error, RH_E_SECRET_NEEDED,
		    "no recovery key was made yet; the first backup makes one");
	if (code == RH_OK)
		code = write_forms(&identity, secret, ret, error);
	bytes_wipe(&identity, sizeof identity);
	return code;
}

int rh_recovery_check(rh_store *store, const char *typed, char **ret_recipient, rh_error *error)
{
	struct age_identity identity = {0}, own = {0};
	char text[AGE_TEXT_SIZE], *recipient = NULL;
	bool known = true, secret = false;
	int code;

	if (typed == NULL || ret_recipient == NULL)
		return error_set(error, RH_E_ARGUMENT, "no recovery key was given");
	code = recovery_key_parse(&identity, typed, error);
	if (code == RH_OK && store != NULL)
		code = recovery_load(store, &own, &known, &secret, error);
	if (code == RH_OK && store != NULL &&
	    (!known || !bytes_equal(&own.recipient, &identity.recipient, sizeof own.recipient)))
		code = error_set(error, RH_E_SECRET_WRONG,
		    "the key is well-formed, but not the recovery key of this store");
	if (code == RH_OK) {
		age_recipient_format(text, &identity.recipient);
		recipient = strdup(text);
		code = recipient != NULL ? RH_OK : error_memory(error);
	}
	if (code == RH_OK)
		*ret_recipient = recipient;
	bytes_wipe(&identity, sizeof identity);
	bytes_wipe(&own, sizeof own);
	return code;
}

int rh_recovery_forget(rh_store *store, rh_error *error)
{
	uint8_t proof[KEY_SIZE];
	bool known = false;
	int code;

	if (store == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store was given");
	code = store_begin(store->store, error);
	if (code != RH_OK)
		return code;
	code = recovery_proof(store, proof, &known, error);
	if (code == RH_OK && known)
		code = store_value_set(store->store, VALUE_PROOF, proof, sizeof proof, error);
	if (code == RH_OK)
		code = store_value_set(store->store, VALUE_SECRET, NULL, 0, error);
	if (code == RH_OK)
		code = store_commit(store->store, error);
	if (code != RH_OK)
		store_rollback(store->store);
	bytes_wipe(proof, sizeof proof);
	return code;
}
