// Errors of the contract.

#pragma once

#include "text.h"
#include "world.h"

typedef skep_plugin_types_error_t error_t;

// What a call returns that gives this error. `field` may be null; it matters for `INVALID` and `TOO_LONG` alone.
bool say(error_t *error, uint8_t kind, const char *field, const char *format, ...) __attribute__((format(printf, 4, 5)));

// What a service said, fit for a sentence: one line of at most 300 bytes, ended by a zero.
typedef struct { char at[304]; } quote_t;
quote_t quoted(const char *at, size_t length);

string_t string(text_t text);
