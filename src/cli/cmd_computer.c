#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/events.h"
#include "cli/exit.h"
#include "cli/record.h"
#include "cli/secret.h"
#include "cli/talk.h"
#include "cli/text.h"

/* This computer: who it is, and who it is at License Management Services. */

#define SERVICES_MAX 64
#define ADDRESS_SIZE 512

/* The key is made here if need be: an issuer asks for it before there is a licence. */
static int show_public(const struct arguments *arguments)
{
	const char *jwk = NULL;
	rh_store *store = NULL;
	rh_error error = {0};
	int code = cmd_open_store(arguments, RH_STORE_CREATE, &store, &error);

	if (code == RH_OK)
		code = rh_store_computer_jwk(store, &jwk, &error);
	if (code == RH_OK)
		puts(jwk);
	rh_store_close(store);
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}

int cmd_computer_show(const struct arguments *arguments)
{
	rh_store *store = NULL;
	rh_error error = {0};

	if (option_given(arguments, OPTION_PUBLIC))
		return show_public(arguments);
	if (cmd_open_store(arguments, RH_STORE_READ_ONLY, &store, &error) != RH_OK)
		return cmd_fail(&error);
	if (record_wanted())
		record_write(json_pack("{s:o,s:o,s:o}", "computer_id",
		    record_text(rh_store_computer_id(store)), "recipient",
		    record_text(rh_store_computer_recipient(store)), "store",
		    record_text(rh_store_directory(store))));
	else
		printf("Computer   %s\nRecipient  %s\nStore      %s\n",
		    rh_store_computer_id(store), rh_store_computer_recipient(store),
		    rh_store_directory(store));
	rh_store_close(store);
	return EXIT_DONE;
}

/* ---- Which service is meant ---- */

struct choice {
	char addresses[SERVICES_MAX][ADDRESS_SIZE];
	size_t count;
};

static int note_service(void *context, const rh_service *service)
{
	struct choice *choice = context;

	if (choice->count == SERVICES_MAX)
		return 1;
	snprintf(choice->addresses[choice->count++], ADDRESS_SIZE, "%s", service->address);
	return 0;
}

/* The one that was named, or the only one there is. */
static int choose_service(
    rh_store *store, const char *named, char ret[ADDRESS_SIZE], rh_error *error)
{
	struct choice *choice;
	int code;

	if (named != NULL) {
		snprintf(ret, ADDRESS_SIZE, "%s", named);
		return RH_OK;
	}
	choice = calloc(1, sizeof *choice);
	if (choice == NULL) {
		*error = (rh_error){.code = RH_E_MEMORY};
		return RH_E_MEMORY;
	}
	code = rh_service_list(store, note_service, choice, error);
	if (code == RH_OK && choice->count == 1) {
		memcpy(ret, choice->addresses[0], ADDRESS_SIZE);
	} else if (code == RH_OK) {
		code = choice->count == 0 ? RH_E_SERVICE_UNKNOWN : RH_E_ARGUMENT;
		*error = (rh_error){.code = code};
		snprintf(error->text, sizeof error->text,
		    choice->count == 0 ? "no licence of this store names a service"
				       : "licences of this store name %zu services; say which",
		    choice->count);
	}
	free(choice);
	return code;
}

/* ---- individualize ---- */

static bool agreed(const struct arguments *arguments, const char *address)
{
	talk("%s will learn that this computer exists, by a key made for it alone.", address);
	talk("What it keeps: %s/v1/privacy", address);
	if (option_given(arguments, OPTION_YES))
		return true;
	if (!secret_can_ask()) {
		talk_error("not confirmed");
		talk_hint("add --yes if that is all right");
		return false;
	}
	return secret_confirm("Make this computer known there? (yes/no) ");
}

static int individualize(
    const struct arguments *arguments, rh_store *store, const char *address)
{
	const rh_summary none = {0};
	struct report report;
	rh_error error = {0};
	int code, status;

	if (!agreed(arguments, address))
		return secret_can_ask() ? EXIT_CANCELED : EXIT_USAGE;
	report_start(&report, RH_OPERATION_INDIVIDUALIZE, arguments);
	code = rh_service_individualize(
	    store, address, arguments->values[OPTION_NAME], &report.listener, &error);
	status = report_finish(&report, &none, &error);
	if (code == RH_S_ALREADY_HERE)
		talk("known there already");
	else if (code == RH_OK)
		talk("this computer is known to %s from now on", address);
	return status;
}

