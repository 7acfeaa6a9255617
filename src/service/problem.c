#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "service/problem.h"

/* Words in the order of enum language. */
struct words {
	const char *title[2];
	const char *detail[2];
};

struct row {
	int status;
	const char *code;
	struct words words;
};

static const struct row rows[PROBLEM_COUNT] = {
    [PROBLEM_NONE] = {200, "", {{"", ""}, {"", ""}}},

    [PROBLEM_NOT_FOUND] = {404, "not-found",
	{{"There is nothing at this address.", "Unter dieser Adresse gibt es nichts."},
	    {"Check the address.", "Bitte prüfen Sie die Adresse."}}},
    [PROBLEM_METHOD] = {405, "method-not-allowed",
	{{"This address does not take this method.",
	     "Diese Adresse lässt diese Methode nicht zu."},
	    {"The header Allow lists the methods that it takes.",
		"Die Kopfzeile Allow nennt die erlaubten Methoden."}}},
    [PROBLEM_TOO_LARGE] = {413, "message-too-large",
	{{"The request is too large.", "Die Anfrage ist zu groß."},
	    {"Send fewer licences in each request.",
		"Bitte senden Sie weniger Lizenzen je Anfrage."}}},
    [PROBLEM_MALFORMED] = {400, "message-malformed",
	{{"The request is malformed.", "Die Anfrage ist fehlerhaft aufgebaut."},
	    {"Check whether a newer version of the program is available.",
		"Bitte prüfen Sie, ob es eine neuere Fassung des Programms gibt."}}},
    [PROBLEM_TOO_MANY] = {429, "too-many-requests",
	{{"There were too many requests in a short time.",
	     "Es kamen zu viele Anfragen in kurzer Zeit."},
	    {"Wait a little and try again.",
		"Bitte warten Sie etwas und versuchen Sie es erneut."}}},
    [PROBLEM_BUSY] = {503, "busy",
	{{"The service is busy.", "Der Dienst ist ausgelastet."},
	    {"Try again in a few seconds.",
		"Bitte versuchen Sie es in einigen Sekunden erneut."}}},
    [PROBLEM_UNAVAILABLE] = {503, "unavailable",
	{{"The service is not available at the moment.",
	     "Der Dienst ist zurzeit nicht verfügbar."},
	    {"Try again later. Nothing is charged twice.",
		"Bitte versuchen Sie es später erneut. Nichts wird doppelt gezählt."}}},

    [PROBLEM_PROOF_MISSING] = {401, "proof-missing",
	{{"The request is not signed.", "Die Anfrage ist nicht signiert."},
	    {"Sign the request with the computer's key for this service.",
		"Bitte signieren Sie die Anfrage mit dem Schlüssel des Computers für diesen "
		"Dienst."}}},
    [PROBLEM_PROOF_MALFORMED] = {401, "proof-malformed",
	{{"The signature of the request is malformed.",
	     "Die Signatur der Anfrage ist fehlerhaft aufgebaut."},
	    {"Check whether a newer version of the program is available.",
		"Bitte prüfen Sie, ob es eine neuere Fassung des Programms gibt."}}},
    [PROBLEM_PROOF_SIGNATURE] = {401, "proof-signature",
	{{"The signature of the request is not valid.",
	     "Die Signatur der Anfrage ist ungültig."},
	    {"Sign the request again with the computer's key for this service.",
		"Bitte signieren Sie die Anfrage erneut mit dem Schlüssel des Computers für "
		"diesen Dienst."}}},
    [PROBLEM_PROOF_AUDIENCE] = {401, "proof-audience",
	{{"The request was signed for another address.",
	     "Die Anfrage wurde für eine andere Adresse signiert."},
	    {"Sign the request for the address that it is sent to.",
		"Bitte signieren Sie die Anfrage für die Adresse, an die sie geht."}}},
    [PROBLEM_PROOF_BODY] = {401, "proof-body",
	{{"The signature belongs to another request.",
	     "Die Signatur gehört zu einer anderen Anfrage."},
	    {"Sign each request by itself.", "Bitte signieren Sie jede Anfrage für sich."}}},
    [PROBLEM_PROOF_STALE] = {401, "proof-stale",
	{{"The time of the signature is too far from the service's time.",
	     "Die Zeit der Signatur weicht zu stark von der Zeit des Dienstes ab."},
	    {"Check the computer's clock and try again.",
		"Bitte prüfen Sie die Uhr des Computers und versuchen Sie es erneut."}}},
    [PROBLEM_NONCE_UNKNOWN] = {401, "nonce-unknown",
	{{"The nonce of the request is unknown or too old.",
	     "Die Nonce der Anfrage ist unbekannt oder zu alt."},
	    {"Sign the request again with the nonce of this reply.",
		"Bitte signieren Sie die Anfrage erneut mit der Nonce dieser Antwort."}}},
    [PROBLEM_NONCE_USED] = {401, "nonce-used",
	{{"The nonce of the request was used before.",
	     "Die Nonce der Anfrage wurde schon verwendet."},
	    {"Sign the request again with the nonce of this reply.",
		"Bitte signieren Sie die Anfrage erneut mit der Nonce dieser Antwort."}}},
    [PROBLEM_CERTIFICATE_MISSING] = {401, "certificate-missing",
	{{"This computer does not show a certificate of this service.",
	     "Dieser Computer legt kein Zertifikat dieses Dienstes vor."},
	    {"Individualize the computer first.",
		"Bitte individualisieren Sie den Computer zuerst."}}},
    [PROBLEM_CERTIFICATE_INVALID] = {401, "certificate-invalid",
	{{"The certificate is not one of this service for this computer.",
	     "Das Zertifikat stammt nicht von diesem Dienst oder gehört einem anderen "
	     "Computer."},
	    {"Individualize the computer again.",
		"Bitte individualisieren Sie den Computer erneut."}}},
    [PROBLEM_CLAIM] = {400, "claim-invalid",
	{{"A statement in the request does not prove what it says.",
	     "Eine Erklärung in der Anfrage beweist nicht, was sie besagt."},
	    {"Use a backup that was made for this service, unaltered.",
		"Bitte verwenden Sie eine unveränderte Sicherung, die für diesen Dienst "
		"angelegt wurde."}}},
    [PROBLEM_IDEMPOTENCY] = {409, "idempotency-conflict",
	{{"The idempotency key belongs to another request.",
	     "Der Idempotenzschlüssel gehört zu einer anderen Anfrage."},
	    {"Choose a new key for a new request.",
		"Bitte wählen Sie für eine neue Anfrage einen neuen Schlüssel."}}},
    [PROBLEM_ROLLED_BACK] = {409, "ledger-rolled-back",
	{{"The service's ledger was put back to an old copy.",
	     "Das Verzeichnis des Dienstes wurde auf einen alten Stand zurückgesetzt."},
	    {"Nothing changes until the operator has resolved it. Try again later.",
		"Es wird nichts geändert, bis der Betreiber dies geklärt hat. Bitte versuchen "
		"Sie es später erneut."}}},
    [PROBLEM_RELEASE_UNKNOWN] = {404, "release-unknown",
	{{"No such computer can be released here.",
	     "Ein solcher Computer kann hier nicht freigegeben werden."},
	    {"Check the name of the computer, and that the backup is one of its owner.",
		"Bitte prüfen Sie den Namen des Computers und ob die Sicherung von seinem "
		"Besitzer stammt."}}},
    [PROBLEM_RELEASE_PROOF] = {403, "release-proof",
	{{"The release was not asked for by the computer's owner.",
	     "Die Freigabe wurde nicht vom Besitzer des Computers verlangt."},
	    {"Use the recovery key of the computer's owner.",
		"Bitte verwenden Sie den Wiederherstellungsschlüssel des Besitzers."}}},
    [PROBLEM_KEY] = {422, "key-invalid",
	{{"The key of the backup does not open here.",
	     "Der Schlüssel der Sicherung lässt sich hier nicht öffnen."},
	    {"Use a backup that was made for this service, or ask its operator.",
		"Bitte verwenden Sie eine Sicherung, die für diesen Dienst angelegt wurde, "
		"oder "
		"fragen Sie den Betreiber."}}},
    [PROBLEM_UNAUTHORIZED] = {401, "unauthorized",
	{{"Administration needs a valid token.",
	     "Für die Verwaltung ist ein gültiges Token nötig."},
	    {"Send a token that has not expired in the header Authorization.",
		"Bitte senden Sie ein nicht abgelaufenes Token in der Kopfzeile "
		"Authorization."}}},
    [PROBLEM_FORBIDDEN] = {403, "forbidden",
	{{"The token does not allow this.", "Das Token erlaubt dies nicht."},
	    {"Use a token with the needed scope.",
		"Bitte verwenden Sie ein Token mit der nötigen Berechtigung."}}},

    [PROBLEM_LICENSE_MALFORMED] = {422, "license-malformed",
	{{"The licence is malformed.", "Die Lizenz ist fehlerhaft aufgebaut."},
	    {"Ask the issuer of the licence.", "Bitte fragen Sie den Aussteller der Lizenz."}}},
    [PROBLEM_LICENSE_ISSUER] = {422, "license-issuer",
	{{"This service does not manage licences of this issuer.",
	     "Dieser Dienst verwaltet keine Lizenzen dieses Ausstellers."},
	    {"Ask the issuer of the licence which service manages it.",
		"Bitte fragen Sie den Aussteller der Lizenz, welcher Dienst sie verwaltet."}}},
    [PROBLEM_LICENSE_SIGNATURE] = {422, "license-signature",
	{{"The issuer's signature does not fit the licence.",
	     "Die Signatur des Ausstellers passt nicht zur Lizenz."},
	    {"The licence was altered. Use an earlier backup, or ask its issuer.",
		"Die Lizenz wurde verändert. Bitte verwenden Sie eine frühere Sicherung oder "
		"fragen Sie den Aussteller."}}},
    [PROBLEM_LICENSE_SERVICE] = {422, "license-service",
	{{"The licence is not managed by this service.",
	     "Die Lizenz wird nicht von diesem Dienst verwaltet."},
	    {"Turn to the service that the licence names.",
		"Bitte wenden Sie sich an den Dienst, den die Lizenz nennt."}}},
    [PROBLEM_LICENSE_BACKUP] = {422, "license-backup",
	{{"The licence may not be restored on other computers.",
	     "Die Lizenz darf nicht auf anderen Computern wiederhergestellt werden."},
	    {"Ask the issuer of the licence for a new one.",
		"Bitte fragen Sie den Aussteller nach einer neuen Lizenz."}}},
    [PROBLEM_LICENSE_SECRET] = {422, "license-secret",
	{{"The secret of the licence does not open.",
	     "Das Geheimnis der Lizenz lässt sich nicht öffnen."},
	    {"Use another backup, or ask the issuer of the licence for a new one.",
		"Bitte verwenden Sie eine andere Sicherung oder fragen Sie den Aussteller nach "
		"einer neuen Lizenz."}}},
    [PROBLEM_LICENSE_BLOCKED] = {403, "license-blocked",
	{{"The licence is blocked.", "Die Lizenz ist gesperrt."},
	    {"Ask the issuer of the licence.", "Bitte fragen Sie den Aussteller der Lizenz."}}},
    [PROBLEM_LICENSE_RELEASED] = {403, "license-released",
	{{"This computer no longer holds the licence.",
	     "Dieser Computer hat die Lizenz nicht mehr."},
	    {"Restore the licence again to use it here.",
		"Bitte stellen Sie die Lizenz erneut wieder her, um sie hier zu benutzen."}}},
    [PROBLEM_LICENSE_TWICE] = {422, "license-twice",
	{{"The licence stands in the request twice.",
	     "Die Lizenz steht doppelt in der Anfrage."},
	    {"Send each licence once.", "Bitte senden Sie jede Lizenz nur einmal."}}},
    [PROBLEM_LIMIT] = {403, "limit-reached",
	{{"The licence is on as many computers as it may be.",
	     "Die Lizenz ist schon auf so vielen Computern, wie erlaubt sind."},
	    {"Release a computer that is no longer used, or ask the issuer.",
		"Bitte geben Sie einen Computer frei, der nicht mehr benutzt wird, oder fragen "
		"Sie den Aussteller."}}},
    [PROBLEM_PERIOD] = {403, "period-limit-reached",
	{{"The licence came to as many new computers as it may in this period.",
	     "Die Lizenz kam in diesem Zeitraum schon auf so viele neue Computer, wie erlaubt "
	     "sind."},
	    {"Wait until the period is over, or ask the issuer.",
		"Bitte warten Sie, bis der Zeitraum vorüber ist, oder fragen Sie den "
		"Aussteller."}}},
    [PROBLEM_COOLDOWN] = {403, "cooldown",
	{{"The licence came to a new computer only a short time ago.",
	     "Die Lizenz kam erst vor kurzer Zeit auf einen neuen Computer."},
	    {"Wait until the waiting time is over, or ask the issuer.",
		"Bitte warten Sie, bis die Wartezeit vorüber ist, oder fragen Sie den "
		"Aussteller."}}},
};

