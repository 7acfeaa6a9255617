#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libxml/xmlwriter.h>

#include "base/clock.h"

#include "service/html.h"

/* No script, no picture, no font: what it needs comes with it. */
static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#57606a;--line:#d0d7de;"
    "--box:#f3f5f7;--link:#0b57d0}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--paper:#16181b;--soft:#a8b0b8;"
    "--line:#3a4149;--box:#22262b;--link:#8ab4f8}}"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:1.0625rem/1.55 system-ui,sans-serif}"
    "header,main,footer{max-width:42rem;margin:0 auto;padding:0 1.25rem;"
    "overflow-wrap:anywhere}"
    "header{display:flex;justify-content:space-between;gap:1rem;padding-top:1rem;"
    "color:var(--soft);font-size:.9375rem}"
    "h1{font-size:1.75rem;line-height:1.25;margin:1.5rem 0 .75rem}"
    "h2{font-size:1.25rem;line-height:1.35;margin:2rem 0 .5rem}p{margin:.5rem 0}"
    "a{color:var(--link)}a:focus-visible{outline:3px solid var(--link);outline-offset:2px}"
    "table{border-collapse:collapse;width:100%;margin-top:1.5rem}"
    "caption{text-align:left;font-weight:600;padding-bottom:.5rem}"
    "th,td{text-align:start;vertical-align:top;padding:.6rem 0;"
    "border-top:1px solid var(--line)}td,th+th{padding-left:1rem;width:7rem}"
    "thead th{font-size:.9375rem;font-weight:400;color:var(--soft)}tbody th{font-weight:600}"
    ".note{display:block;font-size:.9375rem;font-weight:400;color:var(--soft)}"
    "tr:last-child>*{border-bottom:1px solid var(--line)}"
    "thead tr:last-child>*{border-bottom:0}"
    "code,pre{font:.9375rem/1.5 ui-monospace,monospace;background:var(--box);border-radius:4px}"
    "code{padding:.1em .3em;overflow-wrap:anywhere}"
    "pre{padding:.75rem;white-space:pre-wrap;overflow-wrap:anywhere}pre code{padding:0}pre "
    "span{display:inline-block}"
    "time{overflow-wrap:normal}ul{padding-left:1.25rem}li{margin:.75rem 0}"
    "footer{color:var(--soft);font-size:.9375rem;margin-top:2.5rem;padding-bottom:2rem}"
    "footer p{border-top:1px solid var(--line);padding-top:.75rem}";

struct html {
	xmlBufferPtr buffer;
	xmlTextWriterPtr writer;
	enum language language;
	bool failed;
};

static void note(struct html *html, int result)
{
	if (result < 0)
		html->failed = true;
}

static void write_attributes(struct html *html, va_list arguments)
{
	const char *name;

	while ((name = va_arg(arguments, const char *)) != NULL) {
		const char *value = va_arg(arguments, const char *);

		note(html,
		    xmlTextWriterWriteAttribute(html->writer, BAD_CAST name, BAD_CAST value));
	}
}

void html_open(struct html *html, const char *element, ...)
{
	va_list arguments;

	if (html->failed)
		return;
	note(html, xmlTextWriterStartElement(html->writer, BAD_CAST element));
	va_start(arguments, element);
	write_attributes(html, arguments);
	va_end(arguments);
	if (strcmp(element, "meta") == 0)
		note(html, xmlTextWriterEndElement(html->writer));
}

void html_close(struct html *html)
{
	/* "Full": <p></p>, never <p/>, which HTML takes for the beginning of one. */
	if (!html->failed)
		note(html, xmlTextWriterFullEndElement(html->writer));
}

void html_text(struct html *html, const char *text)
{
	if (!html->failed && *text != '\0')
		note(html, xmlTextWriterWriteString(html->writer, BAD_CAST text));
}

void html_element(struct html *html, const char *element, const char *text)
{
	html_open(html, element, NULL);
	html_text(html, text);
	html_close(html);
}

