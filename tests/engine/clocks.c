#include <stdio.h>

#include "base/clock.h"
#include "clocks.h"

struct clocks clocks;

int64_t __wrap_clock_now(void);
int64_t __wrap_clock_boot(void);
void __wrap_clock_boot_id(char id[CLOCK_BOOT_ID_SIZE]);

int64_t __wrap_clock_now(void)
{
	return clocks.wall;
}

int64_t __wrap_clock_boot(void)
{
	return clocks.boot;
}

void __wrap_clock_boot_id(char id[CLOCK_BOOT_ID_SIZE])
{
	id[0] = '\0';
	if (clocks.start != 0)
		snprintf(
		    id, CLOCK_BOOT_ID_SIZE, "%08x-0000-4000-8000-000000000000", clocks.start);
}

void clocks_pass(int64_t seconds)
{
	clocks.wall += seconds;
	clocks.boot += seconds;
}
