#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/threads.h>

#include "license/encoding.h"
#include "license/reader.h"
#include "license/xml.h"

struct xml_attributes {
	const xmlChar **values; /* of each: name, prefix, address, start, end */
	size_t count;
};

/* One run of the parser. */
struct run {
	const struct xml_source *source;
	const struct xml_handler *handler;
	xmlParserCtxt *parser;
	size_t depth;
	bool kept; /* libxml2 has kept an error for this thread */
	int code; /* the first failure; everything after it is ignored */
	rh_error *error;
};

static void stop(struct run *run, int code)
{
	run->code = code;
	xmlStopParser(run->parser);
}

static void stop_at(struct run *run, int line, int column, const char *what)
{
	stop(run, reader_fail(run->source->document, run->error, RH_E_LICENSE_XML,
		      "%sline %d, column %d: %s", run->source->place, line, column, what));
}

/* ---- libxml2's callbacks ---- */

static void on_start(void *context, const xmlChar *name, const xmlChar *prefix,
    const xmlChar *address, int namespace_count, const xmlChar **namespaces,
    int attribute_count, int defaulted_count, const xmlChar **values)
{
	struct xml_attributes attributes = {values, (size_t)attribute_count};
	struct run *run = context;
	int code;

	(void)prefix;
	(void)address;
	(void)namespace_count;
	(void)namespaces;
	(void)defaulted_count;
	if (run->code != RH_OK)
		return;
	if (++run->depth > XML_DEPTH_MAX) {
		stop_at(run, xmlSAX2GetLineNumber(run->parser),
		    xmlSAX2GetColumnNumber(run->parser), "elements are nested too deep");
		return;
	}
	code = run->handler->start(
	    run->handler->context, (const char *)name, &attributes, run->error);
	if (code != RH_OK)
		stop(run, code);
}

static void on_end(
    void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *address)
{
	struct run *run = context;
	int code;

	(void)name;
	(void)prefix;
	(void)address;
	if (run->code != RH_OK)
		return;
	run->depth--;
	code = run->handler->end(run->handler->context, run->error);
	if (code != RH_OK)
		stop(run, code);
}

static void on_text(void *context, const xmlChar *text, int size)
{
	struct run *run = context;
	int code;

	if (run->code != RH_OK)
		return;
	code = run->handler->text(
	    run->handler->context, (const char *)text, (size_t)size, run->error);
	if (code != RH_OK)
		stop(run, code);
}

static void on_doctype(
    void *context, const xmlChar *name, const xmlChar *id, const xmlChar *address)
{
	struct run *run = context;

	(void)name;
	(void)id;
	(void)address;
	if (run->code != RH_OK)
		return;
	stop_at(run, xmlSAX2GetLineNumber(run->parser), xmlSAX2GetColumnNumber(run->parser),
	    "a document type declaration, which no licence has");
}

/* libxml2's own sentences may quote the document; ours never do. */
static const char *words(int code)
{
	switch (code) {
	case XML_ERR_DOCUMENT_EMPTY:
		return "there is no element";
	case XML_ERR_DOCUMENT_END:
		return "something follows the root element";
	case XML_ERR_TAG_NOT_FINISHED:
	case XML_ERR_GT_REQUIRED:
	case XML_ERR_CDATA_NOT_FINISHED:
	case XML_ERR_COMMENT_NOT_FINISHED:
	case XML_ERR_PI_NOT_FINISHED:
		return "the text is cut off, or a tag is not closed";
	case XML_ERR_TAG_NAME_MISMATCH:
		return "the end tag is not that of the open element";
	case XML_ERR_UNDECLARED_ENTITY:
		return "an entity that XML does not know";
	case XML_ERR_INVALID_CHAR:
	case XML_ERR_INVALID_CHARREF:
		return "a character that XML does not allow";
	case XML_ERR_ATTRIBUTE_REDEFINED:
		return "an attribute stands twice";
	default:
		return "the XML is not well-formed";
	}
}

