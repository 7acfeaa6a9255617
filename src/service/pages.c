#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "license/license.h"

#include "service/documents.h"
#include "service/html.h"

/* The page that a refused licence points at, for its owner. */

#define DAY 86400

struct words {
	const char *limit;
	const char *limit_period;
	const char *limit_cooldown;
	const char *free_now;
	const char *blocked;
	const char *of_issuer;
	const char *holds;
	const char *computers;
	const char *computer;
	const char *since;
	const char *note;
	const char *original;
	const char *released_on;
	const char *when;
	const char *next;
	const char *next_unknown;
	const char *what;
	const char *release;
	const char *release_how;
	const char *release_backup;
	const char *wait_days;
	const char *wait_none;
	const char *ask;
	const char *ask_contact;
	const char *rest;
	const char *number;
	const char *privacy;
};

static const struct words words[] = {
    [LANGUAGE_ENGLISH] = {"This licence is on as many computers as it may be",
	"This licence was restored on many computers in a short time",
	"This licence was restored on another computer a short time ago",
	"A place is free: restore the licence again.",
	"The issuer has blocked this licence. Please ask the issuer.", "Issued by {}.",
	"It is on {} computers. Restoring it again on any of them is always possible, and is "
	"not "
	"counted again.",
	"Computers that hold this licence", "Computer", "Since", "Note",
	"the licence was issued to it", "will be released on ", "When a place comes free",
	"The next place comes free on ", "No place comes free by itself.",
	"What you can do now",
	"Release a computer that you lost, sold or cannot use any more. You prove with your "
	"recovery key that it was yours. On any computer with Rehost:",
	"Put in the computer's name as it stands above.",
	"If it never asked this service itself, add --backup and the directory of its backup.",
	"Its places come free after {} days, unless it shows up before.",
	"Its places come free at once.", "Ask the issuer.", "Tell your case number: ",
	"Nothing is lost: your backup stays as it is, and all other licences in it can be "
	"restored.",
	"Case number {}", "What this service keeps"},
    [LANGUAGE_GERMAN] = {"Diese Lizenz ist auf so vielen Computern, wie sie darf",
	"Diese Lizenz wurde in kurzer Zeit auf vielen Computern wiederhergestellt",
	"Diese Lizenz wurde vor kurzem auf einem anderen Computer wiederhergestellt",
	"Ein Platz ist frei: Stellen Sie die Lizenz noch einmal wieder her.",
	"Der Herausgeber hat diese Lizenz gesperrt. Bitte fragen Sie ihn.",
	"Herausgegeben von {}.",
	"Sie ist auf {} Computern. Auf jedem davon lässt sie sich jederzeit erneut "
	"wiederherstellen; das zählt nicht noch einmal.",
	"Computer, die diese Lizenz haben", "Computer", "Seit", "Anmerkung",
	"für ihn wurde die Lizenz ausgestellt", "wird freigegeben am ",
	"Wann ein Platz frei wird", "Der nächste Platz wird frei am ",
	"Von selbst wird kein Platz frei.", "Was Sie jetzt tun können",
	"Geben Sie einen Computer frei, den Sie verloren oder verkauft haben oder nicht mehr "
	"benutzen können. Dass er Ihnen gehört hat, beweist Ihr Wiederherstellungsschlüssel. "
	"Auf "
	"einem beliebigen Computer mit Rehost:",
	"Setzen Sie den Namen des Computers ein, wie er oben steht.",
	"Hat er diesen Dienst nie selbst gefragt, fügen Sie --backup und das Verzeichnis "
	"seiner "
	"Sicherung hinzu.",
	"Seine Plätze werden nach {} Tagen frei, wenn er sich bis dahin nicht meldet.",
	"Seine Plätze werden sofort frei.", "Fragen Sie den Herausgeber.",
	"Nennen Sie Ihre Vorgangsnummer: ",
	"Nichts ist verloren: Ihre Sicherung bleibt, wie sie ist, und alle anderen Lizenzen "
	"darin "
	"lassen sich wiederherstellen.",
	"Vorgangsnummer {}", "Was dieser Dienst speichert"},
};

/* ---- A case ---- */

static const char *heading(const struct ledger_case *found, const struct words *said)
{
	switch (found->problem) {
	case PROBLEM_PERIOD:
		return said->limit_period;
	case PROBLEM_COOLDOWN:
		return said->limit_cooldown;
	default:
		return said->limit;
	}
}

static void write_licence(
    struct html *html, const struct ledger_case *found, const struct words *said)
{
	char title[512], count[64];
	const char *issuer =
	    found->issuer_title[0] != '\0' ? found->issuer_title : found->license.issuer;

	documents_title(title, &found->license,
	    said == &words[LANGUAGE_GERMAN] ? LANGUAGE_GERMAN : LANGUAGE_ENGLISH);
	html_element(html, "h2", title[0] != '\0' ? title : found->license.id);
	html_open(html, "p", NULL);
	html_sentence(html, said->of_issuer, issuer);
	html_text(html, " ");
	snprintf(count, sizeof count,
	    said == &words[LANGUAGE_GERMAN] ? "%u von %u" : "%u of %u", found->status.used,
	    found->status.limit);
	html_sentence(html, said->holds, count);
	html_close(html);
}

