#ifndef FUZZ_LICENSE_RECORD_H
#define FUZZ_LICENSE_RECORD_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Reads the bytes with one reader, with detection, and with no error to fill in; aborts if
 * the results differ or a record is not what license.h promises.
 */
void record_read(const uint8_t *data, size_t size, const char *format);

#endif
