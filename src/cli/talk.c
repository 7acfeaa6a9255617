#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/program.h"
#include "cli/text.h"
#include "cli/talk.h"

static struct {
	pthread_mutex_t lock;
	bool quiet;
	bool bar; /* one is on the screen */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

void talk_start(bool quiet)
{
	state.quiet = quiet;
}

bool talk_quiet(void)
{
	return state.quiet;
}

static void clear_bar(void)
{
	if (state.bar)
		fputs("\r\033[K", stderr);
	state.bar = false;
}

static void say(const char *prefix, const char *format, va_list arguments)
{
	char *text = NULL, *safe = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	if (text != NULL)
		safe = text_safe(text);
	pthread_mutex_lock(&state.lock);
	clear_bar();
	fprintf(stderr, "%s%s\n", prefix, safe == NULL ? "no memory left" : safe);
	pthread_mutex_unlock(&state.lock);
	free(safe);
	free(text);
}

void talk(const char *format, ...)
{
	va_list arguments;

	if (state.quiet)
		return;
	va_start(arguments, format);
	say("", format, arguments);
	va_end(arguments);
}

void talk_error(const char *format, ...)
{
	char prefix[32];
	va_list arguments;

	snprintf(prefix, sizeof prefix, "%s: ", program.name);
	va_start(arguments, format);
	say(prefix, format, arguments);
	va_end(arguments);
}

void talk_hint(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("hint: ", format, arguments);
	va_end(arguments);
}

const char *talk_phrase(char *text, size_t size, const char *sentence)
{
	size_t length;

	snprintf(text, size, "%s", sentence);
	length = strlen(text);
	if (length > 1 && text[length - 1] == '.' && text[length - 2] != '.')
		text[length - 1] = '\0';
	/* "A backup" begins small, "DIR" and "TPM" do not. */
	if (isupper((unsigned char)text[0]) && !isupper((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}

void talk_failure(const rh_error *error)
{
	char phrase[1024];

	talk_error(
	    "%s", talk_phrase(phrase, sizeof phrase,
		      error->text[0] != '\0' ? error->text : rh_code_sentence(error->code)));
	if (rh_code_next_step(error->code)[0] != '\0')
		talk_hint(
		    "%s", talk_phrase(phrase, sizeof phrase, rh_code_next_step(error->code)));
}

void talk_bar(const char *line)
{
	pthread_mutex_lock(&state.lock);
	if (line[0] == '\0') {
		clear_bar();
	} else {
		fprintf(stderr, "\r%s\033[K", line);
		state.bar = true;
	}
	fflush(stderr);
	pthread_mutex_unlock(&state.lock);
}
