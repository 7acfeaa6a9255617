#ifndef LICENSE_RULES_H
#define LICENSE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "license/license.h"

/*
 * The small expressions in the actions of a DRM v7 licence.  Only flat
 * conjunctions of simple comparisons are understood (FORMATS.md lists them);
 * everything else is told apart from them and never guessed.  Private to this room.
 */

/* Whether a condition lets this computer act: LICENSE_UNKNOWN if it is not understood. */
enum license_right rules_right(const char *condition);

/*
 * Narrows the times by the tests of machine.datetime; a time that no test names
 * stays as it is.
 */
void rules_times(const char *condition, int64_t *not_before, int64_t *not_after);

/*
 * How often ${action} may be done under ${condition}, when ${on_store} runs on
 * storing: the least initial value of a counter that the condition tests and
 * the action counts down.  false if there is none that is understood.
 */
bool rules_count(
    const char *condition, const char *action, const char *on_store, uint64_t *ret);

/*
 * Whether ${action} may be done under ${condition}, if its times allow it: LICENSE_UNKNOWN
 * unless every test in it is understood.  ${*ret} is as rules_count() has it, or
 * LICENSE_UNLIMITED.
 */
enum license_right rules_grant(
    const char *condition, const char *action, const char *on_store, uint64_t *ret);

/* "yyyymmdd hh:mm:ssZ", the time or its end optional, with or without # around it. */
bool rules_date(const char *text, size_t size, int64_t *ret);

#endif
