#include "cli/exit.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "service/cmd.h"

static const char *next_step(const rh_error *error)
{
	switch (error->code) {
	case RH_E_ARGUMENT:
		return "see 'rehostd help'";
	case RH_E_ACCESS:
	case RH_E_OPEN:
	case RH_E_NO_DIRECTORY:
	case RH_E_NOT_DIRECTORY:
	case RH_E_PIN_KEYS:
	case RH_E_CANCELED:
		return "";
	case RH_E_READ:
	case RH_E_WRITE:
	case RH_E_FULL:
		return "check the disk and its free space, then start again";
	case RH_E_STORE_MISSING:
		return "the first 'rehostd serve --data DIR' makes it; name another place with "
		       "--data or --database";
	case RH_E_DATABASE:
		return "check that the database runs, and its address";
	case RH_E_DATABASE_CONFLICT:
		return "run the command again";
	case RH_E_STORE_DAMAGED:
		return "keep the ledger as it is, and compare it with a copy that is older";
	case RH_E_SERVICE_ROLLED_BACK:
		return "put the right ledger back, or take this one for true with 'rehostd "
		       "audit "
		       "resolve'";
	case RH_E_LICENSE_UNKNOWN:
		return "'rehostd licence list' lists what was seen; with --issuer a licence "
		       "can be "
		       "allowed and blocked before";
	case RH_E_PIN_UNKNOWN:
		return "see 'rehostd issuer list', 'rehostd computer list' and 'rehostd token "
		       "list'";
	case RH_E_STORE_NEWER:
		return "use the version of rehostd that made it, or a later one";
	default:
		return rh_code_next_step(error->code);
	}
}

int cmd_refuse(const rh_error *error)
{
	const char *next = next_step(error);
	char phrase[1024];
	json_t *inner;

	if (record_wanted()) {
		inner = json_object();
		record_code(inner, error->code, next);
		json_object_set_new(inner, "next_step", record_text(next));
		json_object_set_new(inner, "text", record_text(error->text));
		record_write(json_pack("{s:o}", "error", inner));
	}
	talk_error("%s", talk_phrase(phrase, sizeof phrase, error->text));
	if (next[0] != '\0')
		talk_hint("%s", next);
	return rh_code_exit_status(error->code);
}
