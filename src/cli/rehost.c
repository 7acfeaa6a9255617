#include <string.h>

#include "cli/cmd.h"
#include "cli/completion.h"
#include "cli/program.h"
#include "cli/talk.h"
#include "cli/text.h"

#define LICENSES_MAX 200

int cmd_open_store(
    const struct arguments *arguments, unsigned flags, rh_store **ret, rh_error *error)
{
	return rh_store_open(arguments->values[OPTION_STORE], flags, ret, error);
}

void cmd_open_keys(const struct arguments *arguments, rh_store **ret)
{
	char phrase[1024];
	rh_error error = {0};

	*ret = NULL;
	if (cmd_open_store(arguments, RH_STORE_READ_ONLY, ret, &error) == RH_OK ||
	    error.code == RH_E_STORE_MISSING)
		return;
	talk("note: the keys of this computer's store are not used: %s",
	    talk_phrase(phrase, sizeof phrase,
		error.text[0] != '\0' ? error.text : rh_code_sentence(error.code)));
}

struct offered {
	FILE *out;
	const char *typed;
	unsigned count;
};

static int offer_license(void *context, const rh_license *license)
{
	struct offered *offered = context;
	char *id, *title;

	if (strncmp(license->id, offered->typed, strlen(offered->typed)) != 0)
		return 0;
	id = text_safe(license->id);
	title = text_safe(license->title);
	if (id != NULL && title != NULL)
		completion_offer(offered->out, id, "", title);
	rh_free(id);
	rh_free(title);
	return ++offered->count >= LICENSES_MAX;
}

static void offer(
    FILE *out, const struct arguments *arguments, enum argument_kind kind, const char *typed)
{
	struct offered offered = {out, typed, 0};
	rh_store *store = NULL;

	if (kind == ARGUMENT_FORMAT)
		for (size_t i = 0; rh_format_name(i) != NULL; i++)
			completion_offer(out, rh_format_name(i), typed, rh_format_title(i));
	if (kind != ARGUMENT_LICENSE)
		return;
	if (cmd_open_store(arguments, RH_STORE_READ_ONLY, &store, NULL) == RH_OK)
		rh_enumerate(store, NULL, offer_license, &offered, NULL);
	rh_store_close(store);
}

const struct program program = {
    .name = "rehost",
    .version = rh_version,
    .purpose = "Back up the licences of this computer, and restore them on a new one.",
    .beginning = "  rehost add FILE...     put licences into this computer's store\n"
		 "  rehost backup DIR      back up the licences to a directory\n"
		 "  rehost restore DIR     restore them, here or on a new computer\n",
    .alone = "computer show",
    .offer = offer,
};
