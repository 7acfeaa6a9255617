#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>

#include "cli/interrupt.h"

#define WAIT_MS 100

static volatile sig_atomic_t asked;

static void on_signal(int number)
{
	(void)number;
	asked = 1;
}

void interrupt_start(void)
{
	struct sigaction action = {
	    .sa_handler = on_signal, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int interrupt_asked(void *context)
{
	(void)context;
	return asked;
}

int interrupt_wait_readable(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	while (!asked) {
		int ready = poll(&wait, 1, WAIT_MS);

		if (ready > 0 || (ready < 0 && errno != EINTR))
			return 1;
	}
	return 0;
}