static const struct row *row_of(enum problem problem)
{
	if ((unsigned)problem >= PROBLEM_COUNT || rows[problem].code == NULL)
		problem = PROBLEM_UNAVAILABLE;
	return &rows[problem];
}

int problem_status(enum problem problem)
{
	return row_of(problem)->status;
}

const char *problem_code(enum problem problem)
{
	return row_of(problem)->code;
}

const char *problem_title(enum problem problem, enum language language)
{
	return row_of(problem)->words.title[language == LANGUAGE_GERMAN];
}

const char *problem_detail(enum problem problem, enum language language)
{
	return row_of(problem)->words.detail[language == LANGUAGE_GERMAN];
}

/* ---- Accept-Language ---- */

static const char *skip_space(const char *p)
{
	return p + strspn(p, " \t");
}

/* A weight in thousandths (RFC 9110, section 12.4.2); one that is malformed counts as 0. */
static int weight(const char *p, const char *end)
{
	int value, scale = 100;

	if (p == end || (*p != '0' && *p != '1'))
		return 0;
	value = (*p++ - '0') * 1000;
	if (p < end && *p == '.')
		p++;
	for (; p < end && *p >= '0' && *p <= '9' && scale > 0; p++, scale /= 10)
		value += (*p - '0') * scale;
	p += strspn(p, " \t");
	return p < end || value > 1000 ? 0 : value;
}

