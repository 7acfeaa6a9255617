#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <stdio.h>

#include "cli/options.h"

/*
 * What differs between the programs that share this command line, besides their tables:
 * each defines one ${program}.
 */
struct program {
	const char *name; /* as it is typed */
	const char *(*version)(void);
	const char *purpose; /* a sentence for --help */
	const char *beginning; /* indented lines for who types the name alone */
	const char *alone; /* the command that its group's name alone stands for; NULL: none */
	void (*start)(void); /* before anything else; may be NULL */

	/*
	 * Offers completions (completion_offer) for what the tables do not know;
	 * ${arguments} are the options so far.
	 */
	void (*offer)(FILE *out, const struct arguments *arguments, enum argument_kind kind,
	    const char *typed);
};

extern const struct program program;

#endif
