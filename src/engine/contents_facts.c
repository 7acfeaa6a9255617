#include <stdio.h>
#include <string.h>

#include "base/text.h"

#include "engine/engine.h"

/* What one licence of a backup says: contents.c. */

/* Takes the record that the member's name stands for. */
static int take_record(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct content *content = context;
	char component[LICENSE_COMPONENT_SIZE];
	int code = license_path_component(component, license->id, error);

	if (code != RH_OK || strcmp(component, content->component) != 0)
		return code;
	content->row.facts = *license;
	if (rights != NULL)
		memcpy(content->computer, rights->computer, sizeof content->computer);
	return RH_OK;
}

/* The document among the members, as it was read when it was added. */
static struct license_document document_of(
    const struct content *content, const struct frame_license *members)
{
	struct license_document document = {.data = members->document,
	    .size = members->document_size,
	    .name = members->component};

	if (content->state.name[0] != '\0')
		document.name = content->state.name;
	if (content->state.format[0] != '\0')
		document.format = content->state.format;
	return document;
}

/*
 * The facts as the backup tells them; false if it does not.  A document that proves itself is
 * worth more than words that anybody may have put beside it, whatever they call it.
 */
static bool believe_facts(struct content *content, const struct frame_license *members)
{
	struct license *facts = &content->row.facts;
	struct license_document document = document_of(content, members);
	char component[LICENSE_COMPONENT_SIZE];

	if (members->facts_size > 0 &&
	    license_facts_parse(facts, members->facts, members->facts_size) &&
	    (members->proven || (!license_format_signed(facts->format) &&
				    !license_document_signed(&document))) &&
	    license_path_component(component, facts->id, NULL) == RH_OK &&
	    strcmp(component, members->component) == 0)
		return true;
	facts->id[0] = '\0';
	return false;
}

/* RH_E_LICENSE_DAMAGED unless the document says what the backup tells of it. */
static int compare_facts(
    const struct content *content, const struct frame_license *members, rh_error *error)
{
	struct buffer line = {0};
	struct license told;
	int code;

	if (members->facts_size == 0 ||
	    !license_facts_parse(&told, members->facts, members->facts_size))
		return RH_OK;
	code = license_facts_format(&content->row.facts, &line, error);
	if (code == RH_OK && (line.size != members->facts_size ||
				 memcmp(line.data, members->facts, line.size) != 0))
		code = error_set(error, RH_E_LICENSE_DAMAGED,
		    "the document of %s says something else than the backup tells of it",
		    members->component);
	buffer_free(&line);
	return code;
}

/* The facts as the document says them. */
static int read_document(const struct contents *run, struct content *content,
    const struct frame_license *members, rh_error *error)
{
	struct license_document document = document_of(content, members);
	int code;

	document.trust = run->belief->trusts ? &run->belief->trust.trust : NULL;
	code = license_read(&document, take_record, content, error);
	if (code == RH_OK && content->row.facts.id[0] == '\0')
		return error_set(error, RH_E_LICENSE_DAMAGED,
		    "the document of %s holds another licence", members->component);
	content->unchecked = code == RH_OK && document.trust == NULL &&
			     license_format_signed(content->row.facts.format);
	return code;
}

/* Whose counts they are the document says, unless the owner's computer does. */
static void bind_counts(struct content *content, const struct frame_license *members)
{
	if (!members->proven && content->row.facts.count_count > 0 &&
	    license_format_signed(content->row.facts.format))
		memcpy(
		    content->state.computer, content->computer, sizeof content->state.computer);
}

/*
 * No computer writes a signed licence into a backup that denies it: somebody else did, to get
 * it past the computer that it was issued to.
 */
static int check_right(
    const struct content *content, const struct frame_license *members, rh_error *error)
{
	const struct license *facts = &content->row.facts;

	if (!license_format_signed(facts->format) || license_class(facts) != LICENSE_RESTRICTED)
		return RH_OK;
	return error_set(error, RH_E_RESTRICTED,
	    "the licence %s does not grant the right to back up, and is in one",
	    members->component);
}

/* The secret must be as the class wants it: a managed one sealed, no other. */
static int check_secret(
    const struct content *content, const struct frame_license *members, rh_error *error)
{
	bool managed = license_class(&content->row.facts) == LICENSE_MANAGED;

	if (members->secret_size == 0 || members->sealed == managed)
		return RH_OK;
	return error_set(error, RH_E_LICENSE_DAMAGED,
	    managed ? "the managed licence %s has a secret that is not sealed"
		    : "the secret of %s is sealed for a service that the licence does not name",
	    members->component);
}

int content_read(const struct contents *run, struct content *content,
    const struct frame_license *members, rh_error *error)
{
	int code = RH_OK;

	if (members->state_size > 0)
		code = license_state_parse(
		    &content->state, members->state, members->state_size, error);
	if (code == RH_OK && run->believe && believe_facts(content, members))
		return check_secret(content, members, error);
	if (code == RH_OK)
		code = read_document(run, content, members, error);
	if (code == RH_OK)
		code = check_right(content, members, error);
	if (code == RH_OK)
		bind_counts(content, members);
	if (code == RH_OK && !run->believe)
		code = compare_facts(content, members, error);
	return code == RH_OK ? check_secret(content, members, error) : code;
}

/* ---- For its service ---- */

static int take_computer(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct content *content = context;

	(void)license;
	(void)error;
	if (rights != NULL)
		memcpy(content->computer, rights->computer, sizeof content->computer);
	return RH_OK;
}

/*
 * Whether the document may be of a licence that was issued to the computer: a text that names
 * it holds its name, unless it is written with escapes.
 */
static int may_name(
    const struct frame_license *members, const char *computer, bool *ret, rh_error *error)
{
	const char *text = (const char *)members->document,
		   *end = text + members->document_size;
	const char *claims = memchr(text, '.', members->document_size), *dot = NULL;
	struct buffer bytes = {0};
	ptrdiff_t size = -1;
	int code;

	if (claims != NULL)
		dot = memchr(claims + 1, '.', (size_t)(end - claims - 1));
	*ret = dot == NULL;
	if (dot == NULL)
		return RH_OK;
	claims++;
	code = buffer_reserve(&bytes, (size_t)(dot - claims) + 1, error);
	if (code == RH_OK)
		size = base64_decode(bytes.data, bytes.capacity, claims, (size_t)(dot - claims),
		    BASE64_URL | BASE64_NO_PAD);
	if (code == RH_OK)
		*ret = size < 0 || memchr(bytes.data, '\\', (size_t)size) != NULL ||
		       memmem(bytes.data, (size_t)size, computer, strlen(computer)) != NULL;
	buffer_free(&bytes);
	return code;
}

int content_keep(const struct contents *run, struct content *content,
    const struct frame_license *members, rh_error *error)
{
	struct license_document document = document_of(content, members);
	bool ours = false;
	int code = RH_OK;

	/* The facts were believed, and do not tell. */
	if (content->computer[0] == '\0' && *run->computer != '\0')
		code = may_name(members, run->computer, &ours, error);
	if (code == RH_OK && ours)
		code = license_read(&document, take_computer, content, error);
	if (license_code(code)) {
		error_clear(error);
		code = RH_OK;
	}
	if (code == RH_OK)
		code = buffer_append(
		    &content->document, members->document, members->document_size, error);
	if (code == RH_OK)
		code = buffer_append(
		    &content->secret, members->secret, members->secret_size, error);
	return code;
}