static void write_computer(
    struct html *html, const struct ledger_computer *computer, const struct words *said)
{
	html_open(html, "tr", NULL);
	html_open(html, "th", "scope", "row", NULL);
	if (computer->name[0] != '\0') {
		html_text(html, computer->name);
		html_text(html, " ");
	}
	html_open(html, "code", NULL);
	html_text(html, computer->computer);
	html_close(html);
	html_close(html);
	html_open(html, "td", NULL);
	if (computer->since != LICENSE_TIME_NONE)
		html_day(html, computer->since);
	html_close(html);
	html_open(html, "td", NULL);
	if (computer->original)
		html_text(html, said->original);
	if (computer->original && computer->releasing != LICENSE_TIME_NONE)
		html_text(html, "; ");
	if (computer->releasing != LICENSE_TIME_NONE) {
		html_text(html, said->released_on);
		html_minute(html, computer->releasing);
	}
	html_close(html);
	html_close(html);
}

static void write_computers(
    struct html *html, const struct ledger_status *status, const struct words *said)
{
	const char *const columns[] = {said->computer, said->since, said->note};

	html_open(html, "table", NULL);
	html_element(html, "caption", said->computers);
	html_open(html, "thead", NULL);
	html_open(html, "tr", NULL);
	for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
		html_open(html, "th", "scope", "col", NULL);
		html_text(html, columns[i]);
		html_close(html);
	}
	html_close(html);
	html_close(html);
	html_open(html, "tbody", NULL);
	for (size_t i = 0; i < status->count; i++)
		write_computer(html, &status->computers[i], said);
	html_close(html);
	html_close(html);
}

static void write_when(
    struct html *html, const struct ledger_status *status, const struct words *said)
{
	html_element(html, "h2", said->when);
	html_open(html, "p", NULL);
	if (status->next != LICENSE_TIME_NONE) {
		html_text(html, said->next);
		html_open(html, "strong", NULL);
		html_minute(html, status->next);
		html_close(html);
		html_text(html, ".");
	} else {
		html_text(html, said->next_unknown);
	}
	html_close(html);
}

static void write_release(struct html *html, const struct service *service,
    const struct ledger_case *found, const struct words *said)
{
	char command[700], days[32];

	html_open(html, "li", NULL);
	html_text(html, said->release);
	snprintf(command, sizeof command, "rehost computer release %s --service %s",
	    said == &words[LANGUAGE_GERMAN] ? "NAME-DES-COMPUTERS" : "COMPUTER-NAME",
	    service->address);
	html_open(html, "pre", NULL);
	html_element(html, "code", command);
	html_close(html);
	html_text(html, said->release_how);
	html_text(html, " ");
	html_text(html, said->release_backup);
	html_text(html, " ");
	snprintf(days, sizeof days, "%lld", (long long)((found->release_wait + DAY - 1) / DAY));
	html_sentence(html, found->release_wait > 0 ? said->wait_days : said->wait_none, days);
	html_close(html);
}

static void write_ask(
    struct html *html, const struct ledger_case *found, const struct words *said)
{
	char number[32], address[600];
	const char *contact = found->contact;

	snprintf(number, sizeof number, "%lld", (long long)found->number);
	snprintf(address, sizeof address, "%s%s",
	    strchr(contact, '@') != NULL && strchr(contact, ':') == NULL ? "mailto:" : "",
	    contact);
	html_open(html, "li", NULL);
	html_text(html, said->ask);
	html_text(html, " ");
	html_text(html, said->ask_contact);
	html_element(html, "strong", number);
	html_text(html, ". ");
	if (contact[0] != '\0')
		html_link(html, address, contact);
	html_close(html);
}

static void write_case(struct html *html, const struct service *service,
    const struct ledger_case *found, const struct words *said, const char *address)
{
	const struct ledger_status *status = &found->status;
	char number[32], link[700];

	html_header(html, service->operator_name, address);
	html_open(html, "main", NULL);
	html_element(html, "h1", heading(found, said));
	if (status->blocked || status->used < status->limit) {
		html_open(html, "p", "class", "notice", NULL);
		html_text(html, status->blocked ? said->blocked : said->free_now);
		html_close(html);
	}
	write_licence(html, found, said);
	write_computers(html, status, said);
	if (status->used >= status->limit)
		write_when(html, status, said);
	html_element(html, "h2", said->what);
	html_open(html, "ol", NULL);
	if (!status->blocked)
		write_release(html, service, found, said);
	write_ask(html, found, said);
	html_close(html);
	html_element(html, "p", said->rest);
	html_close(html);
	html_open(html, "footer", NULL);
	snprintf(number, sizeof number, "%lld", (long long)found->number);
	html_open(html, "p", NULL);
	html_sentence(html, said->number, number);
	html_text(html, " · ");
	snprintf(link, sizeof link, "%s/v1/privacy", service->address);
	html_link(html, link, said->privacy);
	html_close(html);
	html_close(html);
}

void handle_case(struct service *service, const struct request *request, struct reply *reply)
{
	enum language language = html_language(request);
	const struct words *said = &words[language];
	struct ledger_case found = {0};
	struct html *html = NULL;
	char address[700];
	rh_error error;
	int code;

	code = ledger_case(
	    service->ledger, service_now(service), request->rest, 0, &found, &error);
	if (code == RH_E_LICENSE_UNKNOWN) {
		reply_problem(reply, request, PROBLEM_NOT_FOUND, NULL);
		return;
	}
	snprintf(address, sizeof address, "%s%s", service->address, request->path);
	if (code == RH_OK)
		code = html_begin(language, heading(&found, said), &html, &error);
	if (code == RH_OK) {
		write_case(html, service, &found, said, address);
		code = html_end(html, reply, &error);
	}
	free(found.status.computers);
	if (code != RH_OK)
		reply_failure(service, reply, request, &error);
}
