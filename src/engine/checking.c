#include "base/text.h"

#include "engine/checking.h"

static void on_damage(
    void *context, const char *file, uint64_t offset, uint64_t bytes, bool lost)
{
	struct checking *checking = context;
	rh_damage damage = {.file = file, .offset = offset, .bytes = bytes, .lost = lost};

	report_damage(checking->report, &damage);
}

static void on_total(void *context, uint64_t bytes)
{
	struct checking *checking = context;

	report_totals(checking->report, 0, bytes);
}

static void on_bytes(void *context, uint64_t bytes)
{
	struct checking *checking = context;

	report_done(checking->report, 0, bytes);
}

static int stop(void *context)
{
	struct checking *checking = context;

	return report_stop(checking->report);
}

void checking_begin(struct checking *checking, const char *file)
{
	checking->file = file;
	checking->watch = (struct backup_watch){.on_damage = on_damage,
	    .on_total = on_total,
	    .on_bytes = on_bytes,
	    .stop = stop,
	    .context = checking};
}

void checking_condition(
    const struct checking *checking, const struct backup_state *state, rh_condition *ret)
{
	static const int states[] = {[BACKUP_WHOLE] = RH_STATE_WHOLE,
	    [BACKUP_MENDABLE] = RH_STATE_MENDABLE,
	    [BACKUP_LOST] = RH_STATE_LOST,
	    [BACKUP_UNKNOWN] = RH_STATE_UNKNOWN};

	*ret = (rh_condition){.file = checking->file,
	    .state = states[state->condition],
	    .reserve = state->reserve,
	    .bytes = state->bytes,
	    .bytes_bad = state->bytes_bad,
	    .bytes_lost = state->bytes_lost,
	    .bytes_mended = state->bytes_mended};
}

int checking_fail(const char *file, const struct backup_state *state, int code, rh_error *error)
{
	char bad[TEXT_AMOUNT_SIZE], lost[TEXT_AMOUNT_SIZE];

	text_amount(bad, state->bytes_bad);
	if (code == RH_E_BACKUP_MENDABLE)
		return error_set(error, code,
		    "%s of %s and its parity file are damaged, all of it can be mended; %u %% "
		    "of the "
		    "reserve is used",
		    bad, file, state->reserve);
	return error_set(error, code,
	    "%s of %s and its parity file are damaged, %s beyond repair", bad, file,
	    text_amount(lost, state->bytes_lost));
}
