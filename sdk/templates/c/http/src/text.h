// Text that grows, and JSON: written into such a text, and read where it lies.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct { char *at; size_t length, room; } text_t;

// Ends the call when there is no memory.
void put(text_t *text, const void *bytes, size_t length);
void put_word(text_t *text, const char *word);
void put_format(text_t *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
// As JSON writes a string, with its quotes.
void put_json(text_t *text, const void *bytes, size_t length);

// A value somewhere in a JSON text that `json_read` has found to be right.
typedef struct { const char *at, *end; } json_t;

// The one value of a text; false when it is none, is no UTF-8, or is too deep.
bool json_read(const char *at, size_t length, json_t *value);
// A member of an object; false for what is none or has no such member.
bool json_member(json_t object, const char *name, json_t *value);
// The first item of an array, and the one after an item; false when there is none.
bool json_first(json_t array, json_t *item);
bool json_next(json_t array, json_t *item);
bool json_is(json_t value, const char *word);
bool json_is_text(json_t value);
// What a string says; false for what is none.
bool json_text(json_t value, text_t *text);
// A whole number; `otherwise` for what is none or is out of bounds.
uint32_t json_count(json_t value, uint32_t otherwise);
