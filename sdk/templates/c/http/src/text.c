#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

void put(text_t *text, const void *bytes, size_t length) {
  if (length > text->room - text->length) {
    size_t room = 2 * text->room + length + 64;
    char *at = realloc(text->at, room);
    if (!at || room < length) abort();
    text->at = at, text->room = room;
  }
  if (length > 0) memcpy(text->at + text->length, bytes, length);
  text->length += length;
}

void put_word(text_t *text, const char *word) {
  put(text, word, strlen(word));
}

void put_format(text_t *text, const char *format, ...) {
  char buffer[512];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(buffer, sizeof buffer, format, values);
  va_end(values);
  if (length > 0) put(text, buffer, (size_t)length < sizeof buffer ? (size_t)length : sizeof buffer - 1);
}

void put_json(text_t *text, const void *bytes, size_t length) {
  const unsigned char *at = bytes;
  put_word(text, "\"");
  for (size_t i = 0; i < length; i++) {
    if (at[i] < 0x20) put_format(text, "\\u%04x", at[i]);
    else {
      if (at[i] == '"' || at[i] == '\\') put_word(text, "\\");
      put(text, &at[i], 1);
    }
  }
  put_word(text, "\"");
}

static bool is_utf8(const unsigned char *at, size_t length) {
  for (size_t i = 0; i < length;) {
    unsigned char first = at[i++];
    if (first < 0x80) continue;
    int more = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
    if (more == 0 || (size_t)more > length - i) return false;
    unsigned char second = at[i];
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f))
      return false;
    for (; more > 0; more--)
      if ((at[i++] & 0xc0) != 0x80) return false;
  }
  return true;
}

static const char *blank(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

static int hex(const char *at) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = at[i] >= '0' && at[i] <= '9'   ? at[i] - '0'
                : at[i] >= 'a' && at[i] <= 'f' ? at[i] - 'a' + 10
                : at[i] >= 'A' && at[i] <= 'F' ? at[i] - 'A' + 10
                                               : -1;
    if (digit < 0) return -1;
    value = 16 * value + digit;
  }
  return value;
}

static const char *pass_string(const char *at, const char *end) {
  for (at++; at < end; at++) {
    if (*at == '"') return at + 1;
    if ((unsigned char)*at < 0x20) return NULL;
    if (*at != '\\') continue;
    if (++at == end || !strchr("\"\\/bfnrtu", *at) || *at == 0) return NULL;
    if (*at == 'u') {
      if (end - at < 5 || hex(at + 1) < 0) return NULL;
      at += 4;
    }
  }
  return NULL;
}

static const char *pass_digits(const char *at, const char *end) {
  const char *first = at;
  while (at < end && *at >= '0' && *at <= '9') at++;
  return at == first ? NULL : at;
}

static const char *pass_number(const char *at, const char *end) {
  if (at < end && *at == '-') at++;
  at = at < end && *at == '0' ? at + 1 : pass_digits(at, end);
  if (at && at < end && *at == '.') at = pass_digits(at + 1, end);
  if (at && at < end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < end && (*at == '+' || *at == '-')) at++;
    at = pass_digits(at, end);
  }
  return at;
}

// Where a value ends; null when it is none.
static const char *pass(const char *at, const char *end, int depth) {
  at = blank(at, end);
  if (at == end || depth > DEPTH_MAX) return NULL;
  if (*at == '"') return pass_string(at, end);
  if (*at == '{' || *at == '[') {
    bool is_object = *at == '{';
    char close = is_object ? '}' : ']';
    at = blank(at + 1, end);
    if (at < end && *at == close) return at + 1;
    for (;;) {
      if (is_object) {
        at = blank(at, end);
        if (at == end || *at != '"' || !(at = pass_string(at, end))) return NULL;
        at = blank(at, end);
        if (at == end || *at++ != ':') return NULL;
      }
      if (!(at = pass(at, end, depth + 1))) return NULL;
      at = blank(at, end);
      if (at == end) return NULL;
      if (*at == close) return at + 1;
      if (*at++ != ',') return NULL;
    }
  }
  for (const char *const *word = (const char *const[]){"true", "false", "null", NULL}; *word; word++)
    if ((size_t)(end - at) >= strlen(*word) && memcmp(at, *word, strlen(*word)) == 0) return at + strlen(*word);
  return pass_number(at, end);
}

bool json_read(const char *at, size_t length, json_t *value) {
  const char *end = at + length;
  if (!is_utf8((const unsigned char *)at, length)) return false;
  const char *after = pass(at, end, 0);
  if (!after || blank(after, end) != end) return false;
  *value = (json_t){blank(at, end), after};
  return true;
}

bool json_member(json_t object, const char *name, json_t *value) {
  if (*object.at != '{') return false;
  const char *at = blank(object.at + 1, object.end);
  while (*at == '"') {
    const char *after = pass_string(at, object.end);
    size_t length = (size_t)(after - at) - 2;
    bool is_it = length == strlen(name) && memcmp(at + 1, name, length) == 0;
    at = blank(blank(after, object.end) + 1, object.end);
    after = pass(at, object.end, 0);
    if (is_it) {
      *value = (json_t){at, after};
      return true;
    }
    at = blank(blank(after, object.end) + 1, object.end);
  }
  return false;
}

static bool item_at(json_t array, const char *at, json_t *item) {
  at = blank(at, array.end);
  if (at >= array.end || *at == ']') return false;
  *item = (json_t){at, pass(at, array.end, 0)};
  return true;
}

bool json_first(json_t array, json_t *item) {
  return *array.at == '[' && item_at(array, array.at + 1, item);
}

bool json_next(json_t array, json_t *item) {
  const char *at = blank(item->end, array.end);
  return at < array.end && *at == ',' && item_at(array, at + 1, item);
}

bool json_is(json_t value, const char *word) {
  size_t length = (size_t)(value.end - value.at);
  return length == strlen(word) && memcmp(value.at, word, length) == 0;
}

bool json_is_text(json_t value) {
  return *value.at == '"';
}

static void put_character(text_t *text, int code) {
  char bytes[4];
  size_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = count - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
  bytes[0] = (char)(first[count] | code);
  put(text, bytes, count);
}

bool json_text(json_t value, text_t *text) {
  if (!json_is_text(value)) return false;
  for (const char *at = value.at + 1; at < value.end - 1; at++) {
    if (*at != '\\') {
      put(text, at, 1);
      continue;
    }
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *named = strchr(names, *++at);
    if (named && *at) put(text, &meant[named - names], 1);
    else if (*at != 'u') put(text, at, 1);
    else {
      int code = hex(at + 1);
      at += 4;
      bool is_pair = code >= 0xd800 && code < 0xdc00 && value.end - at > 6 && at[1] == '\\' && at[2] == 'u';
      int low = is_pair ? hex(at + 3) : -1;
      if (low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      } else if (code >= 0xd800 && code < 0xe000) {
        code = 0xfffd; // Half of a pair is no character.
      }
      put_character(text, code);
    }
  }
  return true;
}

uint32_t json_count(json_t value, uint32_t otherwise) {
  uint64_t count = 0;
  if (value.end - value.at > 10) return otherwise;
  for (const char *at = value.at; at < value.end; at++) {
    if (*at < '0' || *at > '9') return otherwise;
    count = 10 * count + (uint64_t)(*at - '0');
  }
  return count > UINT32_MAX ? otherwise : (uint32_t)count;
}
