#ifndef SERVICE_HTML_H
#define SERVICE_HTML_H

#include "service/service.h"

/*
 * Pages for people, over libxml2's writer: every text that is put in is escaped there.  A
 * failure sticks: what follows is left out, and html_end tells it.
 */
struct html;

/* Starts a page in the language, up to <body>. */
int html_begin(enum language language, const char *title, struct html **ret, rh_error *error);

/* The language that "?lang=" asks for, else the browser. */
enum language html_language(const struct request *request);

/* <header>: who runs the service, and a link to the page at ${address} in the other language.
 */
void html_header(struct html *html, const char *operator_name, const char *address);

/* Elements: attributes in pairs of name and value, ended by NULL.  void is closed by itself. */
void html_open(struct html *html, const char *element, ...) __attribute__((sentinel));
void html_close(struct html *html);
void html_text(struct html *html, const char *text);
/* An element without attributes around a text. */
void html_element(struct html *html, const char *element, const char *text);
/*
 * A sentence in which "{}" stands for ${value} in <strong>; a value NULL stands for nothing.
 * No element around it.
 */
void html_sentence(struct html *html, const char *sentence, const char *value);
/* The same with a moment. */
void html_sentence_minute(struct html *html, const char *sentence, int64_t time);
/* A link if ${address} is one of http, https or mailto; else plain text. */
void html_link(struct html *html, const char *address, const char *text);
/* <time> with the day, or the minute (UTC), as people of the language write it. */
void html_day(struct html *html, int64_t time);
void html_minute(struct html *html, int64_t time);
/* "7 days", rounded up: in German as after "nach". */
const char *html_lasting(char ret[64], enum language language, int64_t seconds);

/* <footer>: the number of a case and the privacy notice (NULL: neither), and the service. */
void html_footer(struct html *html, const char *address, const char *number);

/* Ends the page, puts it into ${reply}, and frees; NULL for ${reply} only frees. */
int html_end(struct html *html, struct reply *reply, rh_error *error);

/* A page that says a problem in words, for who came with a browser. */
void html_problem(struct service *service, const struct request *request, struct reply *reply,
    enum problem problem);

#endif
