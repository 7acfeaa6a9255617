#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "service/ledger_internal.h"
#include "service/ledger.h"

/* The handle, names of licences, and licences that need no second proof. */

int ledger_open(struct database *database, const char *service, const struct jose_key *signs,
    const struct jose_set *keys, struct ledger **ret, rh_error *error)
{
	struct ledger *ledger = calloc(1, sizeof *ledger);
	int code = RH_OK;

	if (ledger == NULL)
		return error_memory(error);
	ledger->database = database;
	ledger->signs = signs;
	ledger->keys = keys;
	ledger->service = strdup(service);
	if (ledger->service == NULL)
		code = error_memory(error);
	if (code == RH_OK)
		code = cases_open(ledger, error);
	if (code != RH_OK) {
		ledger_close(ledger);
		return code;
	}
	*ret = ledger;
	return RH_OK;
}

void ledger_close(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	bytes_wipe(ledger->case_key, sizeof ledger->case_key);
	free(ledger->service);
	free(ledger);
}

int ledger_key(char ret[LEDGER_KEY_SIZE], const char *issuer, const char *id, rh_error *error)
{
	uint8_t hash[DIGEST_SIZE];
	struct digest *digest;
	int code = digest_new(&digest, error);

	if (code != RH_OK)
		return code;
	code = digest_update(digest, issuer, strlen(issuer) + 1, error);
	if (code == RH_OK)
		code = digest_update(digest, id, strlen(id), error);
	if (code == RH_OK)
		code = digest_finish(digest, hash, error);
	digest_free(digest);
	if (code == RH_OK)
		base64url(ret, hash, sizeof hash);
	return code;
}

/* ---- Licences that are known by their digest ---- */

struct recognising {
	struct ledger_license *licenses;
	size_t count;
	int64_t version; /* of the issuers */
};

static int on_license(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct recognising *recognising = context;
	struct ledger_license *license = &recognising->licenses[index];

	(void)error;
	license_row(license, row, 0);
	return RH_OK;
}

/* Of issuers that are still served. */
static int recognise(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_recognise",
	    "SELECT" LICENSE_COLUMNS " FROM licenses l JOIN issuers i ON i.name = l.issuer"
	    " WHERE l.digest = $1",
	    1, "t"};
	struct recognising *recognising = context;
	char(*digests)[LEDGER_HASH_SIZE] = calloc(recognising->count + 1, sizeof *digests);
	struct value *values = calloc(recognising->count + 1, sizeof *values);
	int code;

	if (digests == NULL || values == NULL) {
		free(digests);
		free(values);
		return error_memory(error);
	}
	for (size_t i = 0; i < recognising->count; i++) {
		text_hex(digests[i], recognising->licenses[i].digest, DIGEST_SIZE);
		values[i] = value_text(digests[i]);
	}
	code = issuers_version(change, &recognising->version, error);
	if (code == RH_OK)
		code = database_query_many(change->connection, &select, values,
		    recognising->count, on_license, recognising, error);
	free(digests);
	free(values);
	return code;
}

int ledger_recognise(struct ledger *ledger, struct ledger_license *ret, size_t count,
    int64_t *ret_version, rh_error *error)
{
	struct recognising recognising = {.licenses = ret, .count = count};
	int code;

	for (size_t i = 0; i < count; i++)
		*ret[i].key = '\0';
	code = reading_run(ledger, 0, recognise, &recognising, NULL, NULL, error);
	if (code == RH_OK && ret_version != NULL)
		*ret_version = recognising.version;
	return code;
}
