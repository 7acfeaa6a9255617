#include <stdio.h>

#include "service/html.h"

/* "/v1/privacy": shown before a computer is made known here. */

struct notice {
	const char *title;
	const char *intro;
	const char *learns;
	const char *learned[6]; /* ends with NULL */
	const char *not_learned;
	const char *why;
	const char *why_text;
	const char *how_long;
	const char *how_long_text;
	const char *contact;
	const char *contact_text;
};

static const struct notice notices[] = {
    [LANGUAGE_ENGLISH] = {"What this service learns about you",
	"This License Management Service counts on how many computers a licence is. It is "
	"asked "
	"only when you restore licences that it manages, and only after you agreed.",
	"What it learns and keeps",
	{"a key that your computer makes for this service alone. It says nothing about the "
	 "computer, and no other service sees the same one.",
	    "the name that you give the computer here, if you give it one.",
	    "which of the licences that it manages you restore, and when.",
	    "of the recovery key, a fingerprint that is made for this service alone: with it "
	    "you "
	    "can prove later that a lost computer was yours.",
	    "the licence key of the computer that a licence was issued to, which the licence "
	    "itself names.",
	    NULL},
	"It does not learn your name, what else is on your computer, which other licences you "
	"have, or what you do with them. Network addresses are used against overload only, and "
	"stand in the log of refused requests alone.",
	"Why",
	"To count computers, to give a licence back to a computer that had it, and to tell "
	"you what you can do when a limit is reached.",
	"How long",
	"As long as the licence is managed here. Every change stands in a log that "
	"cannot be edited afterwards, so that nobody is charged unseen.",
	"Questions", "Whom to ask: {}"},
    [LANGUAGE_GERMAN] = {"Was dieser Dienst über Sie erfährt",
	"Dieser License Management Service zählt, auf wie vielen Computern eine Lizenz ist. Er "
	"wird nur gefragt, wenn Sie Lizenzen wiederherstellen, die er verwaltet, und erst, "
	"nachdem Sie zugestimmt haben.",
	"Was er erfährt und speichert",
	{"einen Schlüssel, den Ihr Computer nur für diesen Dienst erzeugt. Er sagt nichts über "
	 "den Computer aus, und kein anderer Dienst sieht denselben.",
	    "den Namen, den Sie dem Computer hier geben, wenn Sie ihm einen geben.",
	    "welche der von ihm verwalteten Lizenzen Sie wiederherstellen, und wann.",
	    "vom Wiederherstellungsschlüssel einen Fingerabdruck, der nur für diesen Dienst "
	    "entsteht: Damit können Sie später beweisen, dass ein verlorener Computer Ihnen "
	    "gehört hat.",
	    "den Lizenzschlüssel des Computers, für den eine Lizenz ausgestellt ist; ihn nennt "
	    "die Lizenz selbst.",
	    NULL},
	"Er erfährt nicht Ihren Namen, was sonst auf Ihrem Computer ist, welche anderen "
	"Lizenzen "
	"Sie haben und was Sie damit tun. Netzwerkadressen dienen nur dem Schutz vor Überlast "
	"und stehen nur im Protokoll abgewiesener Anfragen.",
	"Wozu",
	"Um Computer zu zählen, eine Lizenz einem Computer wiederzugeben, der sie schon "
	"hatte, und Ihnen zu sagen, was Sie tun können, wenn eine Grenze erreicht ist.",
	"Wie lange",
	"Solange die Lizenz hier verwaltet wird. Jede Änderung steht in einem "
	"Protokoll, das sich nachträglich nicht ändern lässt, damit niemandem "
	"unbemerkt etwas angerechnet wird.",
	"Fragen", "Wen Sie fragen können: {}"},
};

static void write_notice(
    struct html *html, const struct service *service, const struct notice *notice)
{
	char address[700];

	snprintf(address, sizeof address, "%s/v1/privacy", service->address);
	html_header(html, service->operator_name, address);
	html_open(html, "main", NULL);
	html_element(html, "h1", notice->title);
	html_element(html, "p", notice->intro);
	html_element(html, "h2", notice->learns);
	html_open(html, "ul", NULL);
	for (size_t i = 0; notice->learned[i] != NULL; i++)
		html_element(html, "li", notice->learned[i]);
	html_close(html);
	html_element(html, "p", notice->not_learned);
	html_element(html, "h2", notice->why);
	html_element(html, "p", notice->why_text);
	html_element(html, "h2", notice->how_long);
	html_element(html, "p", notice->how_long_text);
	if (service->privacy_contact[0] != '\0') {
		html_element(html, "h2", notice->contact);
		html_open(html, "p", NULL);
		html_sentence(html, notice->contact_text, service->privacy_contact);
		html_close(html);
	}
	html_close(html);
	html_footer(html, service->address, NULL);
}

void handle_privacy(struct service *service, const struct request *request, struct reply *reply)
{
	enum language language = html_language(request);
	const struct notice *notice = &notices[language];
	struct html *html;
	rh_error error;
	int code = html_begin(language, notice->title, &html, &error);

	if (code == RH_OK) {
		write_notice(html, service, notice);
		code = html_end(html, reply, &error);
	}
	if (code != RH_OK)
		reply_failure(service, reply, request, &error);
}
