#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "license/reader.h"
#include "license/rules.h"

#define TERMS_MAX 32

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_NUMBER, TOKEN_DATE, TOKEN_SIGN, TOKEN_BAD };

struct token {
	enum token_kind kind;
	const char *start;
	size_t size;
	uint64_t number;
	int64_t date;
};

/* One comparison: ${sign} and ${right} are TOKEN_END where ${left} stands alone. */
struct term {
	struct token left, sign, right;
};

/* ---- tokens ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* Two digits at ${*at}; -1 if they are not there. */
static int two_digits(const char **at, const char *end)
{
	int value;

	if (end - *at < 2 || !is_digit((*at)[0]) || !is_digit((*at)[1]))
		return -1;
	value = ((*at)[0] - '0') * 10 + ((*at)[1] - '0');
	*at += 2;
	return value;
}

/* Reads " hh", " hh:mm" or " hh:mm:ss", or nothing if a Z follows at once. */
static bool date_time(const char **at, const char *end, int fields[3])
{
	if (*at == end || **at != ' ')
		return true;
	while (*at < end && **at == ' ')
		(*at)++;
	if (*at < end && **at == 'Z')
		return true;
	for (int i = 0; i < 3; i++) {
		fields[i] = two_digits(at, end);
		if (fields[i] < 0)
			return false;
		if (i == 2 || *at == end || **at != ':')
			return true;
		(*at)++;
	}
	return true;
}

bool rules_date(const char *text, size_t size, int64_t *ret)
{
	int century, year, month, day, fields[3] = {0, 0, 0};
	const char *at, *end;

	reader_trim(&text, &size);
	if (size >= 2 && text[0] == '#' && text[size - 1] == '#') {
		text++;
		size -= 2;
		reader_trim(&text, &size);
	}
	at = text;
	end = text + size;
	century = two_digits(&at, end);
	year = two_digits(&at, end);
	month = two_digits(&at, end);
	day = two_digits(&at, end);
	if (century < 0 || year < 0 || !date_time(&at, end, fields))
		return false;
	/* "the Z required": Rights Manager SDK, WMRMRights.ExpirationDate. */
	if (end - at != 1 || *at != 'Z')
		return false;
	return time_from_utc(
	    century * 100 + year, month, day, fields[0], fields[1], fields[2], ret);
}

static void token_number(struct token *token)
{
	const char *p = token->start;

	token->kind = TOKEN_NUMBER;
	for (; is_digit(*p); p++) {
		unsigned digit = (unsigned)(*p - '0');
		if (token->number > ((uint64_t)INT64_MAX - digit) / 10)
			token->kind = TOKEN_BAD;
		else
			token->number = token->number * 10 + digit;
	}
	if (is_name(*p) || *p == '.')
		token->kind = TOKEN_BAD;
	token->size = (size_t)(p - token->start);
}

static void token_date(struct token *token)
{
	const char *end = strchr(token->start + 1, '#');

	token->kind = TOKEN_BAD;
	if (end == NULL)
		return;
	token->size = (size_t)(end + 1 - token->start);
	if (rules_date(token->start, token->size, &token->date))
		token->kind = TOKEN_DATE;
}

static void token_sign(struct token *token)
{
	static const char signs[][3] = {
	    "&&", "==", "!=", "<=", ">=", "--", "<", ">", "=", "-", ";"};

	token->kind = TOKEN_BAD;
	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		size_t size = strlen(signs[i]);
		if (strncmp(token->start, signs[i], size) == 0) {
			token->kind = TOKEN_SIGN;
			token->size = size;
			return;
		}
	}
}

/* Takes the next token off ${*at}; a bad one is at least a character long. */
static struct token token_next(const char **at)
{
	struct token token = {.kind = TOKEN_END, .size = 1};

	while (**at == ' ' || **at == '\t' || **at == '\r' || **at == '\n')
		(*at)++;
	token.start = *at;
	if (**at == '\0')
		return token;
	if (is_name(**at)) {
		const char *p = *at;
		while (is_name(*p) || is_digit(*p) || *p == '.')
			p++;
		token.kind = TOKEN_NAME;
		token.size = (size_t)(p - *at);
	} else if (is_digit(**at)) {
		token_number(&token);
	} else if (**at == '#') {
		token_date(&token);
	} else {
		token_sign(&token);
	}
	*at += token.size;
	return token;
}

static bool token_is(const struct token *token, const char *text)
{
	return token->size == strlen(text) && token->kind != TOKEN_END &&
	       strncasecmp(token->start, text, token->size) == 0;
}

static bool token_same(const struct token *a, const struct token *b)
{
	return a->kind == b->kind && a->size == b->size &&
	       strncasecmp(a->start, b->start, a->size) == 0;
}

