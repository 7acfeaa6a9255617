#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../memory/failing.h"
#include "../parity/kit.h"
#include "found.h"

static struct book book;

/* With damage that is mended, and with damage that is not. */
static void no_memory(void **state)
{
	const char *path = *state;

	for (int mended = 1; mended >= 0; mended--) {
		size_t n = 0, failed = 0;

		book_make(&book, 3, 12, 2, 60000);
		kit_protect(path, &book.file, mended == 1 ? 10 : 1);
		for (size_t at = 70000; at < book.file.size; at += mended == 1 ? 500000 : 70000)
			book.file.data[at] ^= 1;
		sample_write(path, BOOK_FILE, book.file.data, book.file.size);
		do {
			struct found found;
			rh_error why = {0};
			int code;

			found_new(&found, &book);
			found.unseen = true;
			failing_nth(++n);
			code = found_read(path, BOOK_FILE, true, &found, &why);
			failing_stop();
			assert_int_equal(why.code, code);
			if (code != RH_OK && (code != RH_E_MEMORY || !failing_happened()))
				fail_msg("allocation %zu: %s", n, why.text);
			if (code == RH_OK && mended == 1)
				assert_int_equal(found.wear.bytes_lost, 0);
			failed += code != RH_OK ? 1 : 0;
			found_free(&found);
		} while (failing_happened());
		assert_true(failed > 10);
		book_free(&book);
	}
}

static int setup(void **state)
{
	static char path[256];

	sample_directory(path);
	*state = path;
	return 0;
}

static int teardown(void **state)
{
	sample_directory_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(no_memory)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
