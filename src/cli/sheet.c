#include <errno.h>
#include <qrencode.h>
#include <string.h>

#include "cli/error.h"
#include "cli/text.h"
#include "cli/sheet.h"

#define GROUPS_IN_ROW 5
#define QUIET_ZONE 4 /* modules around a QR code (ISO/IEC 18004, 9.1) */

static const char sheet_style[] =
    "@page{size:auto;margin:16mm}"
    "*{box-sizing:border-box}"
    "body{font:11pt/1.4 sans-serif;color:#000;background:#fff;max-width:178mm;"
    "margin:8mm auto;padding:0 2mm}"
    "h1{font-size:20pt;margin:0 0 1mm}h2{font-size:12pt;margin:6mm 0 1mm}"
    "p{margin:1mm 0}ol{margin:1mm 0;padding-left:6mm}"
    ".top{display:flex;gap:8mm;align-items:flex-start;margin-top:5mm}"
    ".qr{flex:0 0 52mm;width:52mm;height:52mm}"
    ".code{display:grid;grid-template-columns:repeat(4,1fr);gap:2mm 4mm;"
    "font:bold 15pt monospace;flex:1}"
    ".code div{border-bottom:.3mm solid #999;white-space:nowrap}"
    ".code small{font:7pt sans-serif;color:#555;display:inline-block;width:5mm}"
    ".long{font:9pt monospace;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;font-size:10pt}"
    "td{padding:0 4mm 0 0;vertical-align:top}"
    "pre{font:9pt monospace;margin:1mm 0;white-space:pre-wrap}"
    ".warn{border:.4mm solid #000;padding:2mm 3mm;margin-top:4mm}"
    "@media print{body{margin:0;padding:0}}";

static const char what_it_is[] =
    "Whoever has this page can open your licence backups. Keep it away from the backups and "
    "from the computer, with papers that you would not want to lose.";

/* Calls for each group of the code: characters between dashes or spaces. */
static const char *next_group(const char **code, size_t *ret_length)
{
	const char *group = *code + strspn(*code, "- ");

	*ret_length = strcspn(group, "- ");
	*code = group + *ret_length;
	return *ret_length == 0 ? NULL : group;
}

void sheet_code(FILE *out, const char *code, const char *indent)
{
	const char *group;
	size_t length, number = 0;

	while ((group = next_group(&code, &length)) != NULL) {
		fprintf(out, "%s%.*s", number % GROUPS_IN_ROW == 0 ? indent : "-", (int)length,
		    group);
		if (++number % GROUPS_IN_ROW == 0)
			fputc('\n', out);
	}
	if (number % GROUPS_IN_ROW != 0)
		fputc('\n', out);
}

void sheet_box(FILE *out, const rh_recovery_key *key)
{
	static const char rule[] =
	    "----------------------------------------------------------------------------";

	fprintf(out, "%s\n  Recovery code\n\n", rule);
	sheet_code(out, key->code, "    ");
	fprintf(out, "\n  The same as an age identity\n\n    %s\n%s\n", key->identity, rule);
}

static QRcode *encode(const rh_recovery_key *key, rh_error *error)
{
	QRcode *code = QRcode_encodeString(key->identity, 0, QR_ECLEVEL_Q, QR_MODE_8, 1);

	if (code == NULL && errno == ENOMEM)
		error_memory(error);
	else if (code == NULL)
		error_set(error, RH_E_INTERNAL, "the QR code cannot be made");
	return code;
}

/* The library leaves the key in memory in the shape of the code. */
static void forget(QRcode *code)
{
	explicit_bzero(code->data, (size_t)code->width * (size_t)code->width);
	QRcode_free(code);
}

/* Whether the module is dark; the quiet zone around the code is light. */
static bool is_dark(const QRcode *code, int x, int y)
{
	return x >= 0 && y >= 0 && x < code->width && y < code->width &&
	       (code->data[y * code->width + x] & 1) != 0;
}

/* One path, a rectangle for each run of dark modules in a row. */
static void write_svg(FILE *out, const QRcode *code)
{
	int side = code->width + 2 * QUIET_ZONE;

	fprintf(out,
	    "<svg class=\"qr\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
	    "shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR code of the "
	    "age identity\"><path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/><path d=\"",
	    side, side, side, side);
	for (int y = 0; y < code->width; y++)
		for (int x = 0; x < code->width;) {
			int run = 0;

			while (is_dark(code, x + run, y))
				run++;
			if (run > 0)
				fprintf(out, "M%d %dh%dv1h-%dz", x + QUIET_ZONE, y + QUIET_ZONE,
				    run, run);
			x += run + 1;
		}
	fputs("\"/></svg>\n", out);
}

