#ifndef FAULTS_HOLDS_H
#define FAULTS_HOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faults.h"

/* What the scenarios share. */

#define PATH_SIZE 4200

void join(char path[PATH_SIZE], const char *place, const char *name);

void count_event(struct outcome *outcome, bool end, int code);

/*
 * Whether the folder has a backup that opens with ${recovery} and holds ${after} licences,
 * or after a failure ${before}; and, if the last run was unharmed, nothing else.
 */
bool stick_holds(const char *place, const char *name, const char *recovery, uint64_t before,
    uint64_t after, enum ending ending, char *why, size_t size);

#endif
