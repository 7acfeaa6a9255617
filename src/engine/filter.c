#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

enum field { FIELD_ID, FIELD_KEY_ID, FIELD_TITLE, FIELD_ISSUER, FIELD_FORMAT, FIELD_CLASS };

static const char *const fields[] = {"id", "key-id", "title", "issuer", "format", "class"};
static const char *const classes[] = {"owned", "managed", "restricted"};
#define FIELD_COUNT (sizeof fields / sizeof *fields)

/* Cuts ${*rest} at the first comma without a backslash and drops the backslashes. */
static char *cut_term(char **rest)
{
	char *term = *rest, *to = term, *from = term;

	while (*from != '\0' && *from != ',') {
		if (from[0] == '\\' && from[1] == ',')
			from++;
		*to++ = *from++;
	}
	*rest = *from == ',' ? from + 1 : NULL;
	*to = '\0';
	return term;
}

static int add_term(struct filter *filter, char *term, rh_error *error)
{
	char *equals = strchr(term, '=');

	if (equals == NULL)
		return error_set(error, RH_E_ARGUMENT, "the filter term '%s' has no '='", term);
	if (filter->count == FILTER_TERMS_MAX)
		return error_set(error, RH_E_ARGUMENT, "the filter has more than %d terms",
		    FILTER_TERMS_MAX);
	*equals = '\0';
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		if (strcmp(term, fields[i]) != 0)
			continue;
		filter->terms[filter->count].field = (int)i;
		filter->terms[filter->count].pattern = equals + 1;
		filter->count++;
		return RH_OK;
	}
	return error_set(error, RH_E_ARGUMENT,
	    "the filter field '%s' is unknown; known are id, key-id, title, issuer, format and "
	    "class",
	    term);
}

int filter_parse(struct filter *filter, const char *text, rh_error *error)
{
	char *rest;
	int code;

	*filter = (struct filter){0};
	if (text == NULL || *text == '\0')
		return RH_OK;
	rest = filter->text = strdup(text);
	if (rest == NULL)
		return error_memory(error);
	while (rest != NULL) {
		code = add_term(filter, cut_term(&rest), error);
		if (code != RH_OK) {
			filter_free(filter);
			return code;
		}
	}
	return RH_OK;
}

void filter_free(struct filter *filter)
{
	free(filter->text);
	*filter = (struct filter){0};
}

static const char *value_of(const rh_license *license, enum field field)
{
	switch (field) {
	case FIELD_ID:
		return license->id;
	case FIELD_KEY_ID:
		return license->key_id;
	case FIELD_TITLE:
		return license->title;
	case FIELD_ISSUER:
		return license->issuer;
	case FIELD_FORMAT:
		return license->format;
	default:
		return classes[license->license_class];
	}
}

bool filter_passes(const struct filter *filter, const rh_license *license)
{
	for (size_t i = 0; i < filter->count; i++) {
		const char *value = value_of(license, (enum field)filter->terms[i].field);

		if (fnmatch(filter->terms[i].pattern, value, FNM_CASEFOLD) != 0)
			return false;
	}
	return true;
}
