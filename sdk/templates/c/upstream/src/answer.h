// What a service's answer says. What comes may be cut anywhere, wrong or hostile.

#pragma once

#include "say.h"

typedef skep_plugin_model_types_event_t event_t;
typedef skep_plugin_model_types_usage_t usage_t;

// Server-sent events, as bytes come: `push` them to `bytes`, and take what is whole.
typedef struct { text_t bytes, data; size_t read; } events_t;

enum { EVENT_NONE, EVENT_WHOLE, EVENT_ENDLESS };

// The data of the next event that is whole.
int events_take(events_t *events, text_t *data);

// One answer on its way, and what is to be told of it.
typedef struct {
  uint64_t request;
  uint32_t choices;
  bool *over;
  usage_t usage;
  event_t *told;
  size_t count, told_room, next;
  bool is_done;
} progress_t;

void progress_begin(progress_t *progress, uint64_t request, uint32_t choices);
// Takes one event's data; false, with the error, when the answer has failed.
bool progress_take(progress_t *progress, text_t data, error_t *error);
// The service has said all that it will; an answer that is not over was cut.
bool progress_end(progress_t *progress, error_t *error);

// Calls `each` with every name of `GET models`.
bool models_read(text_t body, void (*each)(text_t name, void *with), void *with, error_t *error);

// What a status other than success means.
bool refused(uint16_t status, text_t said, text_t retry_after, error_t *error);
