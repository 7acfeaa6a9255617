/*
 * Plays something that a licence of this computer's store stands for: asks what is left,
 * takes the content key, spends one use.
 *
 *   play KEY-ID [STORE]
 *
 * Without STORE it is the one that the environment's REHOST_STORE names, or this user's own.
 *
 *   cc play.c $(pkg-config --cflags --libs rehost) -o play
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <rehost/rehost.h>

#define ACTION "play"

static void show_date(int64_t seconds)
{
	time_t moment = (time_t)seconds;
	const struct tm *fields = gmtime(&moment);
	char text[32];

	if (fields != NULL && strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", fields) > 0)
		printf("date: %s\n", text);
}

static int show(rh_store *store, const char *key_id, rh_error *error)
{
	rh_license_state state;
	int code = rh_query_license_state(store, key_id, ACTION, &state, error);

	if (code != RH_OK)
		return code;
	if (state.category == RH_CATEGORY_UNLIMITED)
		printf("as often as you like\n");
	if (state.count_count > 0)
		printf("%" PRIu64 " left\n", state.counts[0]);
	if (state.period > 0)
		printf("for %" PRId64 " hours from the first time\n", state.period / 3600);
	for (uint32_t i = 0; i < state.date_count; i++)
		show_date(state.dates[i]);
	return RH_OK;
}

/* Here the content would be opened and shown. */
static void play(const void *key, size_t size)
{
	(void)key;
	printf("playing, with a content key of %zu bytes\n", size);
}

static int work(const char *key_id, const char *directory, rh_error *error)
{
	rh_store *store;
	void *key = NULL;
	size_t size = 0;
	rh_use use;
	int code;

	code = rh_store_open(directory, 0, &store, error);
	if (code != RH_OK)
		return code;
	code = show(store, key_id, error);
	/* The key comes before the use: after the last one the licence does not give it any
	 * more. */
	if (code == RH_OK)
		code = rh_license_secret(store, key_id, ACTION, &key, &size, error);
	/* The use comes before the content: what was played was spent, whatever happens then.
	 */
	if (code == RH_OK)
		code = rh_license_use(store, key_id, ACTION, &use, error);
	if (code == RH_OK) {
		printf("licence %s\n", use.id);
		play(key, size);
		if (use.remaining != UINT64_MAX)
			printf("%" PRIu64 " left after this\n", use.remaining);
	}
	rh_free_secret_bytes(key, size);
	rh_store_close(store);
	return code;
}

int main(int argc, char **argv)
{
	rh_error error;
	int code;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: play KEY-ID [STORE]\n");
		return 1;
	}
	code = work(argv[1], argc > 2 ? argv[2] : NULL, &error);
	if (code != RH_OK) {
		fprintf(stderr, "play: %s: %s\n", rh_code_sentence(code), error.text);
		fprintf(stderr, "%s\n", rh_code_next_step(code));
		return rh_code_exit_status(code);
	}
	return 0;
}