void html_sentence(struct html *html, const char *sentence, const char *value)
{
	const char *gap = strstr(sentence, "{}");
	char before[512];

	if (gap == NULL || (size_t)(gap - sentence) >= sizeof before) {
		html_text(html, sentence);
		return;
	}
	snprintf(before, sizeof before, "%.*s", (int)(gap - sentence), sentence);
	html_text(html, before);
	if (value != NULL) {
		html_open(html, "strong", "dir", "auto", NULL);
		html_text(html, value);
		html_close(html);
	}
	html_text(html, gap + 2);
}

void html_sentence_minute(struct html *html, const char *sentence, int64_t time)
{
	const char *gap = strstr(sentence, "{}");
	char before[512];

	snprintf(before, sizeof before, "%.*s", (int)(gap - sentence), sentence);
	html_text(html, before);
	html_open(html, "strong", NULL);
	html_minute(html, time);
	html_close(html);
	html_text(html, gap + 2);
}

void html_link(struct html *html, const char *address, const char *text)
{
	if (strncmp(address, "https://", 8) != 0 && strncmp(address, "http://", 7) != 0 &&
	    strncmp(address, "mailto:", 7) != 0) {
		html_text(html, text);
		return;
	}
	html_open(html, "a", "href", address, NULL);
	html_text(html, text);
	html_close(html);
}

/* ---- Times ---- */

static const char *const months[2][12] = {
    {"January", "February", "March", "April", "May", "June", "July", "August", "September",
	"October", "November", "December"},
    {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
	"Oktober", "November", "Dezember"}};

static void write_time(struct html *html, int64_t moment, bool minute)
{
	char iso[TIME_TEXT_SIZE], words[80];
	time_t seconds = (time_t)moment;
	struct tm tm;
	int length;

	if (gmtime_r(&seconds, &tm) == NULL)
		return;
	time_format(iso, moment);
	length = snprintf(words, sizeof words, "%d%s %s %d", tm.tm_mday,
	    html->language == LANGUAGE_GERMAN ? "." : "", months[html->language][tm.tm_mon],
	    tm.tm_year + 1900);
	if (minute)
		snprintf(words + length, sizeof words - (size_t)length, ", %02d:%02d%s UTC",
		    tm.tm_hour, tm.tm_min, html->language == LANGUAGE_GERMAN ? " Uhr" : "");
	html_open(html, "time", "datetime", iso, NULL);
	html_text(html, words);
	html_close(html);
}

void html_day(struct html *html, int64_t time)
{
	write_time(html, time, false);
}

void html_minute(struct html *html, int64_t time)
{
	write_time(html, time, true);
}

const char *html_lasting(char ret[64], enum language language, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *one[2], *many[2];
	} units[] = {{86400, {"day", "Tag"}, {"days", "Tagen"}},
	    {3600, {"hour", "Stunde"}, {"hours", "Stunden"}},
	    {60, {"minute", "Minute"}, {"minutes", "Minuten"}},
	    {1, {"second", "Sekunde"}, {"seconds", "Sekunden"}}};
	long long number;
	size_t i = 0;

	while (i < 3 && seconds < units[i].seconds)
		i++;
	number = (seconds + units[i].seconds - 1) / units[i].seconds;
	snprintf(ret, 64, "%lld %s", number,
	    number == 1 ? units[i].one[language] : units[i].many[language]);
	return ret;
}

/* ---- The whole ---- */

static void write_head(struct html *html, const char *title)
{
	html_open(html, "head", NULL);
	html_open(html, "meta", "charset", "utf-8", NULL);
	html_open(html, "meta", "name", "viewport", "content",
	    "width=device-width, initial-scale=1", NULL);
	html_open(html, "meta", "name", "robots", "content", "noindex", NULL);
	html_element(html, "title", title);
	html_open(html, "style", NULL);
	/* Holds nothing that would have to be escaped, or could be. */
	if (!html->failed)
		note(html, xmlTextWriterWriteRaw(html->writer, BAD_CAST style));
	html_close(html);
	html_close(html);
}

enum language html_language(const struct request *request)
{
	const char *asked = request_query(request, "lang");

