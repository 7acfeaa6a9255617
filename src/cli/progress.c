#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/progress.h"

#define SECOND 1000000000u
#define DRAW_EVERY (SECOND / 10)
#define BAR_WIDTH_MAX 30
#define BAR_WIDTH_MIN 8

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

void progress_start(struct progress *progress, const char *operation)
{
	const char *terminal = getenv("TERM");

	*progress = (struct progress){.operation = operation, .started = now()};
	progress->shown = !talk_quiet() && !record_wanted() && isatty(STDERR_FILENO) &&
			  terminal != NULL && strcmp(terminal, "dumb") != 0;
}

/* "  31.2 MiB/s  0:04 left", as far as it is known yet. */
static void rate_text(char *text, size_t size, const struct progress *progress,
    const rh_event *event, double fraction)
{
	double seconds = (double)(now() - progress->started) / SECOND;
	char number[TEXT_SIZE];
	size_t used;

	text[0] = '\0';
	if (seconds < 0.2 || (event->licenses_done == 0 && event->bytes_done == 0))
		return;
	if (event->bytes_done > 0)
		snprintf(text, size, "  %s/s",
		    text_bytes(number, (uint64_t)((double)event->bytes_done / seconds)));
	else
		snprintf(text, size, "  %s/s",
		    text_number(number, (uint64_t)((double)event->licenses_done / seconds)));
	if (fraction > 0 && seconds >= 1) {
		unsigned left = (unsigned)(seconds * (1 - fraction) / fraction + 0.5);

		used = strlen(text);
		snprintf(text + used, size - used,
		    left < 3600 ? "  %u:%02u left" : "  %uh%02u left",
		    left < 3600 ? left / 60 : left / 3600,
		    left < 3600 ? left % 60 : left % 3600 / 60);
	}
}

/* How much is done, 0 to 1; 0 if the total is not known. */
static double fraction_done(const struct progress *progress, const rh_event *event)
{
	double fraction = 0;

	if (progress->bytes_total > 0)
		fraction = (double)event->bytes_done / (double)progress->bytes_total;
	else if (progress->licenses_total > 0)
		fraction = (double)event->licenses_done / (double)progress->licenses_total;
	return fraction > 1 ? 1 : fraction;
}

/* Counted in licences, or in bytes where the medium itself is looked at. */
static void numbers_text(char *text, size_t size, const struct progress *progress,
    const rh_event *event, double fraction)
{
	char done[TEXT_SIZE], total[TEXT_SIZE], rate[64];

	rate_text(rate, sizeof rate, progress, event, fraction);
	if (progress->licenses_total > 0)
		snprintf(text, size, "%3.0f%%  %s of %s licences%s", fraction * 100,
		    text_number(done, event->licenses_done),
		    text_number(total, progress->licenses_total), rate);
	else if (progress->bytes_total > 0)
		snprintf(text, size, "%3.0f%%  %s of %s%s", fraction * 100,
		    text_bytes(done, event->bytes_done),
		    text_bytes(total, progress->bytes_total), rate);
	else
		snprintf(text, size, "%s licence%s%s", text_number(done, event->licenses_done),
		    event->licenses_done == 1 ? "" : "s", rate);
}

static void draw(const struct progress *progress, const rh_event *event)
{
	size_t columns = text_columns(STDERR_FILENO) - 1, used, width, full;
	double fraction = fraction_done(progress, event);
	char numbers[160], line[256], bar[BAR_WIDTH_MAX + 1];

	numbers_text(numbers, sizeof numbers, progress, event, fraction);
	used = strlen(progress->operation) + strlen(numbers) + 6;
	width = columns > used ? columns - used : 0;
	width = width > BAR_WIDTH_MAX ? BAR_WIDTH_MAX : width;
	if (progress->licenses_total + progress->bytes_total > 0 && width >= BAR_WIDTH_MIN) {
		full = (size_t)(fraction * (double)width);
		memset(bar, '#', full);
		memset(bar + full, '-', width - full);
		bar[width] = '\0';
		snprintf(line, sizeof line, "%s  [%s]  %s", progress->operation, bar, numbers);
	} else {
		snprintf(line, sizeof line, "%s  %s", progress->operation, numbers);
	}
	if (columns < sizeof line)
		line[columns] = '\0';
	talk_bar(line);
}

void progress_totals(struct progress *progress, const rh_event *event)
{
	progress->licenses_total = event->licenses_total;
	progress->bytes_total = event->bytes_total;
	progress->started = now();
}

void progress_done(struct progress *progress, const rh_event *event)
{
	uint64_t time = now();

	if (!progress->shown || (progress->drawn != 0 && time - progress->drawn < DRAW_EVERY))
		return;
	progress->drawn = time;
	draw(progress, event);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		talk_bar("");
}