static void on_error(void *context, xmlErrorPtr why)
{
	struct run *run = context;

	run->kept = true;
	if (run->code != RH_OK)
		return;
	if (why->code == XML_ERR_NO_MEMORY)
		run->code = error_memory(run->error);
	else if (why->level == XML_ERR_FATAL)
		run->code = reader_fail(run->source->document, run->error, RH_E_LICENSE_XML,
		    "%sline %d, column %d: %s", run->source->place, why->line, why->int2,
		    words(why->code));
}

static void on_lost_error(void *context, xmlErrorPtr why)
{
	struct run *run = context;

	(void)why;
	run->kept = true;
}

/* ---- one document ---- */

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* False if libxml2 cannot have its state of this thread; it would not survive the lack. */
static bool prepare(void)
{
	pthread_once(&prepared, xmlInitParser);
	return xmlIsMainThread() || xmlGetGlobalState() != NULL;
}

static void connect(struct run *run)
{
	xmlSAXHandler *sax = run->parser->sax;

	memset(sax, 0, sizeof *sax);
	sax->initialized = XML_SAX2_MAGIC;
	sax->startElementNs = on_start;
	sax->endElementNs = on_end;
	sax->characters = on_text;
	sax->ignorableWhitespace = on_text;
	sax->internalSubset = on_doctype;
	sax->serror = on_error;
	run->parser->userData = run;
	/* The bytes are UTF-8 by now, whatever the declaration says. */
	xmlCtxtUseOptions(run->parser, XML_PARSE_NONET | XML_PARSE_IGNORE_ENC);
}

static int parse(struct run *run, const uint8_t *data, size_t size)
{
	bool well_formed;

	run->parser = xmlCreateMemoryParserCtxt((const char *)data, (int)size);
	if (run->parser == NULL)
		return error_memory(run->error);
	connect(run);
	xmlParseDocument(run->parser);
	well_formed = run->parser->wellFormed;
	xmlFreeParserCtxt(run->parser);
	if (run->code == RH_OK && !well_formed)
		return reader_fail(run->source->document, run->error, RH_E_LICENSE_XML,
		    "%sline 1: the XML is not well-formed", run->source->place);
	return run->code;
}

int xml_read(
    const struct xml_source *source, const struct xml_handler *handler, rh_error *error)
{
	struct run run = {.source = source, .handler = handler, .code = RH_OK, .error = error};
	xmlStructuredErrorFunc application;
	void *application_context, *owned;
	const uint8_t *data;
	size_t size;
	int code;

	if (!prepare())
		return error_memory(error);
	code = encoding_to_utf8(source, &data, &size, &owned, error);
	if (code != RH_OK)
		return code;

	/* Some errors (no memory) go to this thread's handler; the application's is put back.
	 */
	application = xmlStructuredError;
	application_context = xmlStructuredErrorContext;
	xmlSetStructuredErrorFunc(&run, on_lost_error);
	code = parse(&run, data, size);
	/* What libxml2 keeps of an error may quote the document. */
	if (run.kept)
		xmlResetLastError();
	xmlSetStructuredErrorFunc(application_context, application);
	free(owned);
	return code;
}

bool xml_attribute(const struct xml_attributes *attributes, size_t index, const char **ret_name,
    const char **ret_value, size_t *ret_size)
{
	const xmlChar **values;

	if (index >= attributes->count)
		return false;
	values = attributes->values + 5 * index;
	*ret_name = (const char *)values[0];
	*ret_value = (const char *)values[3];
	*ret_size = (size_t)(values[4] - values[3]);
	return true;
}

bool xml_detect(const uint8_t *data, size_t size)
{
	size_t i = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	if (size >= 4 &&
	    (memcmp(data, "\xff\xfe<\0", 4) == 0 || memcmp(data, "\xfe\xff\0<", 4) == 0 ||
		memcmp(data, "\0<", 2) == 0))
		return true;
	while (i < size &&
	       (data[i] == ' ' || data[i] == '\t' || data[i] == '\r' || data[i] == '\n'))
		i++;
	return i < size && data[i] == '<';
}
