#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/error.h"
#include "cli/events.h"
#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"

/* ---- list ---- */

enum column { TITLE, ISSUER, CLASS, EXPIRES, ID, COLUMN_COUNT };

static const char *const headings[COLUMN_COUNT] = {"TITLE", "ISSUER", "CLASS", "EXPIRES", "ID"};

#define GAP 2
#define EXPIRES_WIDTH 10
#define TITLE_LEAST 12
#define ISSUER_LEAST 8
#define ID_LEAST 13 /* of a GUID: enough for some hundred thousand */
#define ID_LEAST_PREFIX 17 /* with "urn:uuid:" before it */

struct list {
	size_t width[COLUMN_COUNT];
	size_t id_least;
	time_t now;
	uint64_t count;
};

/* The last day, "expired", or "never". */
static const char *expires(char text[TEXT_SIZE], const rh_license *license, time_t now)
{
	if (license->not_after == RH_TIME_NONE)
		return "never";
	return license->not_after < now ? "expired" : text_day(text, license->not_after);
}

static void widen(size_t *width, const char *text)
{
	char *safe = text_safe(text);
	size_t here = safe == NULL ? 0 : text_width(safe);

	*width = here > *width ? here : *width;
	free(safe);
}

static int measure(void *context, const rh_license *license)
{
	struct list *list = context;

	widen(&list->width[TITLE], license->title);
	widen(&list->width[ISSUER], license->issuer);
	widen(&list->width[CLASS], record_class(license->license_class));
	widen(&list->width[ID], license->id);
	if (strncmp(license->id, "urn:uuid:", 9) == 0)
		list->id_least = ID_LEAST_PREFIX;
	list->count++;
	return interrupt_asked(NULL);
}

/* The id gives first, down to its beginning; title and issuer share what is left. */
static void fit_columns(struct list *list, size_t columns)
{
	size_t *width = list->width;
	size_t fixed = width[CLASS] + width[EXPIRES] + GAP * (COLUMN_COUNT - 1);
	size_t rest = columns > fixed ? columns - fixed : 0;
	size_t names = width[TITLE] + width[ISSUER];

	if (names + width[ID] <= rest)
		return;
	if (width[ID] > list->id_least)
		width[ID] = rest > names + list->id_least ? rest - names : list->id_least;
	rest = rest > width[ID] ? rest - width[ID] : 0;
	if (names <= rest)
		return;
	if (width[ISSUER] > rest * 2 / 5)
		width[ISSUER] = rest * 2 / 5 > ISSUER_LEAST ? rest * 2 / 5 : ISSUER_LEAST;
	rest = rest > width[ISSUER] ? rest - width[ISSUER] : 0;
	width[TITLE] = rest > TITLE_LEAST ? rest : TITLE_LEAST;
}

static void print_cell(const struct list *list, enum column column, const char *text)
{
	char *fit = text_fit(text, list->width[column], column != ID);

	/* An id is cut off, so that what is seen is its beginning and can be given. */
	if (column == ID && strlen(text) > list->width[ID]) {
		free(fit);
		fit = text_safe(text);
		if (fit != NULL && text_width(fit) == strlen(fit))
			fit[list->width[ID]] = '\0';
	}
	printf("%s%s", fit == NULL ? "" : fit, column == ID ? "\n" : "  ");
	free(fit);
}

static int print_row(void *context, const rh_license *license)
{
	const struct list *list = context;
	char day[TEXT_SIZE];

	print_cell(list, TITLE, license->title);
	print_cell(list, ISSUER, license->issuer);
	print_cell(list, CLASS, record_class(license->license_class));
	print_cell(list, EXPIRES, expires(day, license, list->now));
	print_cell(list, ID, license->id);
	return interrupt_asked(NULL);
}

static int print_whole(void *context, const rh_license *license)
{
	char *title = text_safe(license->title), *issuer = text_safe(license->issuer);
	char *id = text_safe(license->id);
	char day[TEXT_SIZE];

	(void)context;
	if (title != NULL && issuer != NULL && id != NULL)
		printf("%s\t%s\t%s\t%s\t%s\n", title, issuer,
		    record_class(license->license_class),
		    license->not_after == RH_TIME_NONE ? "never"
						       : text_day(day, license->not_after),
		    id);
	free(title);
	free(issuer);
	free(id);
	return interrupt_asked(NULL);
}

static int print_json(void *context, const rh_license *license)
{
	(void)context;
	record_write_many(record_license(license));
	return interrupt_asked(NULL);
}

static int print_table(rh_store *store, const char *filter, rh_error *error)
{
	struct list list = {.id_least = ID_LEAST, .now = time(NULL)};
	int code;

	for (int i = 0; i < COLUMN_COUNT; i++)
		list.width[i] = strlen(headings[i]);
	list.width[EXPIRES] = EXPIRES_WIDTH;
	code = rh_enumerate(store, filter, measure, &list, error);
	if (code != RH_OK || interrupt_asked(NULL))
		return code;
	if (list.count == 0) {
		talk("%s", filter == NULL ? "no licences in this store" : "no licence matches");
		return code;
	}
	fit_columns(&list, text_columns(STDOUT_FILENO));
	for (int i = 0; i < COLUMN_COUNT; i++)
		print_cell(&list, (enum column)i, headings[i]);
	return rh_enumerate(store, filter, print_row, &list, error);
}

int cmd_list(const struct arguments *arguments)
{
	const char *filter = arguments->values[OPTION_FILTER];
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	if (cmd_open_store(arguments, RH_STORE_READ_ONLY, &store, &error) != RH_OK)
		return cmd_fail(&error);
	if (record_wanted())
		code = rh_enumerate(store, filter, print_json, NULL, &error);
	else if (isatty(STDOUT_FILENO))
		code = print_table(store, filter, &error);
	else
		code = rh_enumerate(store, filter, print_whole, NULL, &error);
	rh_store_close(store);
	if (code == RH_OK && interrupt_asked(NULL))
		code = error_set(&error, RH_E_CANCELED, "stopped on request");
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}

/* ---- remove ---- */

struct found {
	char *id;
	char *title;
};

static int keep_id(void *context, const rh_license *license)
{
	struct found *found = context;

	found->id = strdup(license->id);
	found->title = strdup(license->title);
	return 0;
}

static int remove_one(rh_store *store, const char *id, rh_error *error)
{
	struct found found = {NULL, NULL};
	int code = rh_get(store, id, keep_id, &found, error);

	if (code == RH_OK && (found.id == NULL || found.title == NULL))
		code = error_memory(error);
	if (code == RH_OK)
		code = rh_remove(store, found.id, error);
	if (code == RH_OK && record_wanted())
		record_write(json_pack("{s:o}", "removed", record_text(found.id)));
	else if (code == RH_OK)
		talk("removed: %s (%s)", found.title[0] != '\0' ? found.title : "untitled",
		    found.id);
	free(found.id);
	free(found.title);
	return code;
}

int cmd_remove(const struct arguments *arguments)
{
	rh_store *store = NULL;
	rh_error error = {0};
	int code = RH_OK;

	if (cmd_open_store(arguments, 0, &store, &error) != RH_OK)
		return cmd_fail(&error);
	for (int i = 0; i < arguments->operand_count && code == RH_OK; i++)
		code = remove_one(store, arguments->operands[i], &error);
	rh_store_close(store);
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}
