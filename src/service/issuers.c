#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "service/issuers.h"

#define VERIFIED_MAX 32768 /* digests: 1 MiB */

/* What the ledger said at one time. */
struct shown {
	struct issuers_view view; /* first: what is given out */
	struct license_issuer *issuers;
	struct jose_set *sets;
	size_t capacity;
	int64_t version;
	unsigned holders; /* under the lock of the issuers */
	pthread_mutex_t lock; /* of what follows */
	uint8_t (*verified)[DIGEST_SIZE]; /* VERIFIED_MAX, each at its place; zeroes: none */
};

struct issuers {
	struct ledger *ledger;
	pthread_mutex_t lock;
	struct shown *shown; /* holds it, too; NULL: nothing was asked yet */
};

static void shown_free(struct shown *shown)
{
	if (shown == NULL)
		return;
	for (size_t i = 0; i < shown->view.count; i++) {
		free((char *)shown->issuers[i].name);
		jose_set_free(&shown->sets[i]);
	}
	free(shown->issuers);
	free(shown->sets);
	free(shown->verified);
	pthread_mutex_destroy(&shown->lock);
	free(shown);
}

static int shown_new(struct shown **ret, rh_error *error)
{
	struct shown *shown = calloc(1, sizeof *shown);

	if (shown == NULL)
		return error_memory(error);
	shown->verified = calloc(VERIFIED_MAX, sizeof *shown->verified);
	if (shown->verified == NULL || pthread_mutex_init(&shown->lock, NULL) != 0) {
		free(shown->verified);
		free(shown);
		return error_memory(error);
	}
	shown->holders = 1;
	*ret = shown;
	return RH_OK;
}

static int make_room(struct shown *shown, rh_error *error)
{
	size_t capacity = shown->capacity == 0 ? 8 : 2 * shown->capacity;
	struct license_issuer *issuers =
	    reallocarray(shown->issuers, capacity, sizeof *issuers);
	struct jose_set *sets;

	if (issuers == NULL)
		return error_memory(error);
	shown->issuers = issuers;
	sets = reallocarray(shown->sets, capacity, sizeof *sets);
	if (sets == NULL)
		return error_memory(error);
	shown->sets = sets;
	shown->capacity = capacity;
	return RH_OK;
}

static int add(void *context, const struct ledger_issuer *issuer, rh_error *error)
{
	struct shown *shown = context;
	size_t i = shown->view.count;
	int code = i < shown->capacity ? RH_OK : make_room(shown, error);
	char *name;

	if (code != RH_OK)
		return code;
	name = strdup(issuer->name);
	if (name == NULL)
		return error_memory(error);
	code = jose_set_read(&shown->sets[i], issuer->keys, strlen(issuer->keys), NULL, error);
	if (code != RH_OK) {
		free(name);
		/* Of keys that do not read nothing verifies; the other issuers are served. */
		return code == RH_E_PIN_KEYS ? RH_OK : code;
	}
	shown->issuers[i].name = name;
	shown->view.count = i + 1;
	return RH_OK;
}

static int load(struct ledger *ledger, int64_t version, struct shown **ret, rh_error *error)
{
	struct shown *shown = NULL;
	int code = shown_new(&shown, error);

	if (code != RH_OK)
		return code;
	code = ledger_issuers(ledger, add, shown, error);
	if (code != RH_OK) {
		shown_free(shown);
		return code;
	}
	for (size_t i = 0; i < shown->view.count; i++)
		shown->issuers[i].keys = &shown->sets[i];
	shown->view.issuers = shown->issuers;
	shown->version = version;
	*ret = shown;
	return RH_OK;
}

static void let_go(struct shown *shown)
{
	if (shown != NULL && --shown->holders == 0)
		shown_free(shown);
}

int issuers_new(struct ledger *ledger, struct issuers **ret, rh_error *error)
{
	struct issuers *issuers = calloc(1, sizeof *issuers);

	if (issuers == NULL)
		return error_memory(error);
	if (pthread_mutex_init(&issuers->lock, NULL) != 0) {
		free(issuers);
		return error_memory(error);
	}
	issuers->ledger = ledger;
	*ret = issuers;
	return RH_OK;
}

void issuers_free(struct issuers *issuers)
{
	if (issuers == NULL)
		return;
	let_go(issuers->shown);
	pthread_mutex_destroy(&issuers->lock);
	free(issuers);
}

int issuers_hold(struct issuers *issuers, const struct issuers_view **ret, rh_error *error)
{
	int64_t version;
	/* Before they are read: a change meanwhile is then seen the next time. */
	int code = ledger_issuers_version(issuers->ledger, &version, error);

	return code == RH_OK ? issuers_hold_version(issuers, version, ret, error) : code;
}

int issuers_hold_version(
    struct issuers *issuers, int64_t version, const struct issuers_view **ret, rh_error *error)
{
	struct shown *now = NULL;
	int code = RH_OK;

	pthread_mutex_lock(&issuers->lock);
	if (issuers->shown == NULL || issuers->shown->version != version) {
		code = load(issuers->ledger, version, &now, error);
		if (code == RH_OK) {
			let_go(issuers->shown);
			issuers->shown = now;
		}
	}
	if (code == RH_OK) {
		issuers->shown->holders++;
		*ret = &issuers->shown->view;
	}
	pthread_mutex_unlock(&issuers->lock);
	return code;
}

void issuers_release(struct issuers *issuers, const struct issuers_view *view)
{
	if (view == NULL)
		return;
	pthread_mutex_lock(&issuers->lock);
	let_go((struct shown *)view);
	pthread_mutex_unlock(&issuers->lock);
}

/* ---- What was verified ---- */

static uint8_t *place_of(const struct shown *shown, const uint8_t digest[DIGEST_SIZE])
{
	return shown->verified[get_u32be(digest) % VERIFIED_MAX];
}

bool issuers_verified(const struct issuers_view *view, const uint8_t digest[DIGEST_SIZE])
{
	struct shown *shown = (struct shown *)view;
	bool found;

	pthread_mutex_lock(&shown->lock);
	found = memcmp(place_of(shown, digest), digest, DIGEST_SIZE) == 0;
	pthread_mutex_unlock(&shown->lock);
	return found;
}

void issuers_remember(const struct issuers_view *view, const uint8_t digest[DIGEST_SIZE])
{
	struct shown *shown = (struct shown *)view;

	pthread_mutex_lock(&shown->lock);
	memcpy(place_of(shown, digest), digest, DIGEST_SIZE);
	pthread_mutex_unlock(&shown->lock);
}
