#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include <stdio.h>

/*
 * What may stand in place of the last of ${words}, which are those of the command
 * line after the program's name: lines of a word, a tab and what it means, or the line ":files"
 * or
 * ":directories".  The shells' files in completion/ ask for it with
 * `PROGRAM --complete WORD...`, so that they never lag behind the tables.
 */
void completion_write(FILE *out, char **words, int count);

/* Writes such a line if ${word} begins with ${typed}. */
void completion_offer(FILE *out, const char *word, const char *typed, const char *meaning);

#endif
