#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "license/license.h"
#include "service/documents.h"

#include "service/html.h"

/* The page that a refused licence points at, for its owner. */

struct words {
	const char *of; /* as in "4 of 4" */
	const char *heading_free;
	const char *heading_blocked;
	const char *heading_limit;
	const char *heading_period;
	const char *heading_cooldown;
	const char *rest;
	const char *of_issuer;
	const char *holds;
	const char *again;
	const char *when;
	const char *next;
	const char *next_unknown;
	const char *computers;
	const char *computer;
	const char *since;
	const char *code;
	const char *nameless;
	const char *original;
	const char *silent;
	const char *released_on;
	const char *what;
	const char *restore;
	const char *wait;
	const char *release;
	const char *release_how;
	const char *placeholder;
	const char *backup;
	const char *backup_placeholder;
	const char *release_wait;
	const char *release_now;
	const char *ask;
	const char *ask_number;
	const char *subject;
};

static const struct words words[] = {
    [LANGUAGE_ENGLISH] = {"%u of %u", "You can restore this licence now",
	"This licence is blocked", "This licence is on as many computers as it allows",
	"This licence was restored on many computers in a short time",
	"This licence was restored on another computer a short time ago",
	"Nothing is lost. Your backup stays as it is, and you can restore the other licences "
	"in it.",
	"Issued by {}.", "It is on {} computers.",
	"You can restore it again on each of them at any time. That does not count again.",
	"When a new computer can have it", "A new computer can have it from {} on.",
	"Waiting alone does not help: no place comes free by itself.",
	"Computers that have this licence", "Computer", "Since", "Code ", "No name",
	"The licence was issued to this computer.", "It has not come to this service yet.",
	"Its place comes free on ", "What you can do",
	"Restore the licence once more. A place is free.", "Wait until {}, then restore again.",
	"Release a computer that you lost or no longer use. Your recovery key proves that it "
	"was yours. On any computer with Rehost, type:",
	"In place of {}, put the code of the computer from the list above.", "CODE",
	"For a computer that has not come to this service yet, also name the directory of its "
	"backup:",
	"DIRECTORY",
	"The place comes free after {}, or later if the computer has another licence whose "
	"issuer asks for more time. If the computer comes to this service before, the "
	"release is cancelled.",
	"The place comes free at once, unless the computer has another licence whose issuer "
	"asks for more time.",
	"Ask {}.", "Tell them this case number: {}.", "Case"},
    [LANGUAGE_GERMAN] = {"%u von %u", "Sie können diese Lizenz jetzt wiederherstellen",
	"Diese Lizenz ist gesperrt",
	"Diese Lizenz ist auf so vielen Computern, wie sie erlaubt",
	"Diese Lizenz wurde in kurzer Zeit auf vielen Computern wiederhergestellt",
	"Diese Lizenz wurde vor kurzem auf einem anderen Computer wiederhergestellt",
	"Nichts ist verloren. Ihre Sicherung bleibt, wie sie ist, und die anderen Lizenzen "
	"darin können Sie wiederherstellen.",
	"Herausgegeben von {}.", "Sie ist auf {} Computern.",
	"Auf jedem davon können Sie sie jederzeit erneut wiederherstellen. Das zählt nicht "
	"noch einmal.",
	"Wann ein neuer Computer sie bekommen kann",
	"Ein neuer Computer kann sie ab {} bekommen.",
	"Warten allein hilft nicht: Von selbst wird kein Platz frei.",
	"Computer, die diese Lizenz haben", "Computer", "Seit", "Code ", "Ohne Namen",
	"Für diesen Computer wurde die Lizenz ausgestellt.",
	"Er hat sich bei diesem Dienst noch nicht gemeldet.", "Sein Platz wird frei am ",
	"Was Sie jetzt tun können",
	"Stellen Sie die Lizenz noch einmal wieder her. Ein Platz ist frei.",
	"Warten Sie bis {}, und stellen Sie die Lizenz dann noch einmal wieder her.",
	"Geben Sie einen Computer frei, den Sie verloren haben oder nicht mehr benutzen. Ihr "
	"Wiederherstellungsschlüssel beweist, dass er Ihnen gehört hat. Geben Sie auf einem "
	"beliebigen Computer mit Rehost ein:",
	"Setzen Sie anstelle von {} den Code des Computers aus der Liste oben ein.", "CODE",
	"Bei einem Computer, der sich bei diesem Dienst noch nicht gemeldet hat, nennen Sie "
	"auch das Verzeichnis seiner Sicherung:",
	"VERZEICHNIS",
	"Der Platz wird nach {} frei, oder später, wenn auf dem Computer eine andere Lizenz "
	"ist, deren Herausgeber mehr Zeit verlangt. Meldet sich der Computer vorher bei diesem "
	"Dienst, wird die Freigabe aufgehoben.",
	"Der Platz wird sofort frei, außer wenn auf dem Computer eine andere Lizenz ist, deren "
	"Herausgeber mehr Zeit verlangt.",
	"Fragen Sie {}.", "Nennen Sie diese Vorgangsnummer: {}.", "Vorgang"},
};