static void write_groups(FILE *out, const char *code)
{
	const char *group;
	size_t length, number = 0;

	fputs("<div class=\"code\">\n", out);
	while ((group = next_group(&code, &length)) != NULL)
		fprintf(
		    out, "<div><small>%zu</small>%.*s</div>\n", ++number, (int)length, group);
	fputs("</div>\n", out);
}

int sheet_html(FILE *out, const struct sheet *sheet, rh_error *error)
{
	QRcode *code = encode(sheet->key, error);
	char when[TEXT_SIZE];

	if (code == NULL)
		return error->code;
	fprintf(out,
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"referrer\" content=\"no-referrer\">\n"
	    "<title>Rehost recovery key</title>\n<style>%s</style>\n</head>\n<body>\n"
	    "<h1>Recovery key for licence backups</h1>\n<p>%s</p>\n<div class=\"top\">\n",
	    sheet_style, what_it_is);
	write_svg(out, code);
	forget(code);
	write_groups(out, sheet->key->code);
	fprintf(out,
	    "</div>\n<p>The numbers count the groups and are not part of the code. The QR code "
	    "holds the age identity:</p>\n<p class=\"long\">%s</p>\n"
	    "<h2>To restore on a new computer</h2>\n<ol>\n"
	    "<li>Install Rehost, and plug in the medium with the backup.</li>\n"
	    "<li>Run <b>rehost restore</b> with the directory of the backup.</li>\n"
	    "<li>When it asks, type the recovery code. It tells which group has a typing "
	    "error.</li>\n</ol>\n"
	    "<h2>To open a backup without Rehost</h2>\n"
	    "<p>Put the age identity into a file <i>key.txt</i>; then, with the tools age, "
	    "zstd "
	    "and tar:</p>\n"
	    "<pre>age -d -i key.txt licenses-*.age | zstd -d | tar x</pre>\n"
	    "<h2>What this key belongs to</h2>\n<table>\n"
	    "<tr><td>Public half</td><td class=\"long\">%s</td></tr>\n"
	    "<tr><td>Computer</td><td class=\"long\">%s</td></tr>\n"
	    "<tr><td>This page</td><td>%s</td></tr>\n</table>\n"
	    "<p class=\"warn\">Delete the file of this page once it is printed. Check the "
	    "paper "
	    "with <b>rehost recovery check</b>.</p>\n</body>\n</html>\n",
	    sheet->key->identity, sheet->key->recipient, sheet->computer_id,
	    text_minute(when, sheet->made));
	return RH_OK;
}

/* Two rows of modules in one row of text. */
static void write_blocks(FILE *out, const QRcode *code, bool terminal)
{
	/* Upper half and lower half dark. */
	static const char *const blocks[2][2] = {
	    {" ", "\xE2\x96\x84"}, {"\xE2\x96\x80", "\xE2\x96\x88"}};
	int end = code->width + QUIET_ZONE;

	for (int y = -QUIET_ZONE; y < end; y += 2) {
		fputs(terminal ? "  \033[30;107m" : "  ", out);
		for (int x = -QUIET_ZONE; x < end; x++)
			fputs(blocks[is_dark(code, x, y)][is_dark(code, x, y + 1)], out);
		fputs(terminal ? "\033[0m\n" : "\n", out);
	}
}

int sheet_text(FILE *out, const struct sheet *sheet, bool terminal, rh_error *error)
{
	QRcode *code = encode(sheet->key, error);
	char when[TEXT_SIZE];

	if (code == NULL)
		return error->code;
	fputs("Recovery key for licence backups\n\n"
	      "Whoever has this page can open your licence backups.  Keep it away from the\n"
	      "backups and from the computer, with papers that you would not want to lose.\n\n"
	      "Recovery code\n\n",
	    out);
	sheet_code(out, sheet->key->code, "  ");
	fprintf(out, "\nThe same as an age identity\n\n  %s\n\n", sheet->key->identity);
	write_blocks(out, code, terminal);
	forget(code);
	fprintf(out,
	    "\nTo restore on a new computer, run 'rehost restore' with the directory of the\n"
	    "backup, and type the recovery code when it asks.\n\n"
	    "To open a backup without Rehost, put the age identity into a file key.txt:\n\n"
	    "  age -d -i key.txt licenses-*.age | zstd -d | tar x\n\n"
	    "Public half  %s\nComputer     %s\nThis page    %s\n",
	    sheet->key->recipient, sheet->computer_id, text_minute(when, sheet->made));
	return RH_OK;
}
