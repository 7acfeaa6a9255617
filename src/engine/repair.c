#include <stdlib.h>

#include "engine/checking.h"
#include "engine/medium.h"

struct run {
	struct checking checking;
	struct backup_directory *directory;
	struct backup_directory *target; /* NULL: in place */
	struct workplace place;
	rh_condition sum;
};

/* What stays wrong counts more than what went well. */
static void add(rh_condition *sum, const rh_condition *one)
{
	static const int gravity[] = {[RH_STATE_WHOLE] = 0,
	    [RH_STATE_UNKNOWN] = 1,
	    [RH_STATE_MENDABLE] = 2,
	    [RH_STATE_LOST] = 3};

	if (gravity[one->state] > gravity[sum->state])
		sum->state = one->state;
	if (one->reserve > sum->reserve)
		sum->reserve = one->reserve;
	sum->bytes += one->bytes;
	sum->bytes_bad += one->bytes_bad;
	sum->bytes_lost += one->bytes_lost;
	sum->bytes_mended += one->bytes_mended;
}

/*
 * Without a parity file, a backup that is whole in its structure is taken as it is: nobody
 * could tell more.
 */
static int repair_one(
    struct run *run, const struct backup_generation *generation, rh_error *error)
{
	struct backup_state state = {.condition = BACKUP_UNKNOWN};
	rh_condition condition;
	rh_error why = {0};
	int code;

	checking_begin(&run->checking, generation->file);
	code = backup_repair(
	    run->directory, generation->file, run->target, &run->checking.watch, &state, &why);
	if (code == RH_E_BACKUP_CORRUPT)
		code = medium_explain(&run->place, code, &why);
	checking_condition(&run->checking, &state, &condition);
	if (code == RH_OK || code == RH_E_BACKUP_CORRUPT || code == RH_E_PARITY) {
		report_condition(run->checking.report, &condition);
		add(&run->sum, &condition);
	}
	if (code == RH_E_PARITY && generation->whole && run->target == NULL) {
		report_notice(run->checking.report, "%s", why.text);
		return RH_OK;
	}
	if (code != RH_OK && error != NULL)
		*error = why;
	return code;
}

/* A failure that is of one backup alone; not of a medium that is gone. */
static bool of_one(const struct run *run, int code)
{
	switch (code) {
	case RH_E_BACKUP_CORRUPT:
	case RH_E_PARITY:
		return true;
	case RH_E_OPEN:
	case RH_E_ACCESS:
	case RH_E_READ:
	case RH_E_WRITE:
	case RH_E_READ_BACK:
	case RH_E_BACKUP_MISSING:
		return medium_check(&run->place, NULL) == RH_OK;
	default:
		return false;
	}
}

/* All are seen to, whatever becomes of one; the first failure is the result. */
static int repair_all(struct run *run, rh_error *error)
{
	struct backup_generation *generations = NULL;
	size_t count = 0;
	rh_error first = {0};
	int code = backup_list(run->directory, &generations, &count, error);

	if (code == RH_OK && count == 0)
		code = error_set(error, RH_E_BACKUP_MISSING, "there is no backup in %s",
		    backup_directory_path(run->directory));
	if (code == RH_OK)
		report_event(run->checking.report, RH_EVENT_BEGIN);
	/* Copies are made of the newest alone. */
	if (run->target != NULL && count > 1)
		count = 1;
	for (size_t i = 0; i < count && code == RH_OK; i++) {
		rh_error why = {0};

		code = repair_one(run, &generations[i], &why);
		if (code != RH_OK && of_one(run, code)) {
			if (first.code == RH_OK)
				first = why;
			else
				report_notice(run->checking.report, "%s", why.text);
			code = RH_OK;
		} else if (code != RH_OK && error != NULL) {
			*error = why;
		}
	}
	if (code == RH_OK && first.code != RH_OK) {
		code = first.code;
		if (error != NULL)
			*error = first;
	}
	free(generations);
	return code;
}

static int open_for_repair(
    struct run *run, const char *path, const char *target, rh_error *error)
{
	rh_error why = {0};
	int code = backup_directory_open(path, target == NULL, &run->directory, &why);

	if (code == RH_E_ACCESS && target == NULL)
		return error_set(error, code,
		    "%s; 'rehost repair' with '--to' makes a copy on another medium", why.text);
	if (code != RH_OK)
		*error = why;
	else if (target != NULL)
		code = backup_directory_open(target, true, &run->target, error);
	return code;
}

int rh_repair(const char *path, const char *target, const rh_listener *listener,
    rh_condition *ret, rh_error *error)
{
	struct report report;
	struct run run = {.checking.report = &report};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	report_init(&report, listener, RH_OPERATION_REPAIR);
	code = argument_text(path, "backup directory", error);
	if (code == RH_OK)
		medium_begin(&run.place, &report, path, NULL, "");
	if (code == RH_OK)
		code = open_for_repair(&run, path, target, error);
	if (code == RH_OK)
		code = repair_all(&run, error);
	code = medium_explain(&run.place, code, error);
	backup_directory_close(run.target);
	backup_directory_close(run.directory);
	if (ret != NULL)
		*ret = run.sum;
	return report_end(&report, code, error);
}
