/*
 * Uses licences, and says so: "key HEX" and "left COUNT" of each key id, then "used" for
 * each use that was reported to it.
 *
 * usage: spender STORE USES KEY-ID...
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rehost/rehost.h"

static int say(const char *line)
{
	size_t size = strlen(line);

	/* At once: what was said was said, whatever happens then. */
	return write(STDOUT_FILENO, line, size) == (ssize_t)size ? RH_OK : RH_E_WRITE;
}

static int show(rh_store *store, const char *key_id, rh_error *error)
{
	rh_license_state state;
	char line[600] = "key none\n";
	void *key = NULL;
	size_t size = 0;
	int code = rh_query_license_state(store, key_id, "play", &state, error);

	if (code != RH_OK)
		return code;
	code = rh_license_secret(store, key_id, "play", &key, &size, error);
	if (code == RH_E_RIGHT_SPENT)
		code = RH_OK;
	for (size_t i = 0; i < size && i < 256; i++)
		snprintf(line + 4 + 2 * i, 4, "%02x\n", ((unsigned char *)key)[i]);
	rh_free_secret_bytes(key, size);
	if (code == RH_OK)
		code = say(line);
	snprintf(line, sizeof line, "left %" PRIu64 "\n",
	    state.count_count > 0 ? state.counts[0] : 0);
	return code == RH_OK ? say(line) : code;
}

int main(int argc, char **argv)
{
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	if (argc < 4)
		return 1;
	code = rh_store_open(argv[1], 0, &store, &error);
	for (int i = 3; i < argc && code == RH_OK; i++) {
		code = show(store, argv[i], &error);
		for (long uses = atol(argv[2]); uses > 0 && code == RH_OK; uses--) {
			code = rh_license_use(store, argv[i], "play", NULL, &error);
			if (code == RH_OK)
				code = say("used\n");
		}
	}
	if (code != RH_OK)
		fprintf(stderr, "spender: %s\n", error.text);
	rh_store_close(store);
	return rh_code_exit_status(code);
}
