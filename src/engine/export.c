#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#include "engine/engine.h"

struct run {
	struct tally tally; /* first: its on_content sees no more */
	int licenses; /* open directory TARGET/licenses */
	const char *target;
};

/* ---- The target ---- */

static int check_empty(const char *path, rh_error *error)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int code = RH_OK;

	if (directory == NULL)
		return error_errno(error, RH_E_OPEN, errno, "cannot open %s", path);
	while (code == RH_OK && (entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			code = error_set(error, RH_E_ARGUMENT,
			    "%s is not empty; name a new or an empty directory", path);
	closedir(directory);
	return code;
}

static int make_target(struct run *run, rh_error *error)
{
	int target, code = file_make_directories(run->target, 0700, error);

	if (code == RH_OK)
		code = check_empty(run->target, error);
	if (code != RH_OK)
		return code;
	target = open(run->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (target < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot open %s", run->target);
	if (mkdirat(target, "licenses", 0700) != 0 ||
	    (run->licenses = openat(target, "licenses", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) <
		0)
		code = error_errno(
		    error, RH_E_WRITE, errno, "cannot make %s/licenses", run->target);
	close(target);
	return code;
}

/* ---- One licence; on a worker thread ---- */

static int write_member(int directory, const char *name, const void *bytes, size_t size,
    const char *component, rh_error *error)
{
	int fd =
	    openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int code;

	if (fd < 0)
		return error_errno(
		    error, RH_E_WRITE, errno, "cannot create licenses/%s/%s", component, name);
	code = file_write(fd, bytes, size, component, error);
	if (close(fd) != 0 && code == RH_OK)
		code = error_errno(
		    error, RH_E_WRITE, errno, "cannot write licenses/%s/%s", component, name);
	return code;
}

static int on_members(void *context, const struct frame_license *members, rh_error *error)
{
	struct run *run = context;
	int directory, code;

	if (mkdirat(run->licenses, members->component, 0700) != 0 ||
	    (directory = openat(
		 run->licenses, members->component, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return error_errno(
		    error, RH_E_WRITE, errno, "cannot make licenses/%s", members->component);
	code = write_member(directory, "document", members->document, members->document_size,
	    members->component, error);
	if (code == RH_OK && members->secret_size > 0)
		code = write_member(directory, members->sealed ? "secret.sealed" : "secret",
		    members->secret, members->secret_size, members->component, error);
	if (code == RH_OK && members->state_size > 0)
		code = write_member(directory, "state.json", members->state,
		    members->state_size, members->component, error);
	close(directory);
	return code;
}

static int export_licenses(struct run *run, const struct opening *opening,
    struct backup_reader *reader, const struct filter *filter, const struct belief *belief,
    rh_error *error)
{
	const struct backup_header *header = backup_reader_header(reader);
	struct contents contents = {.report = run->tally.report,
	    .reader = reader,
	    .filter = filter,
	    .belief = belief,
	    .believe = true,
	    .on_members = on_members,
	    .on_content = tally_content,
	    .context = run};
	int code;

	report_event(run->tally.report, RH_EVENT_BEGIN);
	report_totals(run->tally.report, header->owned + header->managed, header->bytes);
	code = contents_run(&contents, error);
	contents_free(&contents);
	if (code == RH_OK)
		opening_tell_wear(opening, run->tally.report, reader);
	if (code == RH_OK && run->tally.summary->failed > 0)
		return error_set(error, RH_E_NOT_ALL_STORED,
		    "%llu of %llu licences were not exported",
		    (unsigned long long)run->tally.summary->failed,
		    (unsigned long long)run->tally.summary->licenses);
	return code;
}

int rh_export(rh_store *store, const char *path, const char *target,
    const rh_open_options *options, const rh_listener *listener, rh_summary *summary,
    rh_error *error)
{
	const rh_open_options defaults = RH_OPEN_OPTIONS_INIT;
	struct backup_reader *reader = NULL;
	struct opening opening = {0};
	struct filter filter = {0};
	struct belief belief = {.proven = false};
	struct report report;
	rh_summary counts = {0};
	struct run run = {
	    .tally = {.report = &report, .summary = &counts}, .licenses = -1, .target = target};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	options = options != NULL ? options : &defaults;
	report_init(&report, listener, RH_OPERATION_EXPORT);
	code = argument_text(target, "target directory", error);
	if (code == RH_OK)
		code = opening_options(options, &filter, error);
	if (code == RH_OK)
		code = opening_begin(&opening, store, path, options, error);
	if (code == RH_OK)
		code = opening_reader(&opening, &report, &reader, error);
	if (code == RH_OK)
		code = belief_form(
		    &opening, store, backup_reader_header(reader), true, &belief, error);
	if (code == RH_OK)
		code = make_target(&run, error);
	if (code == RH_OK)
		code = export_licenses(&run, &opening, reader, &filter, &belief, error);
	belief_free(&belief);
	if (run.licenses >= 0)
		close(run.licenses);
	backup_reader_free(reader);
	opening_end(&opening);
	filter_free(&filter);
	if (summary != NULL)
		*summary = counts;
	return report_end(&report, code, error);
}
