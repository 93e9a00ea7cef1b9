#include "answer.h"

#include <stdlib.h>
#include <string.h>

enum { EVENT_BYTES = 1 << 20 };

static void *room(void *at, size_t bytes) {
  at = realloc(at, bytes);
  if (!at) abort();
  return at;
}

int events_take(events_t *events, text_t *data) {
  for (;;) {
    char *from = events->bytes.at + events->read;
    size_t left = events->bytes.length - events->read;
    char *end = left ? memchr(from, '\n', left) : NULL;
    if (!end) {
      // What was read makes room for what comes.
      if (left > 0) memmove(events->bytes.at, from, left);
      events->bytes.length = left, events->read = 0;
      return left + events->data.length > EVENT_BYTES ? EVENT_ENDLESS : EVENT_NONE;
    }
    size_t length = (size_t)(end - from);
    events->read += length + 1;
    if (length > 0 && from[length - 1] == '\r') length--;
    if (length == 0 && events->data.length > 0) {
      *data = events->data;
      events->data = (text_t){0};
      data->length--; // The last line's end.
      return EVENT_WHOLE;
    }
    if (length >= 5 && memcmp(from, "data:", 5) == 0) {
      size_t skip = length > 5 && from[5] == ' ' ? 6 : 5;
      put(&events->data, from + skip, length - skip);
      put_word(&events->data, "\n");
      if (events->data.length > EVENT_BYTES) return EVENT_ENDLESS;
    }
  }
}

void progress_begin(progress_t *progress, uint64_t request, uint32_t choices) {
  *progress = (progress_t){.request = request, .choices = choices};
  progress->over = calloc(choices + 1, sizeof *progress->over);
  if (!progress->over) abort();
}

static event_t *tell(progress_t *progress) {
  if (progress->next == progress->count) progress->next = progress->count = 0;
  if (progress->count == progress->told_room)
    progress->told = room(progress->told, (progress->told_room = 2 * progress->told_room + 8) * sizeof *progress->told);
  event_t *event = &progress->told[progress->count++];
  memset(event, 0, sizeof *event);
  return event;
}

static bool malformed(const char *at, size_t length, error_t *error) {
  return say(error, SKEP_PLUGIN_TYPES_ERROR_MALFORMED, NULL, "the service sent what is no answer: %s", quoted(at, length).at);
}

static bool is_word(text_t text, const char *word) {
  return text.length == strlen(word) && memcmp(text.at, word, text.length) == 0;
}

// What a service says of an error: `{"error": {"message": …}}`, `{"error": …}` or `{"message": …}`.
static bool message(json_t body, text_t *text) {
  json_t error, inner;
  if (json_member(body, "error", &error))
    return json_text(error, text) || (json_member(error, "message", &inner) && json_text(inner, text));
  return json_member(body, "message", &inner) && json_text(inner, text);
}

static bool gain(progress_t *progress, json_t choice, text_t data, error_t *error) {
  json_t value, delta;
  uint32_t index = json_member(choice, "index", &value) ? json_count(value, UINT32_MAX) : 0;
  if (*choice.at != '{' || index >= progress->choices) return malformed(data.at, data.length, error);
  text_t text = {0}, reason = {0};
  bool has_text = json_member(choice, "delta", &delta) ? json_member(delta, "content", &value) : json_member(choice, "text", &value);
  if (has_text && !json_text(value, &text) && !json_is(value, "null")) return malformed(data.at, data.length, error);
  bool is_over = json_member(choice, "finish_reason", &value) && json_text(value, &reason) && reason.length > 0;
  if (is_word(reason, "content_filter"))
    return say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "the service withheld the rest of the answer");
  if (progress->over[index] || (text.length == 0 && !is_over)) return true;
  progress->over[index] = is_over;
  event_t *event = tell(progress);
  event->tag = SKEP_PLUGIN_MODEL_TYPES_EVENT_GAINED;
  event->val.gained.request = progress->request;
  event->val.gained.choice = index;
  event->val.gained.text = string(text);
  event->val.gained.finish.is_some = is_over;
  event->val.gained.finish.val =
      is_word(reason, "length") ? SKEP_PLUGIN_MODEL_TYPES_FINISH_LENGTH : SKEP_PLUGIN_MODEL_TYPES_FINISH_STOP;
  return true;
}

