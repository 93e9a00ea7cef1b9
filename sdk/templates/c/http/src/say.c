#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

string_t string(text_t text) {
  return (string_t){(uint8_t *)text.at, text.length};
}

bool say(error_t *error, uint8_t kind, const char *field, const char *format, ...) {
  char buffer[768];
  va_list values;
  va_start(values, format);
  vsnprintf(buffer, sizeof buffer, format, values);
  va_end(values);
  text_t words = {0};
  put_word(&words, buffer);
  error->tag = kind;
  if (kind > SKEP_PLUGIN_TYPES_ERROR_TOO_LONG) {
    error->val.other = string(words);
    return false;
  }
  error->val.invalid.message = string(words);
  error->val.invalid.field.is_some = field != NULL;
  if (field) {
    text_t name = {0};
    put_word(&name, field);
    error->val.invalid.field.val = string(name);
  }
  return false;
}

quote_t quoted(const char *at, size_t length) {
  quote_t quote = {0};
  size_t said = 0;
  for (size_t i = 0; i < length && said < 300; i++) {
    unsigned char byte = (unsigned char)at[i];
    // What is no plain letter may be half of one.
    quote.at[said++] = byte < 0x20 || byte == 0x7f ? ' ' : byte < 0x80 ? (char)byte : '?';
  }
  if (said == 0) strcpy(quote.at, "nothing");
  return quote;
}
