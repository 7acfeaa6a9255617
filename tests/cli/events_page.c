/* Writes docs/events.md from the library's own tables to standard output. */
#include <stdio.h>
#include <string.h>

#include "rehost/rehost.h"
#include "rehost/wmsdk.h"

#define CODES_END 300

static const char *status_name(int32_t status)
{
	static const struct {
		int32_t status;
		const char *name;
	} names[] = {
	    {WMT_BACKUPRESTORE_BEGIN, "WMT_BACKUPRESTORE_BEGIN"},
	    {WMT_BACKUPRESTORE_END, "WMT_BACKUPRESTORE_END"},
	    {WMT_BACKUPRESTORE_CONNECTING, "WMT_BACKUPRESTORE_CONNECTING"},
	    {WMT_BACKUPRESTORE_DISCONNECTING, "WMT_BACKUPRESTORE_DISCONNECTING"},
	    {WMT_RESTRICTED_LICENSE, "WMT_RESTRICTED_LICENSE"},
	    {WMT_ERROR_WITHURL, "WMT_ERROR_WITHURL"},
	    {WMT_INDIVIDUALIZE, "WMT_INDIVIDUALIZE"},
	    {WMT_NEEDS_INDIVIDUALIZATION, "WMT_NEEDS_INDIVIDUALIZATION"},
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].status == status)
			return names[i].name;
	return NULL;
}

static void print_members(unsigned fields)
{
	static const struct {
		unsigned field;
		const char *members;
	} rows[] = {
	    {RH_FIELD_TOTALS, "`licenses_total`, `bytes_total`"},
	    {RH_FIELD_DONE, "`licenses_done`, `bytes_done`"},
	    {RH_FIELD_LICENSE, "`license`"},
	    {RH_FIELD_CODE, "`code`, `hresult`, `message`, `next_step`"},
	    {RH_FIELD_TEXT, "`text`"},
	    {RH_FIELD_INDIVIDUALIZE, "`individualize`"},
	    {RH_FIELD_MEDIUM, "`medium`"},
	    {RH_FIELD_DAMAGE, "`damage`"},
	    {RH_FIELD_CONDITION, "`condition`"},
	};
	const char *gap = "";

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (fields & rows[i].field) {
			printf("%s%s", gap, rows[i].members);
			gap = ", ";
		}
}

static void print_events(void)
{
	printf("| `event` | SDK status | members beside `event` and `operation` | when |\n"
	       "|---|---|---|---|\n");
	for (int type = 0; rh_event_name(type) != NULL; type++) {
		const char *name = status_name(rh_event_status(type));

		printf("| `%s` | ", rh_event_name(type));
		if (name != NULL)
			printf("`%s` (%d)", name, (int)rh_event_status(type));
		printf(" | ");
		print_members(rh_event_fields(type));
		printf(" | %s |\n", rh_event_meaning(type));
	}
}

static void print_codes(void)
{
	printf("| `code` | `hresult` | exit status | `message` | `next_step` |\n"
	       "|---|---|---|---|---|\n");
	for (int code = 0; code < CODES_END; code++) {
		/* Numbers in between stand for no code. */
		if (code != RH_E_INTERNAL && strcmp(rh_code_name(code), "E_INTERNAL") == 0)
			continue;
		printf("| `%s` | `0x%08X` | %d | %s | %s |\n", rh_code_name(code),
		    (unsigned)rh_code_hresult(code), rh_code_exit_status(code),
		    rh_code_sentence(code), rh_code_next_step(code));
	}
}

int main(void)
{
	printf(
	    "# Events\n\n"
	    "<!-- Made by tests/cli/events_page.c from the library's tables; a test compares. "
	    "-->\n\n"
	    "What `rehost --json` writes while it works, one compact JSON object a line on "
	    "standard output, and what\n"
	    "the objects of the Windows Media Format SDK's face send for the same event. Both "
	    "come from one table in the\n"
	    "library (`rh_event_name`, `rh_event_status`, `rh_event_fields` of "
	    "`include/rehost/rehost.h`), as does this page.\n\n"
	    "- `operation` is one of");
	for (int i = 0; rh_operation_name(i) != NULL; i++)
		printf("%s `%s`", i == 0 ? "" : ",", rh_operation_name(i));
	printf(
	    ".\n"
	    "- Every operation that starts ends with exactly one `end`, its last event. There, "
	    "the command line adds `summary`:\n"
	    "  licences met and their bytes (`licenses`, `bytes`), then how many were `done`, "
	    "`already_here`, `updated`, `restricted`\n"
	    "  and `failed`.\n"
	    "- `license` is an object as `rehost list --json` writes it, or null if a file "
	    "could "
	    "not be read as one: `id`, `key_id`,\n"
	    "  `format`, `issuer`, `title`, `issued`, `not_before`, `not_after` (RFC 3339, in "
	    "UTC), `counts` (by action), `backup`\n"
	    "  (`yes`, `no`, `unknown`), `class` (`owned`, `managed`, `restricted`), "
	    "`service`, "
	    "`bytes` of its document. What is\n"
	    "  unknown is null.\n"
	    "- `text` says what was wrong with what, or is empty. It never holds a secret or "
	    "the "
	    "content of a licence.\n"
	    "- `individualize` says how far a computer's becoming known to a service is: "
	    "`state` (`begin`, `download`, `install`, then\n"
	    "  `succeed`, `fail` or `cancel`), `http` (`idle`, `connecting`, `requesting`, "
	    "`receiving`, `completed`), `requests` that are\n"
	    "  complete, `bytes` of `bytes_total` (0: unknown) of the reply, the `service`, "
	    "and "
	    "the address of its `privacy` notice.\n"
	    "- `medium` says what the directory lies on, as far as the system tells: `kind` "
	    "(`usb`, `card`, `disk`, `loop`, `memory`,\n"
	    "  `network`, `other`), `name`, `device`, `mount`, `file_system`, `removable`, "
	    "`read_only`, `holds_store` (the store lies on the\n"
	    "  same disk), `bytes_total`, `bytes_free`, `file_max` (the largest file that it "
	    "takes; 0: no limit that matters).\n"
	    "- `damage` is a run of bad bytes: `file`, `offset`, `bytes`, and whether they are "
	    "`lost`. `condition` sums up a `file`: its\n"
	    "  `state` (`whole`, `mendable`, `lost`, `unknown`), `bytes` of it and its parity "
	    "file, `bytes_bad`, `bytes_lost`,\n"
	    "  `bytes_mended`, and how many percent of the `reserve` are used where most is.\n"
	    "- Sizes are bytes. Readers should pass over events and members that they do not "
	    "know.\n"
	    "- A command that fails before or without an operation writes one object with the "
	    "member `error`: `code`, `hresult`,\n"
	    "  `message`, `next_step` and `text`.\n\n"
	    "## Table of events\n\n");
	print_events();
	printf(
	    "\n## Table of results\n\n"
	    "`code` in an event, the HRESULT that the SDK's face gives, and the exit status of "
	    "the command line.\n\n");
	print_codes();
	return 0;
}
