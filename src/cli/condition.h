#ifndef CLI_CONDITION_H
#define CLI_CONDITION_H

#include <jansson.h>

#include "rehost/rehost.h"

/* How a backup has lasted on its medium, as JSON and in words on stderr. */

json_t *condition_record(const rh_condition *condition);
json_t *damage_record(const rh_damage *damage);

/* ${operation}: enum rh_operation. */
void condition_say(const rh_condition *condition, int operation);
void damage_say(const rh_damage *damage);

#endif
