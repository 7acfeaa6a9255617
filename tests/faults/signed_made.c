#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "issue.h"

#include "holds.h"
#include "signed.h"

const char *const signed_names[SIGNED_LICENSES] = {"counted", "periodic", "plain", "managed",
    "restricted", "expired", "new-counted", "new-managed", "counted"};
char signed_texts[SIGNED_LICENSES][4096];
char signed_recovery[128];

void signed_secret(char secret[SIGNED_SECRET_SIZE + 1], unsigned number)
{
	snprintf(secret, SIGNED_SECRET_SIZE + 1, "Kernel of licence %02u",
	    number == LATER ? (unsigned)COUNTED : number);
}

bool signed_leaks(const char *text)
{
	/* As it is, in base64 and in hexadecimal digits; and how a JWS or JWE begins. */
	return strstr(text, "Kernel of") != NULL || strstr(text, "S2VybmVsIG9m") != NULL ||
	       strstr(text, "4b65726e656c") != NULL || strstr(text, "eyJ") != NULL;
}

/* ---- Making ---- */

static bool put(const char *folder, const char *name, const char *text)
{
	char path[PATH_SIZE];
	FILE *file;
	bool good;

	join(path, folder, name);
	file = fopen(path, "w");
	if (file == NULL)
		return false;
	good = fputs(text, file) >= 0;
	return fclose(file) == 0 && good;
}

static bool get(const char *folder, const char *name, char *text, size_t size)
{
	char path[PATH_SIZE];
	FILE *file;
	size_t got;

	join(path, folder, name);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	got = fread(text, 1, size, file);
	fclose(file);
	if (got == 0 || got == size)
		return false;
	text[got] = '\0';
	return true;
}

static bool note_license(
    const char *notes, const struct issue_keys *keys, const char *computer, unsigned number)
{
	char name[16], secret[SIGNED_SECRET_SIZE + 1];
	struct issue issue = {.id = signed_names[number],
	    .key_id = signed_names[number],
	    .issuer = SIGNED_ISSUER,
	    .title = "\"River songs\"",
	    .actions = "{\"play\":{}}",
	    .computer = computer,
	    .content_key = secret,
	    .content_key_size = SIGNED_SECRET_SIZE,
	    .backup = number != RESTRICTED};
	char *text;
	bool good;

	signed_secret(secret, number);
	if (number == COUNTED || number == LATER || number == NEW_COUNTED)
		issue.actions = "{\"play\":{\"count\":1000}}";
	if (number == PERIODIC)
		issue.actions = "{\"play\":{\"period\":864000}}";
	if (number == LATER)
		issue.issued = 1700000001;
	if (number == MANAGED || number == NEW_MANAGED) {
		issue.service = SIGNED_SERVICE;
		issue.computers = 2;
	}
	if (number == EXPIRED)
		issue.not_after = time(NULL) + 2;
	text = issue_license(keys, &issue);
	snprintf(name, sizeof name, "%u.jws", number);
	snprintf(signed_texts[number], sizeof signed_texts[number], "%s", text);
	good = put(notes, name, text);
	free(text);
	return good;
}

/* Writes the public halves of ${keys}, and pins them if there is a store. */
static int pin(rh_store *store, int kind, struct issue_keys *keys, const char *folder,
    const char *file, const char *name, rh_error *error)
{
	char *set = issue_set(&keys, 1, name), path[PATH_SIZE];
	bool good = put(folder, file, set);

	free(set);
	if (!good)
		return RH_E_WRITE;
	join(path, folder, file);
	return store != NULL ? rh_pin_add(store, kind, path, NULL, NULL, NULL, error) : RH_OK;
}

static int found(const char *place, const char *notes, rh_error *error)
{
	struct issue_keys *issuer = issue_keys_new("2026", "ES256");
	struct issue_keys *another = issue_keys_new("2027", "ES256");
	struct issue_keys *service = issue_keys_new("lms", "ECDH-ES+A256KW");
	rh_recovery_key key = {0};
	rh_store *store = NULL;
	const char *computer;
	char path[PATH_SIZE];
	int code;

	join(path, place, "sworn");
	code = rh_store_open(path, RH_STORE_CREATE, &store, error);
	if (code == RH_OK)
		code = rh_recovery_make(store, error);
	if (code == RH_OK)
		code = rh_recovery_show(store, &key, error);
	if (code == RH_OK && !put(notes, "key", key.identity))
		code = RH_E_WRITE;
	if (code == RH_OK)
		code = rh_store_computer_jwk(store, &computer, error);
	if (code == RH_OK)
		code = pin(
		    store, RH_PIN_ISSUER, issuer, place, "issuer.jwks", SIGNED_ISSUER, error);
	if (code == RH_OK)
		code = pin(
		    NULL, RH_PIN_ISSUER, another, place, "another.jwks", SIGNED_ANOTHER, error);
	if (code == RH_OK)
		code = pin(
		    store, RH_PIN_SERVICE, service, notes, "lms.jwks", SIGNED_SERVICE, error);
	for (unsigned i = 0; code == RH_OK && i < SIGNED_LICENSES; i++)
		if (!note_license(notes, issuer, computer, i))
			code = RH_E_WRITE;
	rh_recovery_free(&key);
	rh_store_close(store);
	issue_keys_free(issuer);
	issue_keys_free(another);
	issue_keys_free(service);
	return code;
}

static int spend(const char *place, rh_error *error)
{
	char path[PATH_SIZE];
	rh_store *store;
	int code;

	join(path, place, "sworn");
	code = rh_store_open(path, 0, &store, error);
	if (code != RH_OK)
		return code;
	code = rh_license_use(store, signed_names[COUNTED], "play", NULL, error);
	rh_store_close(store);
	return code;
}

bool signed_prepare(const char *place, const char *notes)
{
	struct outcome outcome = {0};
	char path[PATH_SIZE];

	mkdir(place, 0700);
	mkdir(notes, 0700);
	join(path, place, "stick");
	mkdir(path, 0700);
	join(path, place, "full");
	mkdir(path, 0700);
	outcome.code = found(place, notes, &outcome.error);
	if (outcome.code == RH_OK)
		signed_add(place, EXPIRED, EXPIRED + 1, &outcome);
	if (outcome.code == RH_OK)
		signed_add(place, COUNTED, COUNTED + 1, &outcome);
	if (outcome.code == RH_OK)
		signed_add(place, PLAIN, PLAIN + 1, &outcome);
	if (outcome.code == RH_OK)
		outcome.code = spend(place, &outcome.error);
	sleep(3); /* until it has expired */
	if (outcome.code == RH_OK)
		signed_backup(place, "stick", &outcome);
	if (outcome.code == RH_OK)
		outcome.code = spend(place, &outcome.error);
	if (outcome.code == RH_OK)
		signed_add(place, PERIODIC, PERIODIC + 1, &outcome);
	if (outcome.code == RH_OK)
		signed_add(place, MANAGED, RESTRICTED + 1, &outcome);
	if (outcome.code == RH_OK)
		signed_backup(place, "full", &outcome);
	if (outcome.code != RH_OK)
		fprintf(stderr, "preparing signed licences: %s %s\n",
		    rh_code_name(outcome.code), outcome.error.text);
	return outcome.code == RH_OK;
}

bool signed_load(const char *notes)
{
	char name[16];

	for (unsigned i = 0; i < SIGNED_LICENSES; i++) {
		snprintf(name, sizeof name, "%u.jws", i);
		if (!get(notes, name, signed_texts[i], sizeof signed_texts[i]))
			return false;
	}
	return get(notes, "key", signed_recovery, sizeof signed_recovery);
}