int cmd_computer_individualize(const struct arguments *arguments)
{
	char address[ADDRESS_SIZE];
	rh_store *store = NULL;
	rh_error error = {0};
	int code, status;

	code = cmd_open_store(arguments, RH_STORE_CREATE, &store, &error);
	if (code == RH_OK)
		code = choose_service(store,
		    arguments->operand_count > 0 ? arguments->operands[0] : NULL, address,
		    &error);
	status = code == RH_OK ? individualize(arguments, store, address) : cmd_fail(&error);
	rh_store_close(store);
	return status;
}

/* ---- status ---- */

static json_t *holder_json(const rh_holder *holder)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:b,s:b}", "computer", record_text(holder->computer),
	    "name", record_text_or_null(holder->name), "since", record_time(holder->since),
	    "releasing", record_time(holder->releasing), "original", holder->original, "here",
	    holder->here);
}

static void status_json(const rh_license *license, const rh_license_status *status)
{
	json_t *object = json_pack("{s:o}", "license", record_license(license));
	json_t *holders;

	if (status->code != RH_OK) {
		record_code(object, status->code, rh_code_next_step(status->code));
		json_object_set_new(object, "text", record_text(status->text));
		record_write(object);
		return;
	}
	holders = json_array();
	for (size_t i = 0; i < status->holder_count; i++)
		json_array_append_new(holders, holder_json(&status->holders[i]));
	json_object_set_new(object, "limit", json_integer(status->limit));
	json_object_set_new(object, "free", json_integer(status->free));
	json_object_set_new(object, "next", record_time(status->next));
	json_object_set_new(object, "computers", holders);
	record_write(object);
}

static void print_holder(const rh_holder *holder)
{
	char since[TEXT_SIZE], releasing[TEXT_SIZE];
	char *name = text_safe(holder->name), *computer = text_safe(holder->computer);

	printf("  %s  since %s%s%s%s%s", computer == NULL ? "" : computer,
	    holder->since == RH_TIME_NONE ? "?" : text_day(since, holder->since),
	    holder->name[0] == '\0' ? "" : "  ", name == NULL ? "" : name,
	    holder->here ? "  (this computer)" : "",
	    holder->original ? "  (issued to it)" : "");
	if (holder->releasing != RH_TIME_NONE)
		printf("  released on %s", text_minute(releasing, holder->releasing));
	putchar('\n');
	free(name);
	free(computer);
}

static int print_status(
    void *context, const rh_license *license, const rh_license_status *status)
{
	char *title = text_safe(license->title[0] != '\0' ? license->title : license->id);
	char *words = text_safe(status->text);
	char next[TEXT_SIZE];

	(void)context;
	if (record_wanted()) {
		status_json(license, status);
	} else if (status->code != RH_OK) {
		printf("%s: %s\n", title == NULL ? "" : title, words == NULL ? "" : words);
	} else {
		printf("%s: on %zu of %u computers", title == NULL ? "" : title,
		    status->holder_count, status->limit);
		if (status->free == 0 && status->next != RH_TIME_NONE)
			printf("; one comes free on %s", text_minute(next, status->next));
		putchar('\n');
		for (size_t i = 0; i < status->holder_count; i++)
			print_holder(&status->holders[i]);
	}
	free(title);
	free(words);
	return 0;
}

static int print_service(void *context, const rh_service *service)
{
	const char *named = context;
	char *name, day[TEXT_SIZE], count[48];

	if (named != NULL && strcmp(named, service->address) != 0)
		return 0;
	if (record_wanted()) {
		record_write(json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:I}", "service",
		    record_text(service->address), "computer",
		    record_text_or_null(service->computer), "name",
		    record_text_or_null(service->name), "privacy",
		    record_text(service->privacy), "since", record_time(service->since), "head",
		    (json_int_t)service->head, "licenses", (json_int_t)service->licenses));
		return 0;
	}
	name = text_safe(service->name);
	printf("Service    %s\n", service->address);
	if (service->computer[0] == '\0')
		printf("Computer   not known there (rehost computer individualize)\n");
	else
		printf("Computer   %s%s%s, since %s\n", service->computer,
		    service->name[0] == '\0' ? "" : "  ", name == NULL ? "" : name,
		    text_day(day, service->since));
	printf("Licences   %s here\nPrivacy    %s\n", report_count(count, service->licenses),
	    service->privacy);
	free(name);
	return 0;
}