/* ---- conditions ---- */

/* "5 < x" becomes "x > 5". */
static void term_turn(struct term *term)
{
	static const char *const turned[][2] = {
	    {"<", ">"}, {">", "<"}, {"<=", ">="}, {">=", "<="}};
	struct token left = term->left;

	if (term->left.kind == TOKEN_NAME || term->right.kind != TOKEN_NAME)
		return;
	term->left = term->right;
	term->right = left;
	for (size_t i = 0; i < sizeof turned / sizeof turned[0]; i++) {
		if (token_is(&term->sign, turned[i][0])) {
			term->sign.start = turned[i][1];
			return;
		}
	}
}

static bool is_operand(const struct token *token)
{
	return token->kind == TOKEN_NAME || token->kind == TOKEN_NUMBER ||
	       token->kind == TOKEN_DATE;
}

static bool is_comparison(const struct token *token)
{
	static const char *const signs[] = {"==", "!=", "<", ">", "<=", ">="};

	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
		if (token_is(token, signs[i]))
			return true;
	return false;
}

/* Splits a flat conjunction; -1 if the condition is anything else, 0 if it is empty. */
static int conjunction(const char *condition, struct term terms[TERMS_MAX])
{
	const char *at = condition;
	struct token token = token_next(&at);
	int count = 0;

	if (token.kind == TOKEN_END)
		return 0;
	for (;;) {
		struct term *term = &terms[count];

		if (count == TERMS_MAX || !is_operand(&token))
			return -1;
		*term = (struct term){.left = token};
		token = token_next(&at);
		if (is_comparison(&token)) {
			term->sign = token;
			term->right = token_next(&at);
			if (!is_operand(&term->right))
				return -1;
			term_turn(term);
			token = token_next(&at);
		}
		count++;
		if (token.kind == TOKEN_END)
			return count;
		if (!token_is(&token, "&&"))
			return -1;
		token = token_next(&at);
	}
}

static enum license_right term_right(const struct term *term)
{
	if (term->sign.kind == TOKEN_END) {
		if (token_is(&term->left, "true"))
			return LICENSE_YES;
		if (token_is(&term->left, "false"))
			return LICENSE_NO;
		if (term->left.kind == TOKEN_NUMBER && term->left.number <= 1)
			return term->left.number == 1 ? LICENSE_YES : LICENSE_NO;
		return LICENSE_UNKNOWN;
	}
	/* What a player must be, not what its user may do. */
	if ((token_is(&term->left, "app.minsec") ||
		token_is(&term->left, "machine.drmlevel")) &&
	    token_is(&term->sign, ">=") && term->right.kind == TOKEN_NUMBER)
		return LICENSE_YES;
	return LICENSE_UNKNOWN;
}

enum license_right rules_right(const char *condition)
{
	struct term terms[TERMS_MAX];
	int count = conjunction(condition, terms);
	enum license_right right = LICENSE_YES;

	if (count < 0)
		return LICENSE_UNKNOWN;
	for (int i = 0; i < count; i++) {
		enum license_right one = term_right(&terms[i]);
		if (one == LICENSE_NO)
			return LICENSE_NO;
		if (one == LICENSE_UNKNOWN)
			right = LICENSE_UNKNOWN;
	}
	return right;
}

void rules_times(const char *condition, int64_t *not_before, int64_t *not_after)
{
	struct term terms[TERMS_MAX];
	int count = conjunction(condition, terms);

	for (int i = 0; i < count; i++) {
		const struct term *term = &terms[i];

		if (!token_is(&term->left, "machine.datetime") ||
		    term->right.kind != TOKEN_DATE)
			continue;
		if (token_is(&term->sign, "<") || token_is(&term->sign, "<=")) {
			if (*not_after == LICENSE_TIME_NONE || term->right.date < *not_after)
				*not_after = term->right.date;
		} else if (token_is(&term->sign, ">") || token_is(&term->sign, ">=")) {
			/* LICENSE_TIME_NONE is the least of all times. */
			if (term->right.date > *not_before)
				*not_before = term->right.date;
		}
	}
}

/* ---- statements ---- */

#define STATEMENT_MAX 5 /* x = x - 1 */

struct statement {
	struct token tokens[STATEMENT_MAX];
	size_t count; /* may be over STATEMENT_MAX: those behind are dropped */
};

/* Takes a statement up to its ';' off ${*at}; false at the end. */
static bool statement_next(const char **at, struct statement *statement)
{
	struct token token = token_next(at);

	statement->count = 0;
	if (token.kind == TOKEN_END)
		return false;
	while (token.kind != TOKEN_END && !token_is(&token, ";")) {
		if (statement->count < STATEMENT_MAX)
			statement->tokens[statement->count] = token;
		statement->count++;
		token = token_next(at);
	}
	return true;
}

