/*
 * Backs up the licences of this computer, or restores them, with the plain C face.
 *
 *   plain_backup backup DIRECTORY [STORE]
 *   plain_backup restore DIRECTORY [STORE [RECOVERY-KEY]]
 *
 * Without STORE it is the one that the environment's REHOST_STORE names, or this user's own.
 *
 *   cc plain_backup.c $(pkg-config --cflags --libs rehost) -o plain_backup
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rehost/rehost.h>

static int on_event(void *context, const rh_event *event)
{
	(void)context;
	printf("%s", rh_event_name(event->type));
	if (event->type == RH_EVENT_TOTALS || event->type == RH_EVENT_PROGRESS)
		printf(" %" PRIu64 " of %" PRIu64 " licences", event->licenses_done,
		    event->licenses_total);
	if (event->license != NULL)
		printf(" %s %s", event->license->id, event->license->title);
	if (event->code != RH_OK)
		printf(": %s", rh_code_sentence(event->code));
	if (event->text[0] != '\0')
		printf(" (%s)", event->text);
	printf("\n");
	return 0; /* go on */
}

static int work(int argc, char **argv, rh_summary *summary, rh_error *error)
{
	const rh_listener listener = {on_event, NULL, NULL};
	const char *store_directory = argc > 3 ? argv[3] : NULL;
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	int restoring = strcmp(argv[1], "restore") == 0;
	rh_store *store;
	int code;

	code = rh_store_open(store_directory, restoring ? RH_STORE_CREATE : 0, &store, error);
	if (code != RH_OK)
		return code;
	if (restoring) {
		options.recovery_key = argc > 4 ? argv[4] : NULL;
		code = rh_restore(store, argv[2], &options, &listener, summary, error);
	} else {
		code = rh_backup(store, argv[2], NULL, &listener, summary, error);
	}
	rh_store_close(store);
	return code;
}

int main(int argc, char **argv)
{
	rh_summary summary = {0};
	rh_error error;
	int code;

	if (argc < 3 || (strcmp(argv[1], "backup") != 0 && strcmp(argv[1], "restore") != 0)) {
		fprintf(stderr,
		    "usage: plain_backup backup DIRECTORY [STORE]\n"
		    "       plain_backup restore DIRECTORY [STORE [RECOVERY-KEY]]\n");
		return 1;
	}
	code = work(argc, argv, &summary, &error);
	if (code != RH_OK) {
		fprintf(stderr, "plain_backup: %s: %s\n", rh_code_sentence(code), error.text);
		fprintf(stderr, "%s\n", rh_code_next_step(code));
		return rh_code_exit_status(code);
	}
	printf("%" PRIu64 " of %" PRIu64 " licences, %" PRIu64 " restricted\n", summary.done,
	    summary.licenses, summary.restricted);
	return 0;
}
