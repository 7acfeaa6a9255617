#include <stdlib.h>

#include "engine/recipients.h"

int recipients_make(struct rh_store *store, const struct age_identity *recovery,
    const rh_backup_options *options, struct age_recipient **ret, size_t *ret_count,
    rh_error *error)
{
	struct age_recipient *recipients =
	    calloc(2 + options->recipient_count, sizeof *recipients);
	size_t count = 0;
	int code = RH_OK;

	if (recipients == NULL)
		return error_memory(error);
	recipients[count++] = computer_age_identity(store->computer)->recipient;
	recipients[count++] = recovery->recipient;
	for (size_t i = 0; i < options->recipient_count && code == RH_OK; i++)
		code = age_recipient_parse(&recipients[count++], options->recipients[i], error);
	if (code != RH_OK) {
		free(recipients);
		return code;
	}
	*ret = recipients;
	*ret_count = count;
	return RH_OK;
}

int recipients_owner(struct rh_store *store, struct report *report, struct age_identity *ret,
    bool *ret_secret, rh_error *error)
{
	bool known;
	int code = rh_recovery_make(store, error);

	if (code == RH_OK)
		report_event(report, RH_EVENT_RECOVERY_KEY);
	else if (code != RH_S_ALREADY_HERE)
		return code;
	return recovery_load(store, ret, &known, ret_secret, error);
}
