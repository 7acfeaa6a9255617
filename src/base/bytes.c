#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define BUFFER_FIRST 256

int buffer_reserve(struct buffer *buffer, size_t more, rh_error *error)
{
	size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_FIRST;
	size_t needed;
	uint8_t *data;

	if (__builtin_add_overflow(buffer->size, more, &needed))
		return error_memory(error);
	if (needed <= buffer->capacity)
		return RH_OK;
	while (capacity < needed)
		if (__builtin_mul_overflow(capacity, (size_t)2, &capacity))
			return error_memory(error);

	/* Not realloc: a move must not leave a copy of what may be secret. */
	data = malloc(capacity);
	if (data == NULL)
		return error_memory(error);
	if (buffer->size > 0)
		memcpy(data, buffer->data, buffer->size);
	if (buffer->data != NULL)
		bytes_wipe(buffer->data, buffer->size);
	free(buffer->data);
	buffer->data = data;
	buffer->capacity = capacity;
	return RH_OK;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t size, rh_error *error)
{
	int code = buffer_reserve(buffer, size, error);

	if (code != RH_OK)
		return code;
	if (size > 0)
		memcpy(buffer->data + buffer->size, bytes, size);
	buffer->size += size;
	return RH_OK;
}

int buffer_append_text(struct buffer *buffer, const char *text, rh_error *error)
{
	return buffer_append(buffer, text, strlen(text), error);
}

void buffer_clear(struct buffer *buffer)
{
	buffer->size = 0;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
	buffer->size -= size;
	if (buffer->size > 0)
		memmove(buffer->data, buffer->data + size, buffer->size);
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}

void buffer_free_secret(struct buffer *buffer)
{
	if (buffer->data != NULL)
		bytes_wipe(buffer->data, buffer->capacity);
	buffer_free(buffer);
}

void bytes_wipe(void *bytes, size_t size)
{
	explicit_bzero(bytes, size);
}

bool bytes_equal(const void *a, const void *b, size_t size)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t difference = 0;

	for (size_t i = 0; i < size; i++)
		difference |= x[i] ^ y[i];
	return difference == 0;
}

void put_u16be(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void put_u32be(uint8_t *p, uint32_t v)
{
	put_u16be(p, (uint16_t)(v >> 16));
	put_u16be(p + 2, (uint16_t)v);
}

void put_u64be(uint8_t *p, uint64_t v)
{
	put_u32be(p, (uint32_t)(v >> 32));
	put_u32be(p + 4, (uint32_t)v);
}

uint32_t get_u32be(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t get_u64be(const uint8_t *p)
{
	return (uint64_t)get_u32be(p) << 32 | get_u32be(p + 4);
}
