// A small client over `wasi:http`. The host connects to nobody whom the operator did not grant, puts secrets in, and limits time and
// size. Each call has an instance of its own, with which all goes that it has taken.

#pragma once

#include "say.h"

typedef struct { string_t name, value; } header_t;

typedef struct {
  uint16_t status;
  text_t retry_after;
  wasi_http_types_own_incoming_body_t body;
  wasi_io_streams_own_input_stream_t stream;
} answer_t;

enum { MORE, END, FAILED };

string_t word(const char *text);

// A setting's value; false when it is not set.
bool setting(settings_t *settings, const char *name, string_t *value);

// What stands for a secret in a header: the host puts its text there, and no plugin ever sees it.
bool secret(string_t name, const char *prefix, string_t *value, error_t *error);

// Sends a request with a body, or without one.
bool send(bool is_post, string_t url, header_t *headers, size_t count, text_t body, answer_t *answer, error_t *error);

// Adds the next piece of an answer's body to a text: `MORE`, `END` or `FAILED`.
int read_more(answer_t *answer, text_t *text, error_t *error);