/* What each service says, of those where this computer is known. */
static int ask_services(const struct arguments *arguments, rh_store *store,
    const struct choice *choice, const char *named, rh_error *error)
{
	const rh_summary none = {0};
	int status = EXIT_DONE;

	for (size_t i = 0; i < choice->count && status == EXIT_DONE; i++) {
		struct report report;

		if (named != NULL && strcmp(choice->addresses[i], named) != 0)
			continue;
		report_start(&report, RH_OPERATION_INSPECT, arguments);
		rh_service_status(store, choice->addresses[i], arguments->values[OPTION_FILTER],
		    print_status, NULL, &report.listener, error);
		status = report_finish(&report, &none, error);
	}
	return status;
}

static int note_known(void *context, const rh_service *service)
{
	return service->computer[0] != '\0' ? note_service(context, service) : 0;
}

int cmd_computer_status(const struct arguments *arguments)
{
	char *named = arguments->operand_count > 0 ? arguments->operands[0] : NULL;
	struct choice *known = calloc(1, sizeof *known);
	rh_store *store = NULL;
	rh_error error = {.code = known == NULL ? RH_E_MEMORY : RH_OK};
	int status = EXIT_DONE, code = error.code;

	if (code == RH_OK)
		code = cmd_open_store(arguments, 0, &store, &error);
	if (code == RH_OK)
		code = rh_service_list(store, print_service, named, &error);
	if (code == RH_OK)
		code = rh_service_list(store, note_known, known, &error);
	if (code != RH_OK)
		status = cmd_fail(&error);
	else
		status = ask_services(arguments, store, known, named, &error);
	rh_store_close(store);
	free(known);
	return status;
}

/* ---- release ---- */

static void say_released(
    const struct arguments *arguments, const char *address, int64_t effective)
{
	const char *computer = arguments->operands[0];
	bool cancel = option_given(arguments, OPTION_CANCEL);
	char minute[TEXT_SIZE];

	if (record_wanted())
		record_write(json_pack("{s:o,s:o,s:b,s:o}", "service", record_text(address),
		    "computer", record_text(computer), "cancelled", cancel, "effective",
		    record_time(cancel ? RH_TIME_NONE : effective)));
	else if (cancel)
		talk("the release was taken back");
	else
		talk("its places come free on %s, unless it shows up before",
		    text_minute(minute, effective));
}

static int release(const struct arguments *arguments, rh_store *store, struct secret *key)
{
	const rh_summary none = {0};
	char address[ADDRESS_SIZE];
	int64_t effective = RH_TIME_NONE;
	struct report report;
	rh_error error = {0};
	int status;

	if (choose_service(store, arguments->values[OPTION_SERVICE], address, &error) != RH_OK)
		return cmd_fail(&error);
	do {
		error = (rh_error){0};
		report_start(&report, RH_OPERATION_INSPECT, arguments);
		rh_service_release(store, address, arguments->operands[0],
		    key->given ? key->text : NULL, arguments->values[OPTION_BACKUP],
		    option_given(arguments, OPTION_CANCEL), &effective, &report.listener,
		    &error);
	} while (error.code == RH_E_SECRET_NEEDED && !key->given && !record_wanted() &&
		 secret_can_ask() &&
		 secret_ask_key("Recovery code or key (not shown): ", key, &error) == RH_OK &&
		 key->text[0] != '\0');
	status = report_finish(&report, &none, &error);
	if (status == EXIT_DONE)
		say_released(arguments, address, effective);
	return status;
}

int cmd_computer_release(const struct arguments *arguments)
{
	const char *file = arguments->values[OPTION_RECOVERY_KEY_FILE];
	struct secret key = {.given = false};
	rh_store *store = NULL;
	rh_error error = {0};
	int code = RH_OK, status;

	if (file != NULL)
		code = secret_read_key(file, &key, &error);
	if (code == RH_OK)
		code = cmd_open_store(arguments, 0, &store, &error);
	status = code == RH_OK ? release(arguments, store, &key) : cmd_fail(&error);
	secret_wipe(&key);
	rh_store_close(store);
	return status;
}
