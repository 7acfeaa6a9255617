#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/exit.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"

/* Issuers and services that the owner trusts: the same commands for both. */

static json_t *json_pin(const rh_pin *pin)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < pin->key_count; i++)
		json_array_append_new(
		    keys, json_pack("{s:o,s:o}", "kid", record_text(pin->keys[i].id),
			      "thumbprint", record_text(pin->keys[i].thumbprint)));
	return json_pack("{s:o,s:o,s:o,s:o}", pin->kind == RH_PIN_ISSUER ? "issuer" : "service",
	    record_text(pin->name), "source", record_text(pin->source), "added",
	    record_time(pin->added), "keys", keys);
}

static int print_pin(void *context, const rh_pin *pin)
{
	char *name, *source, minute[TEXT_SIZE];

	(void)context;
	if (record_wanted()) {
		record_write(json_pin(pin));
		return 0;
	}
	name = text_safe(pin->name);
	source = text_safe(pin->source);
	printf("%s\n  from  %s, %s\n", name == NULL ? "" : name, source == NULL ? "" : source,
	    text_minute(minute, pin->added));
	free(name);
	free(source);
	for (size_t i = 0; i < pin->key_count; i++) {
		name = text_safe(pin->keys[i].id);
		printf("  key   %s", pin->keys[i].thumbprint);
		if (name != NULL && strcmp(name, pin->keys[i].thumbprint) != 0)
			printf("  (kid %s)", name);
		putchar('\n');
		free(name);
	}
	return 0;
}

static int add(const struct arguments *arguments, int kind)
{
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	if (cmd_open_store(arguments, RH_STORE_CREATE, &store, &error) != RH_OK)
		return cmd_fail(&error);
	code = rh_pin_add(store, kind, arguments->operands[0], arguments->values[OPTION_NAME],
	    print_pin, NULL, &error);
	rh_store_close(store);
	if (code == RH_S_UPDATED)
		talk("trusted with these keys from now on; they were others before");
	else if (code == RH_S_ALREADY_HERE)
		talk("trusted already, with the same keys");
	else if (code == RH_OK)
		talk("trusted from now on; compare the key with what is published elsewhere");
	else
		return cmd_fail(&error);
	return EXIT_DONE;
}

static int list(const struct arguments *arguments, int kind)
{
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	if (cmd_open_store(arguments, RH_STORE_READ_ONLY, &store, &error) != RH_OK)
		return cmd_fail(&error);
	code = rh_pin_list(store, kind, print_pin, NULL, &error);
	rh_store_close(store);
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}

static int remove_pin(const struct arguments *arguments, int kind)
{
	const char *name = arguments->operands[0];
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	if (cmd_open_store(arguments, 0, &store, &error) != RH_OK)
		return cmd_fail(&error);
	code = rh_pin_remove(store, kind, name, &error);
	rh_store_close(store);
	if (code != RH_OK)
		return cmd_fail(&error);
	if (record_wanted())
		record_write(json_pack("{s:o}", "removed", record_text(name)));
	else
		talk("not trusted any more: %s", name);
	return EXIT_DONE;
}

int cmd_issuer_add(const struct arguments *arguments)
{
	return add(arguments, RH_PIN_ISSUER);
}

int cmd_issuer_list(const struct arguments *arguments)
{
	return list(arguments, RH_PIN_ISSUER);
}

int cmd_issuer_remove(const struct arguments *arguments)
{
	return remove_pin(arguments, RH_PIN_ISSUER);
}

int cmd_service_add(const struct arguments *arguments)
{
	return add(arguments, RH_PIN_SERVICE);
}

int cmd_service_list(const struct arguments *arguments)
{
	return list(arguments, RH_PIN_SERVICE);
}

int cmd_service_remove(const struct arguments *arguments)
{
	return remove_pin(arguments, RH_PIN_SERVICE);
}
