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
    "header,main,footer{max-width:42rem;margin:0 auto;padding:0 1.25rem}"
    "header{display:flex;justify-content:space-between;gap:1rem;padding-top:1rem;"
    "color:var(--soft);font-size:.9375rem}"
    "h1{font-size:1.75rem;line-height:1.25;margin:1.5rem 0 .75rem}"
    "h2{font-size:1.25rem;margin:2rem 0 .5rem}"
    "a{color:var(--link)}a:focus-visible{outline:3px solid var(--link);outline-offset:2px}"
    "table{border-collapse:collapse;width:100%}caption{text-align:left;color:var(--soft);"
    "padding-bottom:.25rem}"
    "th,td{text-align:left;vertical-align:top;padding:.5rem .75rem .5rem 0;"
    "border-top:1px solid var(--line)}"
    "code,pre{font:.9375rem/1.5 ui-monospace,monospace;background:var(--box);border-radius:4px}"
    "code{padding:.1em .3em;overflow-wrap:anywhere}"
    "pre{padding:.75rem;white-space:pre-wrap;overflow-wrap:anywhere}pre code{padding:0}"
    ".notice{background:var(--box);border-left:4px solid var(--link);padding:.75rem 1rem}"
    "li{margin:.75rem 0}footer{color:var(--soft);font-size:.9375rem;padding-bottom:2rem;"
    "margin-top:2.5rem}"
    "@media(max-width:30rem){thead{position:absolute;left:-99rem}"
    "tr,td,th{display:block;border:0;padding:0}tr{border-top:1px solid var(--line);"
    "padding:.6rem 0}}";

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
	if (value != NULL)
		html_element(html, "strong", value);
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
	html_element(html, "span", operator_name);
	html_open(html, "a", "href", link, "hreflang", tag, "lang", tag, NULL);
	html_text(html, german ? "English" : "Deutsch");
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