/* What one page is made of. */
struct page {
	struct html *html;
	const struct service *service;
	const struct ledger_case *found;
	const struct words *said;
	enum language language;
	char number[32]; /* of the case */
};

/* As it stands now, not as it stood when the case was opened. */
static const char *heading(const struct ledger_case *found, const struct words *said)
{
	switch (found->status.problem) {
	case PROBLEM_NONE:
		return said->heading_free;
	case PROBLEM_LICENSE_BLOCKED:
		return said->heading_blocked;
	case PROBLEM_PERIOD:
		return said->heading_period;
	case PROBLEM_COOLDOWN:
		return said->heading_cooldown;
	default:
		return said->heading_limit;
	}
}

/* ---- The licence ---- */

static const char *issuer_name(const struct ledger_case *found)
{
	return found->issuer_title[0] != '\0' ? found->issuer_title : found->license.issuer;
}

static void write_licence(const struct page *page)
{
	const struct ledger_case *found = page->found;
	const struct words *said = page->said;
	struct html *html = page->html;
	char title[512], count[64];

	documents_title(title, &found->license, page->language);
	html_open(html, "h2", "dir", "auto", NULL);
	html_text(html, title[0] != '\0' ? title : found->license.id);
	html_close(html);
	html_open(html, "p", NULL);
	html_sentence(html, said->of_issuer, issuer_name(found));
	html_text(html, " ");
	snprintf(count, sizeof count, said->of, found->status.used, found->status.limit);
	html_sentence(html, said->holds, count);
	if (found->status.problem != PROBLEM_LICENSE_BLOCKED) {
		html_text(html, " ");
		html_text(html, said->again);
	}
	html_close(html);
}

static void write_when(const struct page *page)
{
	const struct ledger_status *status = &page->found->status;

	html_element(page->html, "h2", page->said->when);
	html_open(page->html, "p", NULL);
	if (status->next != LICENSE_TIME_NONE)
		html_sentence_minute(page->html, page->said->next, status->next);
	else
		html_text(page->html, page->said->next_unknown);
	html_close(page->html);
}

/* ---- The computers ---- */

static void write_note(struct html *html, const char *note, int64_t time)
{
	html_open(html, "span", "class", "note", NULL);
	html_text(html, note);
	if (time != LICENSE_TIME_NONE) {
		html_minute(html, time);
		html_text(html, ".");
	}
	html_close(html);
}

static void write_computer(const struct page *page, const struct ledger_computer *computer)
{
	const struct words *said = page->said;
	struct html *html = page->html;

	html_open(html, "tr", NULL);
	html_open(html, "th", "scope", "row", NULL);
	html_open(html, "bdi", NULL);
	html_text(html, computer->name[0] != '\0' ? computer->name : said->nameless);
	html_close(html);
	if (computer->computer[0] != '\0') {
		html_open(html, "span", "class", "note", NULL);
		html_text(html, said->code);
		html_element(html, "code", computer->computer);
		html_close(html);
	}
	if (computer->original)
		write_note(html, said->original, LICENSE_TIME_NONE);
	if (!computer->known)
		write_note(html, said->silent, LICENSE_TIME_NONE);
	if (computer->releasing != LICENSE_TIME_NONE)
		write_note(html, said->released_on, computer->releasing);
	html_close(html);
	html_open(html, "td", NULL);
	if (computer->since != LICENSE_TIME_NONE)
		html_day(html, computer->since);
	else
		html_text(html, "–");
	html_close(html);
	html_close(html);
}

static void write_computers(const struct page *page)
{
	const struct ledger_status *status = &page->found->status;
	const char *const columns[] = {page->said->computer, page->said->since};
	struct html *html = page->html;

	if (status->count == 0)
		return;
	html_open(html, "table", NULL);
	html_element(html, "caption", page->said->computers);
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
		write_computer(page, &status->computers[i]);
	html_close(html);
	html_close(html);
}

/* ---- What to do ---- */

/* ${option}: one more, or NULL. */
static void write_command(const struct page *page, const char *option, const char *argument)
{
	const char *const parts[][2] = {{"rehost computer release ", page->said->placeholder},
	    {" --service ", page->service->address}, {option, argument}};

	html_open(page->html, "pre", NULL);
	html_open(page->html, "code", NULL);
	/* Lines break between options, not within them. */
	for (size_t i = 0; i < sizeof parts / sizeof *parts && parts[i][0] != NULL; i++) {
		const char *word = parts[i][0];

		if (*word == ' ')
			html_text(page->html, " ");
		html_open(page->html, "span", NULL);
		html_text(page->html, word + (*word == ' '));
		html_text(page->html, parts[i][1]);
		html_close(page->html);
	}
	html_close(page->html);
	html_close(page->html);
}

