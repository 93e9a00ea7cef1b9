#include "echo.h"

#include <stdlib.h>
#include <string.h>

typedef struct { char *at; size_t length; } text_t;

typedef struct request {
  struct request *next;
  uint64_t id;
  usage_t usage;
  bool started, cancelled, embeds;
  // What is still to be said: `text` from `said` on, which is so many words.
  text_t text;
  size_t said;
  uint32_t words;
  // The lengths of what is embedded.
  float *lengths;
  uint32_t count;
} request_t;

void *take(size_t bytes) {
  void *at = calloc(1, bytes ? bytes : 1);
  if (!at) abort();
  return at;
}

static void add(text_t *text, const void *bytes, size_t length) {
  text->at = realloc(text->at, text->length + length + 1);
  if (!text->at) abort();
  memcpy(text->at + text->length, bytes, length);
  text->length += length;
}

// What a prompt says: of a chat, its last message.
static text_t said_in(const prompt_t *prompt) {
  text_t text = {0};
  add(&text, "", 0);
  if (prompt->tag == SKEP_PLUGIN_MODEL_TYPES_PROMPT_TEXT) {
    add(&text, prompt->val.text.ptr, prompt->val.text.len);
  } else if (prompt->tag == SKEP_PLUGIN_MODEL_TYPES_PROMPT_CHAT) {
    size_t count = prompt->val.chat.len;
    if (count > 0) add(&text, prompt->val.chat.ptr[count - 1].content.ptr, prompt->val.chat.ptr[count - 1].content.len);
  } else {
    for (size_t i = 0; i < prompt->val.tokens.len; i++) {
      char digits[12];
      size_t at = sizeof digits;
      digits[--at] = ' ';
      uint32_t token = prompt->val.tokens.ptr[i];
      do digits[--at] = (char)('0' + token % 10);
      while (token /= 10);
      add(&text, digits + at, sizeof digits - at);
    }
  }
  return text;
}

// How long the word is that begins here, the space after it included.
static size_t word_at(const text_t *text, size_t at) {
  size_t end = at;
  while (end < text->length && text->at[end] != ' ') end++;
  return end - at + (end < text->length);
}

static void forget(request_t **place) {
  request_t *request = *place;
  *place = request->next;
  free(request->text.at);
  free(request->lengths);
  free(request);
}

static event_t *tell(events_t *events, uint8_t tag) {
  events->ptr = realloc(events->ptr, (events->len + 1) * sizeof *events->ptr);
  if (!events->ptr) abort();
  event_t *event = &events->ptr[events->len++];
  memset(event, 0, sizeof *event);
  event->tag = tag;
  return event;
}

void echo_submit(echo_t *echo, uint64_t id, const work_t *work) {
  request_t *request = take(sizeof *request);
  request->id = id;
  if (work->tag == SKEP_PLUGIN_MODEL_TYPES_WORK_GENERATE) {
    const skep_plugin_model_types_generation_t *it = &work->val.generate;
    request->text = said_in(&it->prompt);
    for (size_t at = 0; at < request->text.length; at += word_at(&request->text, at)) request->usage.prompt_tokens++;
    request->words = request->usage.prompt_tokens;
    if (it->max_tokens.is_some && it->max_tokens.val < request->words) request->words = it->max_tokens.val;
    // A word is one token, named after how many follow it; what another instance said is said.
    size_t there = it->continued.len > 0 ? it->continued.ptr[0].tokens.len : 0;
    for (; request->usage.completion_tokens < there && request->words > 0; request->words--) {
      request->said += word_at(&request->text, request->said);
      request->usage.completion_tokens++;
    }
  } else {
    request->embeds = true;
    request->count = request->usage.prompt_tokens = (uint32_t)work->val.embed.inputs.len;
    request->lengths = take(request->count * sizeof *request->lengths);
    for (uint32_t i = 0; i < request->count; i++) {
      text_t text = said_in(&work->val.embed.inputs.ptr[i]);
      request->lengths[i] = (float)text.length;
      free(text.at);
    }
  }
  request_t **last = &echo->first;
  while (*last) last = &(*last)->next;
  *last = request;
}

void echo_cancel(echo_t *echo, uint64_t id) {
  for (request_t *request = echo->first; request; request = request->next)
    if (request->id == id) request->cancelled = true;
}

// One word; whether there are more.
static bool speak(request_t *request, events_t *events) {
  if (!request->started) {
    event_t *started = tell(events, SKEP_PLUGIN_MODEL_TYPES_EVENT_STARTED);
    started->val.started.f0 = request->id;
    started->val.started.f1 = request->usage;
    request->started = true;
  }
  event_t *gained = tell(events, SKEP_PLUGIN_MODEL_TYPES_EVENT_GAINED);
  gained->val.gained.request = request->id;
  if (request->words > 0) {
    size_t length = word_at(&request->text, request->said);
    uint8_t *word = take(length);
    memcpy(word, request->text.at + request->said, length);
    gained->val.gained.text.ptr = word, gained->val.gained.text.len = length;
    request->said += length;
    uint32_t *token = take(sizeof *token);
    *token = --request->words;
    gained->val.gained.tokens.ptr = token, gained->val.gained.tokens.len = 1;
    request->usage.completion_tokens++;
  }
  gained->val.gained.finish.is_some = request->words == 0;
  gained->val.gained.finish.val = SKEP_PLUGIN_MODEL_TYPES_FINISH_STOP;
  return request->words > 0;
}

events_t echo_step(echo_t *echo) {
  events_t events = {0};
  for (request_t **place = &echo->first; *place;) {
    request_t *request = *place;
    if (!request->cancelled && !request->embeds && speak(request, &events)) {
      place = &request->next;
      continue;
    }
    for (uint32_t i = 0; !request->cancelled && i < request->count; i++) {
      event_t *embedded = tell(&events, SKEP_PLUGIN_MODEL_TYPES_EVENT_EMBEDDED);
      embedded->val.embedded.request = request->id;
      embedded->val.embedded.index = i;
      float *value = take(sizeof *value);
      *value = request->lengths[i];
      embedded->val.embedded.values.ptr = value, embedded->val.embedded.values.len = 1;
    }
    event_t *done = tell(&events, SKEP_PLUGIN_MODEL_TYPES_EVENT_DONE);
    done->val.done.f0 = request->id;
    done->val.done.f1 = request->usage;
    forget(place);
  }
  return events;
}

uint32_t echo_count(const echo_t *echo) {
  uint32_t count = 0;
  for (const request_t *request = echo->first; request; request = request->next) count++;
  return count;
}

void echo_free(echo_t *echo) {
  while (echo->first) forget(&echo->first);
  free(echo);
}