static uint32_t counted(json_t object, const char *name) {
  json_t value;
  return json_member(object, name, &value) ? json_count(value, 0) : 0;
}

bool progress_take(progress_t *progress, text_t data, error_t *error) {
  if (is_word(data, "[DONE]")) return progress_end(progress, error);
  json_t chunk, value, choice, details;
  if (!json_read(data.at, data.length, &chunk) || *chunk.at != '{') return malformed(data.at, data.length, error);
  if (json_member(chunk, "error", &value) && !json_is(value, "null")) {
    text_t said = {0};
    message(chunk, &said);
    return say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "the service failed: %s", quoted(said.at, said.length).at);
  }
  if (json_member(chunk, "usage", &value) && *value.at == '{') {
    progress->usage.prompt_tokens = counted(value, "prompt_tokens");
    progress->usage.completion_tokens = counted(value, "completion_tokens");
    if (json_member(value, "prompt_tokens_details", &details)) progress->usage.cached_tokens = counted(details, "cached_tokens");
  }
  if (!json_member(chunk, "choices", &value) || json_is(value, "null")) return true;
  if (*value.at != '[') return malformed(data.at, data.length, error);
  for (bool is_there = json_first(value, &choice); is_there; is_there = json_next(value, &choice))
    if (!gain(progress, choice, data, error)) return false;
  return true;
}

bool progress_end(progress_t *progress, error_t *error) {
  for (uint32_t i = 0; i < progress->choices; i++)
    if (!progress->over[i])
      return say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "the service ended the answer before it was over");
  event_t *event = tell(progress);
  event->tag = SKEP_PLUGIN_MODEL_TYPES_EVENT_DONE;
  event->val.done.f0 = progress->request;
  event->val.done.f1 = progress->usage;
  progress->is_done = true;
  return true;
}

bool models_read(text_t body, void (*each)(text_t name, void *with), void *with, error_t *error) {
  json_t whole, list, model, id;
  if (!json_read(body.at, body.length, &whole) || !json_member(whole, "data", &list) || *list.at != '[')
    return malformed(body.at, body.length, error);
  for (bool is_there = json_first(list, &model); is_there; is_there = json_next(list, &model)) {
    text_t name = {0};
    if (!json_member(model, "id", &id) || !json_text(id, &name)) return malformed(body.at, body.length, error);
    each(name, with);
  }
  return true;
}

bool refused(uint16_t status, text_t said, text_t retry_after, error_t *error) {
  json_t body, inner, value;
  text_t words = {0}, field = {0}, code = {0};
  bool has_error = false;
  // Some say it in plain text.
  if (json_read(said.at, said.length, &body)) {
    message(body, &words);
    has_error = json_member(body, "error", &inner) && *inner.at == '{';
    if (has_error && json_member(inner, "param", &value)) json_text(value, &field);
    if (has_error && json_member(inner, "code", &value)) json_text(value, &code);
  }
  quote_t why = words.length ? quoted(words.at, words.length) : quoted(said.at, said.length);
  if (status >= 300 && status < 400)
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, "base-url", "the service is elsewhere");
  if (status == 413 || is_word(code, "context_length_exceeded"))
    return say(error, SKEP_PLUGIN_TYPES_ERROR_TOO_LONG, NULL, "the service says: %s", why.at);
  switch (status) {
  case 400:
  case 422:
    put(&field, "", 1);
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, field.length > 1 ? field.at : NULL, "the service says: %s", why.at);
  case 401:
  case 403:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_DENIED, NULL, "the service refused the key: %s", why.at);
  case 404:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, has_error ? "model" : "base-url", "the service says: %s", why.at);
  case 408:
  case 429:
  case 503: {
    quote_t when = quoted(retry_after.at, retry_after.length);
    bool is_said = retry_after.length > 0 && strspn(when.at, "0123456789") == retry_after.length;
    return say(error, SKEP_PLUGIN_TYPES_ERROR_EXHAUSTED, NULL, "the service asks to come back %s%s%s: %s", is_said ? "in " : "later",
               is_said ? when.at : "", is_said ? " s" : "", why.at);
  }
  }
  return say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "the service failed (status %u): %s", status, why.at);
}