/* Whether the statement may have to do with the variable. */
static bool mentions(const struct statement *statement, const struct token *variable)
{
	if (statement->count > STATEMENT_MAX)
		return true;
	for (size_t i = 0; i < statement->count; i++)
		if (token_same(&statement->tokens[i], variable))
			return true;
	return false;
}

/* "x--" or "x = x - 1". */
static bool is_count_down(const struct statement *statement, const struct token *variable)
{
	const struct token *tokens = statement->tokens;

	if (statement->count < 2 || !token_same(&tokens[0], variable))
		return false;
	if (statement->count == 2)
		return token_is(&tokens[1], "--");
	return statement->count == 5 && token_is(&tokens[1], "=") &&
	       token_same(&tokens[2], variable) && token_is(&tokens[3], "-") &&
	       tokens[4].kind == TOKEN_NUMBER && tokens[4].number == 1;
}

/* Whether the action takes one off the variable, once, and does nothing else to it. */
static bool counts_down(const char *action, const struct token *variable)
{
	struct statement statement;
	int found = 0;

	while (statement_next(&action, &statement)) {
		if (is_count_down(&statement, variable))
			found++;
		else if (mentions(&statement, variable))
			return false;
	}
	return found == 1;
}

/* The number that storing sets the variable to; false if it is not plainly set once. */
static bool initial_value(const char *on_store, const struct token *variable, uint64_t *ret)
{
	struct statement statement;
	bool found = false;

	while (statement_next(&on_store, &statement)) {
		const struct token *tokens = statement.tokens;

		if (statement.count == 3 && token_same(&tokens[0], variable) &&
		    token_is(&tokens[1], "=") && tokens[2].kind == TOKEN_NUMBER) {
			if (found)
				return false;
			*ret = tokens[2].number;
			found = true;
		} else if (mentions(&statement, variable)) {
			return false;
		}
	}
	return found;
}

/* "secstate.x > 0" or "secstate.x >= 1". */
static bool is_counter_test(const struct term *term)
{
	if (term->left.kind != TOKEN_NAME || term->left.size <= strlen("secstate.") ||
	    strncasecmp(term->left.start, "secstate.", strlen("secstate.")) != 0)
		return false;
	if (term->right.kind != TOKEN_NUMBER)
		return false;
	return (token_is(&term->sign, ">") && term->right.number == 0) ||
	       (token_is(&term->sign, ">=") && term->right.number == 1);
}

/* Whether the term is a counter's; then ${*ret} is lowered to where it begins. */
static bool term_count(
    const struct term *term, const char *action, const char *on_store, uint64_t *ret)
{
	const struct token *variable = &term->left;
	uint64_t value;

	if (!is_counter_test(term) || !counts_down(action, variable) ||
	    !initial_value(on_store, variable, &value))
		return false;
	if (value < *ret)
		*ret = value;
	return true;
}

bool rules_count(const char *condition, const char *action, const char *on_store, uint64_t *ret)
{
	uint64_t least = LICENSE_UNLIMITED;
	struct term terms[TERMS_MAX];
	int count;

	if (action[0] == '\0' || on_store[0] == '\0')
		return false;
	count = conjunction(condition, terms);
	for (int i = 0; i < count; i++)
		(void)term_count(&terms[i], action, on_store, &least);
	if (least == LICENSE_UNLIMITED)
		return false;
	*ret = least;
	return true;
}

/* Whether the term is a test of the time that rules_times() takes. */
static bool is_time_test(const struct term *term)
{
	return token_is(&term->left, "machine.datetime") && term->right.kind == TOKEN_DATE &&
	       (token_is(&term->sign, "<") || token_is(&term->sign, "<=") ||
		   token_is(&term->sign, ">") || token_is(&term->sign, ">="));
}

enum license_right rules_grant(
    const char *condition, const char *action, const char *on_store, uint64_t *ret)
{
	uint64_t least = LICENSE_UNLIMITED;
	enum license_right right = LICENSE_YES;
	struct term terms[TERMS_MAX];
	int count = conjunction(condition, terms);

	if (count < 0)
		return LICENSE_UNKNOWN;
	for (int i = 0; i < count; i++) {
		enum license_right one = term_right(&terms[i]);

		if (one == LICENSE_NO)
			return LICENSE_NO;
		if (one == LICENSE_UNKNOWN && !is_time_test(&terms[i]) &&
		    !term_count(&terms[i], action, on_store, &least))
			right = LICENSE_UNKNOWN;
	}
	*ret = least;
	return right;
}
