#include <string.h>

#include "base/text.h"
#include "license/reader.h"

/* Any file, kept as it is: its owner says that it is a licence. */
static int opaque_read(
    const struct license_document *document, license_sink sink, void *context, rh_error *error)
{
	const char *name = reader_base_name(document);
	struct license license;
	int code;

	reader_record(&license, &opaque_reader);
	code = reader_digest_id(document, license.id, error);
	if (code != RH_OK)
		return code;
	text_copy(license.title, sizeof license.title, name, strlen(name));
	license.backup = LICENSE_YES;
	return sink(context, &license, NULL, error);
}

const struct license_reader opaque_reader = {
    .name = "opaque",
    .title = "any file, kept as it is",
    .detect = NULL,
    .read = opaque_read,
};
