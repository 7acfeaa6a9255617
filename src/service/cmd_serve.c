#include <stdio.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "service/cmd.h"
#include "service/serve.h"

#define LISTEN_DEFAULT "127.0.0.1:8443"
#define CONNECTIONS_DEFAULT 512
#define PER_ADDRESS_DEFAULT 64
#define RATE_DEFAULT 50
#define TIMEOUT_DEFAULT 30

/* One line, from which programs learn the port. */
static void say_where(const char *url, const char *address)
{
	if (record_wanted())
		record_write(json_pack("{s:s,s:s}", "listening", url, "address", address));
	else
		printf("listening on %s, service address %s\n", url, address);
	fflush(stdout);
}

/* There all clients have one address, and none is a stranger's. */
static bool is_loopback(const char *place)
{
	return strncmp(place, "127.", 4) == 0 || strncmp(place, "[::1]:", 6) == 0 ||
	       strncmp(place, "localhost:", 10) == 0;
}

/* One alone: the other would be the client's word. */
static const char *proxy_header(const struct arguments *arguments)
{
	return option_given(arguments, OPTION_FORWARDED) ? "Forwarded" : "X-Forwarded-For";
}

int cmd_serve(const struct arguments *arguments)
{
	const char *const *values = arguments->values;
	const char *place =
	    values[OPTION_LISTEN] == NULL ? LISTEN_DEFAULT : values[OPTION_LISTEN];
	const bool proxy = option_given(arguments, OPTION_BEHIND_PROXY);
	const bool local = !proxy && is_loopback(place);
	const struct serve_setup setup = {.data = values[OPTION_DATA],
	    .database = values[OPTION_DATABASE],
	    .address = values[OPTION_ADDRESS],
	    .listen = place,
	    .tls_certificate = values[OPTION_TLS_CERTIFICATE],
	    .tls_key = values[OPTION_TLS_KEY],
	    .operator_name = values[OPTION_OPERATOR],
	    .privacy_contact = values[OPTION_PRIVACY_CONTACT],
	    .rehearse = values[OPTION_REHEARSE],
	    .proxy_header = proxy ? proxy_header(arguments) : NULL,
	    .connections = option_number(arguments, OPTION_CONNECTIONS, CONNECTIONS_DEFAULT),
	    .per_address = option_number(
		arguments, OPTION_PER_ADDRESS, proxy || local ? 0 : PER_ADDRESS_DEFAULT),
	    .timeout = option_number(arguments, OPTION_TIMEOUT, TIMEOUT_DEFAULT),
	    .rate = option_number(arguments, OPTION_RATE, local ? 0 : RATE_DEFAULT)};
	rh_error error;

	if (option_given(arguments, OPTION_FORWARDED) && !proxy) {
		talk_error("--forwarded needs --behind-proxy");
		return EXIT_USAGE;
	}
	return serve(&setup, say_where, &error) == RH_OK ? EXIT_DONE : cmd_refuse(&error);
}