static bool any_silent(const struct ledger_status *status)
{
	for (size_t i = 0; i < status->count; i++)
		if (!status->computers[i].known)
			return true;
	return false;
}

static void write_release(const struct page *page)
{
	const struct words *said = page->said;
	const int64_t wait = page->found->release_wait;
	struct html *html = page->html;
	char lasting[64];

	html_open(html, "li", NULL);
	html_element(html, "p", said->release);
	write_command(page, NULL, NULL);
	html_open(html, "p", NULL);
	html_sentence(html, said->release_how, said->placeholder);
	html_close(html);
	if (any_silent(&page->found->status)) {
		html_element(html, "p", said->backup);
		write_command(page, " --backup ", said->backup_placeholder);
	}
	html_open(html, "p", NULL);
	html_lasting(lasting, page->language, wait);
	html_sentence(html, wait > 0 ? said->release_wait : said->release_now, lasting);
	html_close(html);
	html_close(html);
}

/* Who can be asked: an address to write to or to open, else a text. */
static void write_contact(const struct page *page)
{
	const char *contact = page->found->contact;
	bool mail = strchr(contact, '@') != NULL && strchr(contact, '/') == NULL;
	char address[700];

	if (contact[0] == '\0')
		return;
	if (strncmp(contact, "mailto:", 7) == 0)
		contact += 7;
	if (mail)
		snprintf(address, sizeof address, "mailto:%s?subject=%s%%20%s", contact,
		    page->said->subject, page->number);
	html_open(page->html, "p", NULL);
	html_link(page->html, mail ? address : contact, contact);
	html_close(page->html);
}

static void write_ask(const struct page *page)
{
	html_open(page->html, "li", NULL);
	html_open(page->html, "p", NULL);
	html_sentence(page->html, page->said->ask, issuer_name(page->found));
	html_text(page->html, " ");
	html_sentence(page->html, page->said->ask_number, page->number);
	html_close(page->html);
	write_contact(page);
	html_close(page->html);
}

static void write_todo(const struct page *page)
{
	const struct ledger_status *status = &page->found->status;

	html_element(page->html, "h2", page->said->what);
	html_open(page->html, "ul", NULL);
	if (status->problem == PROBLEM_NONE) {
		html_element(page->html, "li", page->said->restore);
	} else if (status->next != LICENSE_TIME_NONE) {
		html_open(page->html, "li", NULL);
		html_sentence_minute(page->html, page->said->wait, status->next);
		html_close(page->html);
	}
	/* A released computer was a new one of the period all the same. */
	if (status->problem == PROBLEM_LIMIT)
		write_release(page);
	write_ask(page);
	html_close(page->html);
}

/* ---- The page ---- */

static void write_case(const struct page *page, const char *address)
{
	const struct ledger_status *status = &page->found->status;
	struct html *html = page->html;

	html_header(html, page->service->operator_name, address);
	html_open(html, "main", NULL);
	html_element(html, "h1", heading(page->found, page->said));
	html_element(html, "p", page->said->rest);
	write_licence(page);
	write_computers(page);
	if (status->problem != PROBLEM_NONE && status->problem != PROBLEM_LICENSE_BLOCKED)
		write_when(page);
	write_todo(page);
	html_close(html);
	html_footer(html, page->service->address, page->number);
}

void handle_case(struct service *service, const struct request *request, struct reply *reply)
{
	struct page page = {.service = service, .language = html_language(request)};
	struct ledger_case found = {0};
	char address[700];
	rh_error error;
	int code;

	code = ledger_case(
	    service->ledger, service_now(service), request->rest, 0, &found, &error);
	if (code == RH_E_LICENSE_UNKNOWN) {
		html_problem(service, request, reply, PROBLEM_NOT_FOUND);
		return;
	}
	page.found = &found;
	page.said = &words[page.language];
	snprintf(page.number, sizeof page.number, "%lld", (long long)found.number);
	snprintf(address, sizeof address, "%s%s", service->address, request->path);
	if (code == RH_OK)
		code =
		    html_begin(page.language, heading(&found, page.said), &page.html, &error);
	if (code == RH_OK) {
		write_case(&page, address);
		code = html_end(page.html, reply, &error);
	}
	free(found.status.computers);
	if (code != RH_OK) {
		reply_failure(service, reply, request, &error);
		html_problem(service, request, reply, PROBLEM_UNAVAILABLE);
	}
}
