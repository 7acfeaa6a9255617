#ifndef SERVICE_CMD_PRINT_H
#define SERVICE_CMD_PRINT_H

#include <jansson.h>

/* What administration found, for people: a list as a table, anything else member by member. */

/* Objects with the same members. */
void print_table(const json_t *rows);
void print_record(const json_t *object);
/* A policy: what is not set is told with what holds instead. */
void print_policy(const json_t *policy);

#endif