struct preference {
	int weight; /* in thousandths */
	bool named; /* not by "*" alone */
	const char *place; /* in the header; NULL: not found */
};

/* Whether ${range} is ${tag} or begins with it and "-". */
static bool speaks(const char *range, size_t length, const char *tag)
{
	const size_t size = strlen(tag);

	return length >= size && strncasecmp(range, tag, size) == 0 &&
	       (length == size || range[size] == '-');
}

/* "de-AT" and "de-CH" are both German: the better of the two counts; a name beats "*". */
static void offer(struct preference *preference, int value, bool named, const char *place)
{
	if (preference->place != NULL && !named && preference->named)
		return;
	if (preference->place != NULL && named == preference->named &&
	    value <= preference->weight)
		return;
	*preference = (struct preference){value, named, place};
}

enum language language_pick(const char *accept)
{
	struct preference english = {0}, german = {0};

	for (const char *p = accept; p != NULL && *p != '\0';) {
		const char *range = skip_space(p);
		const char *end = range + strcspn(range, ",");
		size_t length = strcspn(range, " \t,;");
		const char *parameter = skip_space(range + length);
		int value = 1000;

		if (*parameter == ';') {
			parameter = skip_space(parameter + 1);
			value = (*parameter | 0x20) == 'q' && parameter[1] == '='
				    ? weight(parameter + 2, end)
				    : 0;
		}
		if (length == 1 && *range == '*') {
			offer(&english, value, false, range);
			offer(&german, value, false, range);
		} else if (speaks(range, length, "en")) {
			offer(&english, value, true, range);
		} else if (speaks(range, length, "de")) {
			offer(&german, value, true, range);
		}
		p = *end == ',' ? end + 1 : end;
	}
	/* People list the better one first, weights or not. */
	if (german.weight == english.weight && german.weight > 0)
		return german.named && (!english.named || german.place < english.place)
			   ? LANGUAGE_GERMAN
			   : LANGUAGE_ENGLISH;
	return german.weight > english.weight ? LANGUAGE_GERMAN : LANGUAGE_ENGLISH;
}
