#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../memory/failing.h"
#include "../sample.h"
#include "patient.h"

/* Every allocation of a repair fails in turn: RH_E_MEMORY, and nothing is worse. */

static int repair(struct patient *patient, bool to, rh_error *error)
{
	struct backup_state told;

	return patient_repair(patient, to ? patient->to : NULL, NULL, &told, error);
}

static void no_memory(void **state)
{
	struct patient *patient = *state;

	for (int to = 0; to <= 1; to++) {
		size_t n = 0, failed = 0;
		bool happened;

		do {
			rh_error why = {0};
			int code;

			sample_directory_remove(patient->to);
			sample_directory(patient->to);
			patient_fall_ill(patient, n % 2 == 1);
			sample_write(patient->damage.path, RECOVERY_FILE, "key", 3);
			failing_nth(++n);
			code = repair(patient, to == 1, &why);
			failing_stop();
			happened = failing_happened();
			if (code != RH_OK && (code != RH_E_MEMORY || !happened))
				fail_msg("allocation %zu: %s", n, why.text);
			failed += code != RH_OK ? 1 : 0;
			if (code == RH_OK) {
				patient_expect_whole(
				    patient, to == 1 ? patient->to : patient->damage.path);
			} else if (to == 1) {
				patient_expect_untouched(patient);
				assert_false(sample_exists(patient->to, KIT_FILE));
				assert_false(sample_exists(patient->to, KIT_PARITY));
			} else {
				patient_expect_no_worse(patient);
			}
		} while (happened);
		assert_true(failed >= 15);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(no_memory, patient_setup, patient_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
