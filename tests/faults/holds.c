#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "holds.h"

void join(char path[PATH_SIZE], const char *place, const char *name)
{
	snprintf(path, PATH_SIZE, "%s/%s", place, name);
}

void count_event(struct outcome *outcome, bool end, int code)
{
	if (outcome->ends >= outcome->calls)
		outcome->late++;
	if (end) {
		outcome->ends++;
		outcome->end_code = code;
	}
}

bool stick_holds(const char *place, const char *name, const char *recovery, uint64_t before,
    uint64_t after, enum ending ending, char *why, size_t size)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	rh_summary summary = {0};
	rh_error error = {0};
	bool done = ending != FAILED;
	char path[PATH_SIZE];
	struct dirent *entry;
	unsigned backups = 0, parts = 0;

	join(path, place, name);
	DIR *directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		backups += strncmp(entry->d_name, "licenses-", 9) == 0 && dot != NULL &&
			   strcmp(dot, ".age") == 0;
		parts += dot != NULL && strcmp(dot, ".part") == 0;
	}
	if (directory != NULL)
		closedir(directory);

	options.recovery_key = recovery;
	int code = rh_verify(NULL, path, &options, NULL, &summary, &error);
	if (code == RH_E_BACKUP_MISSING && !done && before == 0 && backups == 0)
		return true;
	if (code != RH_OK) {
		snprintf(why, size, "%s: %.300s", name, error.text);
		return false;
	}
	if (summary.done != after && (done || summary.done != before)) {
		snprintf(
		    why, size, "%s: %u licences in the backup", name, (unsigned)summary.done);
		return false;
	}
	if (ending == UNHARMED && (backups != 1 || parts != 0)) {
		snprintf(
		    why, size, "%s: %u backups and %u partial files", name, backups, parts);
		return false;
	}
	return true;
}
