#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "cli/keys.h"

#define RECOVERY_FILE "recovery.age" /* FORMAT.md of the backup */

int keys_read(const struct arguments *arguments, struct keys *ret, rh_error *error)
{
	const char *key = arguments->values[OPTION_RECOVERY_KEY_FILE];
	const char *passphrase = arguments->values[OPTION_PASSPHRASE_FILE];
	int code = RH_OK;

	*ret = (struct keys){.asked = key != NULL || passphrase != NULL};
	if (key != NULL)
		code = secret_read_key(key, &ret->recovery_key, error);
	if (code == RH_OK && passphrase != NULL)
		code = secret_read_passphrase(passphrase, false, &ret->passphrase, error);
	return code;
}

void keys_wipe(struct keys *keys)
{
	secret_wipe(&keys->recovery_key);
	secret_wipe(&keys->passphrase);
}

rh_open_options keys_options(const struct arguments *arguments, const struct keys *keys)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;

	options.recovery_key = keys->recovery_key.given ? keys->recovery_key.text : NULL;
	options.passphrase = keys->passphrase.given ? keys->passphrase.text : NULL;
	options.filter = arguments->values[OPTION_FILTER];
	options.plan = option_given(arguments, OPTION_PLAN);
	options.service_url = arguments->values[OPTION_SERVICE_URL];
	return options;
}

bool keys_ask(struct keys *keys, const char *directory, rh_error *error)
{
	char path[PATH_MAX];
	int code;

	if (keys->asked || error->code != RH_E_SECRET_NEEDED || record_wanted() ||
	    !secret_can_ask())
		return false;
	keys->asked = true;
	snprintf(path, sizeof path, "%s/" RECOVERY_FILE, directory);
	if (access(path, R_OK) == 0) {
		talk("This backup opens with your recovery key, or with its passphrase.");
		code = secret_ask_key("Recovery code or key (not shown; Enter to give the "
				      "passphrase): ",
		    &keys->recovery_key, error);
		if (code == RH_OK && keys->recovery_key.text[0] == '\0') {
			keys->recovery_key.given = false;
			code = secret_ask_passphrase(
			    "Passphrase (not shown): ", &keys->passphrase, error);
		}
	} else {
		talk("This backup opens with your recovery key.");
		code = secret_ask_key(
		    "Recovery code or key (not shown): ", &keys->recovery_key, error);
	}
	if (code == RH_OK && keys->recovery_key.text[0] == '\0')
		keys->recovery_key.given = false;
	if (code == RH_OK && keys->passphrase.text[0] == '\0')
		keys->passphrase.given = false;
	if (code == RH_OK && !keys->recovery_key.given && !keys->passphrase.given)
		error_set(error, RH_E_SECRET_NEEDED, "no recovery key was given");
	return code == RH_OK && (keys->recovery_key.given || keys->passphrase.given);
}
