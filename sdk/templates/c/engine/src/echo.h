// An echo: it says a prompt back, one word in each step, and embeds a text as its length. Of the bindings it takes the types alone, so
// that it can be compiled anywhere.

#pragma once

#include "../bindings/engine.h"

typedef engine_string_t string_t;
typedef skep_plugin_types_error_t error_t;
typedef skep_plugin_model_types_event_t event_t;
typedef skep_plugin_model_types_prompt_t prompt_t;
typedef skep_plugin_model_types_usage_t usage_t;
typedef skep_plugin_model_types_work_t work_t;
typedef exports_skep_plugin_model_list_event_t events_t;

// Requests, in the order in which they came.
typedef struct exports_skep_plugin_model_instance_t { struct request *first; } echo_t;

// Memory of zeros; ends the call when there is none.
void *take(size_t bytes);

void echo_submit(echo_t *echo, uint64_t id, const work_t *work);
void echo_cancel(echo_t *echo, uint64_t id);
// What each request gained in one step.
events_t echo_step(echo_t *echo);
uint32_t echo_count(const echo_t *echo);
void echo_free(echo_t *echo);
