#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/exit.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "service/keys.h"
#include "service/cmd.h"
#include "service/cmd_keys.h"

/* `rehostd keys show|rotate` */

static int needs_data(const struct arguments *arguments)
{
	talk_error("%s needs --data", arguments->command->name);
	talk_hint("'rehostd %s --help' lists its options", arguments->command->name);
	return EXIT_USAGE;
}

/* ${current}: the newest of its use, which signs or is sealed for. */
static void show_key(json_t *key, bool current)
{
	const char *kid = json_string_value(json_object_get(key, "kid"));
	const char *use = json_string_value(json_object_get(key, "use"));
	bool signs = strcmp(use, "sig") == 0;
	int64_t made = json_integer_value(json_object_get(key, "iat"));
	char text[TIME_TEXT_SIZE];

	time_format(text, made);
	if (record_wanted())
		record_write(json_pack("{s:s,s:s,s:o,s:b,s:O}", "kid", kid, "use", use, "made",
		    record_time(made), "current", current, "jwk", key));
	else
		printf("%s  %s  %s\n", kid, text,
		    signs ? (current ? "signs" : "verifies")
			  : (current ? "is sealed for" : "opens"));
}

int cmd_keys_show(const struct arguments *arguments)
{
	const char *directory = arguments->values[OPTION_DATA];
	bool seen_signing = false, seen_sealing = false;
	struct service_keys *keys;
	json_t *root, *list, *key;
	rh_error error;
	size_t i;

	if (directory == NULL)
		return needs_data(arguments);
	if (service_keys_open(directory, "", false, clock_now(), &keys, &error) != RH_OK)
		return cmd_refuse(&error);
	root = json_loads(service_keys_public(keys), 0, NULL);
	service_keys_close(keys);
	if (root == NULL) {
		error_memory(&error);
		return cmd_refuse(&error);
	}
	list = json_object_get(root, "keys");
	json_array_foreach(list, i, key)
	{
		const char *use = json_string_value(json_object_get(key, "use"));
		bool *seen = strcmp(use, "sig") == 0 ? &seen_signing : &seen_sealing;

		show_key(key, !*seen);
		*seen = true;
	}
	json_decref(root);
	return EXIT_DONE;
}

int cmd_keys_rotate(const struct arguments *arguments)
{
	const char *directory = arguments->values[OPTION_DATA];
	rh_error error;

	if (directory == NULL)
		return needs_data(arguments);
	if (service_keys_rotate(directory, clock_now(), &error) != RH_OK)
		return cmd_refuse(&error);
	talk("new keys were added to %s/%s", directory, SERVICE_KEYS_FILE);
	talk("copy the file to every other rehostd of this ledger, then restart them all");
	return EXIT_DONE;
}
