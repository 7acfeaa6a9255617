#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A growing run of bytes.  All zero is an empty buffer. */
struct buffer {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

/* Makes room for ${more} bytes behind the present ones. */
int buffer_reserve(struct buffer *buffer, size_t more, rh_error *error);
int buffer_append(struct buffer *buffer, const void *bytes, size_t size, rh_error *error);
int buffer_append_text(struct buffer *buffer, const char *text, rh_error *error);
/* Forgets the bytes and keeps the memory. */
void buffer_clear(struct buffer *buffer);
/* Forgets the first ${size} bytes and moves the rest to the front. */
void buffer_consume(struct buffer *buffer, size_t size);
/* Frees the memory; the buffer is empty and usable after it. */
void buffer_free(struct buffer *buffer);
/* The same, wiping the memory first. */
void buffer_free_secret(struct buffer *buffer);

/* Overwrites secrets in a way that the compiler keeps. */
void bytes_wipe(void *bytes, size_t size);

/* Compares in a time that depends on ${size} only. */
bool bytes_equal(const void *a, const void *b, size_t size);

void put_u16be(uint8_t *p, uint16_t v);
void put_u32be(uint8_t *p, uint32_t v);
void put_u64be(uint8_t *p, uint64_t v);
uint32_t get_u32be(const uint8_t *p);
uint64_t get_u64be(const uint8_t *p);

#endif
