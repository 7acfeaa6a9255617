#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/condition.h"

json_t *condition_record(const rh_condition *condition)
{
	return json_pack("{s:o,s:s,s:I,s:I,s:I,s:I,s:I}", "file", record_text(condition->file),
	    "state", rh_state_name(condition->state), "reserve", (json_int_t)condition->reserve,
	    "bytes", (json_int_t)condition->bytes, "bytes_bad",
	    (json_int_t)condition->bytes_bad, "bytes_lost", (json_int_t)condition->bytes_lost,
	    "bytes_mended", (json_int_t)condition->bytes_mended);
}

json_t *damage_record(const rh_damage *damage)
{
	return json_pack("{s:o,s:I,s:I,s:b}", "file", record_text(damage->file), "offset",
	    (json_int_t)damage->offset, "bytes", (json_int_t)damage->bytes, "lost",
	    damage->lost);
}

void damage_say(const rh_damage *damage)
{
	char from[TEXT_SIZE], to[TEXT_SIZE], size[TEXT_SIZE];

	talk("damaged: %s, bytes %s to %s (%s)%s", damage->file,
	    text_number(from, damage->offset),
	    text_number(to, damage->offset + damage->bytes - 1),
	    text_bytes(size, damage->bytes), damage->lost ? ", beyond repair" : "");
}

static void say_restored(const rh_condition *condition)
{
	char mended[TEXT_SIZE], lost[TEXT_SIZE];

	if (condition->bytes_mended > 0) {
		talk("note: %s of %s were damaged, and were mended while it was read",
		    text_bytes(mended, condition->bytes_mended), condition->file);
		talk_hint("rehost repair mends them on the medium, before more goes bad");
	}
	if (condition->bytes_lost > 0)
		talk("note: %s of %s are damaged beyond repair",
		    text_bytes(lost, condition->bytes_lost), condition->file);
}

static void say_repaired(const rh_condition *condition)
{
	char mended[TEXT_SIZE], lost[TEXT_SIZE];

	if (condition->bytes_mended > 0)
		talk("%s: mended %s", condition->file,
		    text_bytes(mended, condition->bytes_mended));
	else if (condition->state == RH_STATE_WHOLE)
		talk("%s: whole, nothing to mend", condition->file);
	if (condition->bytes_lost > 0)
		talk("%s: %s are beyond repair", condition->file,
		    text_bytes(lost, condition->bytes_lost));
}

void condition_say(const rh_condition *condition, int operation)
{
	/* After a check the result says it. */
	if (operation == RH_OPERATION_REPAIR)
		say_repaired(condition);
	else if (operation != RH_OPERATION_VERIFY)
		say_restored(condition);
}
