#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/listen.h"

#define WAITING_MAX 512 /* connections that the kernel keeps until they are accepted */

static int split(const char *place, char host[256], char port[8], rh_error *error)
{
	const char *colon = strrchr(place, ':');
	const char *first = place, *end = colon;

	if (colon != NULL && place[0] == '[' && colon > place && colon[-1] == ']') {
		first = place + 1;
		end = colon - 1;
	} else if (colon != NULL && memchr(place, ':', (size_t)(colon - place)) != NULL) {
		colon = NULL;
	}
	if (colon == NULL || end == first || end - first > 255 || colon[1] == '\0' ||
	    strlen(colon + 1) > 5 || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strtoul(colon + 1, NULL, 10) > UINT16_MAX)
		return error_set(error, RH_E_ARGUMENT,
		    "not a place to listen at, as in 127.0.0.1:8443 or [::1]:8443: %.200s",
		    place);
	snprintf(host, 256, "%.*s", (int)(end - first), first);
	snprintf(port, 8, "%s", colon + 1);
	return RH_OK;
}

/* What it listens at, now that the kernel chose the port. */
static void describe(int fd, struct listening *ret)
{
	struct sockaddr_storage address = {0};
	const struct sockaddr_in *four = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;
	socklen_t size = sizeof address;
	char host[INET6_ADDRSTRLEN] = "";

	getsockname(fd, (struct sockaddr *)&address, &size);
	if (address.ss_family == AF_INET) {
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
		snprintf(ret->name, LISTEN_TEXT, "%s:%u", host, ntohs(four->sin_port));
		ret->loopback = ntohl(four->sin_addr.s_addr) >> 24 == 127;
	} else {
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
		snprintf(ret->name, LISTEN_TEXT, "[%s]:%u", host, ntohs(six->sin6_port));
		ret->loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
	}
}

static int listen_on(const struct addrinfo *info)
{
	const int on = 1, off = 0;
	int saved;
	int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    info->ai_protocol);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, WAITING_MAX) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int listen_at(const char *place, struct listening *ret, rh_error *error)
{
	const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	char host[256], port[8];
	int code, result, fd = -1;

	code = split(place, host, port, error);
	if (code != RH_OK)
		return code;
	result = getaddrinfo(host, port, &hints, &list);
	if (result != 0)
		return error_set(error, RH_E_OPEN, "cannot listen at %.200s: %s", place,
		    gai_strerror(result));
	for (const struct addrinfo *info = list; info != NULL && fd < 0; info = info->ai_next)
		fd = listen_on(info);
	freeaddrinfo(list);
	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot listen at %.200s", place);
	ret->fd = fd;
	describe(fd, ret);
	return RH_OK;
}
