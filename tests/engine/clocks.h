#ifndef TESTS_ENGINE_CLOCKS_H
#define TESTS_ENGINE_CLOCKS_H

#include <stdint.h>

/*
 * The clocks that the engine sees, in place of the real ones: link with
 * --wrap=clock_now, --wrap=clock_boot and --wrap=clock_boot_id.
 */
struct clocks {
	int64_t wall;
	int64_t boot;
	unsigned start; /* which start of the computer; 0: unknown */
};
extern struct clocks clocks;

/* Both clocks go on. */
void clocks_pass(int64_t seconds);

#endif