	return asked != NULL ? language_pick(asked) : request->language;
}

void html_header(struct html *html, const char *operator_name, const char *address)
{
	bool german = html->language == LANGUAGE_GERMAN;
	const char *tag = german ? "en" : "de";
	char link[800];

	snprintf(link, sizeof link, "%s?lang=%s", address, tag);
	html_open(html, "header", NULL);
	html_element(html, "span",
	    operator_name[0] != '\0' ? operator_name : "License Management Service");
	html_open(html, "a", "href", link, "hreflang", tag, "lang", tag, NULL);
	html_text(html, german ? "English" : "Deutsch");
	html_close(html);
	html_close(html);
}

void html_footer(struct html *html, const char *address, const char *number)
{
	bool german = html->language == LANGUAGE_GERMAN;
	char link[700];

	html_open(html, "footer", NULL);
	html_open(html, "p", NULL);
	if (number != NULL) {
		html_text(html, german ? "Vorgangsnummer " : "Case number ");
		html_text(html, number);
		html_text(html, " · ");
		snprintf(
		    link, sizeof link, "%s/v1/privacy?lang=%s", address, german ? "de" : "en");
		html_link(html, link, german ? "Datenschutz" : "Privacy");
		html_text(html, " · ");
	}
	html_text(html, german ? "Dienst " : "Service ");
	html_text(html, address);
	html_close(html);
	html_close(html);
}

static int no_page(struct html *html, rh_error *error)
{
	html_end(html, NULL, NULL);
	return error_memory(error);
}

int html_begin(enum language language, const char *title, struct html **ret, rh_error *error)
{
	struct html *html = calloc(1, sizeof *html);

	if (html == NULL)
		return error_memory(error);
	html->language = language;
	html->buffer = xmlBufferCreate();
	if (html->buffer != NULL)
		html->writer = xmlNewTextWriterMemory(html->buffer, 0);
	if (html->writer == NULL)
		return no_page(html, error);
	note(html, xmlTextWriterWriteRaw(html->writer, BAD_CAST "<!DOCTYPE html>\n"));
	html_open(html, "html", "lang", language == LANGUAGE_GERMAN ? "de" : "en", NULL);
	write_head(html, title);
	html_open(html, "body", NULL);
	if (html->failed)
		return no_page(html, error);
	*ret = html;
	return RH_OK;
}

int html_end(struct html *html, struct reply *reply, rh_error *error)
{
	int code = RH_OK;

	if (html->writer != NULL) {
		if (reply != NULL)
			note(html, xmlTextWriterEndDocument(html->writer));
		xmlFreeTextWriter(html->writer); /* flushes into the buffer */
	}
	if (reply != NULL && (html->failed || html->buffer == NULL))
		code = error_memory(error);
	else if (reply != NULL)
		code = buffer_append(&reply->body, xmlBufferContent(html->buffer),
		    (size_t)xmlBufferLength(html->buffer), error);
	if (reply != NULL && code == RH_OK) {
		reply->status = 200;
		reply->content_type = "text/html; charset=utf-8";
	}
	xmlBufferFree(html->buffer);
	free(html);
	return code;
}

void html_problem(struct service *service, const struct request *request, struct reply *reply,
    enum problem problem)
{
	enum language language = html_language(request);
	const char *title = problem_title(problem, language);
	char address[700];
	struct html *html;
	rh_error error;

	reply_problem(reply, request, problem, NULL);
	if (html_begin(language, title, &html, &error) != RH_OK)
		return;
	snprintf(address, sizeof address, "%s%s", service->address, request->path);
	html_header(html, service->operator_name, address);
	html_open(html, "main", NULL);
	html_element(html, "h1", title);
	html_element(html, "p", problem_detail(problem, language));
	html_close(html);
	html_footer(html, service->address, NULL);
	buffer_clear(&reply->body);
	if (html_end(html, reply, &error) != RH_OK)
		reply_problem(reply, request, problem, NULL);
	reply->status = problem_status(problem);
}
