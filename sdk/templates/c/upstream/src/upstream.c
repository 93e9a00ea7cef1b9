// An adapter to a service that speaks as OpenAI's does. What the host calls. Each request has an instance of its own, with which all
// goes that it has taken; what is returned is freed by the bindings.

#include "answer.h"
#include "ask.h"
#include "web.h"

#include <stdlib.h>
#include <string.h>

enum { MODELS_BYTES = 1 << 20, REFUSAL_BYTES = 64 * 1024 };

struct exports_skep_plugin_adapter_exchange_t {
  answer_t answer;
  events_t events;
  progress_t progress;
};

// Sends; an answer is one of success.
static bool call(settings_t *settings, const char *path, const text_t *body, answer_t *answer, error_t *error) {
  string_t base, key;
  if (!setting(settings, "base-url", &base))
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, "base-url", "the setting `base-url` is missing");
  while (base.len > 0 && base.ptr[base.len - 1] == '/') base.len--;
  text_t url = {0};
  put(&url, base.ptr, base.len);
  put_format(&url, "/%s", path);
  header_t headers[3] = {{word("accept"), word("text/event-stream, application/json")}};
  size_t count = 1;
  if (body) headers[count++] = (header_t){word("content-type"), word("application/json")};
  if (setting(settings, "key", &key)) {
    headers[count].name = word("authorization");
    if (!secret(key, "Bearer ", &headers[count++].value, error)) return false;
  }
  if (!send(body != NULL, string(url), headers, count, body ? *body : (text_t){0}, answer, error)) return false;
  if (answer->status >= 200 && answer->status < 300) return true;
  text_t said = {0};
  error_t unsaid;
  // Of what a service says of a failure, the beginning is enough.
  while (said.length < REFUSAL_BYTES && read_more(answer, &said, &unsaid) == MORE) {}
  return refused(answer->status, said, answer->retry_after, error);
}

typedef exports_skep_plugin_adapter_list_offer_t offers_t;

static void add(text_t name, void *with) {
  offers_t *offers = with;
  offers->ptr = realloc(offers->ptr, (offers->len + 1) * sizeof *offers->ptr);
  if (!offers->ptr) abort();
  offers->ptr[offers->len++] = (exports_skep_plugin_adapter_offer_t){.id = string(name)};
}

bool exports_skep_plugin_adapter_models(settings_t *settings, offers_t *offers, error_t *error) {
  answer_t answer;
  text_t body = {0};
  if (!call(settings, "models", NULL, &answer, error)) return false;
  for (int came; (came = read_more(&answer, &body, error)) != END;) {
    if (came == FAILED) return false;
    if (body.length > MODELS_BYTES)
      return say(error, SKEP_PLUGIN_TYPES_ERROR_MALFORMED, NULL, "the list of models has no end");
  }
  *offers = (offers_t){0};
  return models_read(body, add, offers, error);
}

bool exports_skep_plugin_adapter_static_exchange_start(settings_t *settings, string_t *model, uint64_t request, work_t *work,
                                                       exports_skep_plugin_adapter_own_exchange_t *ret, error_t *error) {
  const char *path;
  text_t body;
  exports_skep_plugin_adapter_exchange_t *exchange = calloc(1, sizeof *exchange);
  if (!exchange) abort();
  if (!ask(*model, work, &path, &body, error) || !call(settings, path, &body, &exchange->answer, error)) return false;
  progress_begin(&exchange->progress, request, work->val.generate.choices);
  *ret = exports_skep_plugin_adapter_exchange_new(exchange);
  return true;
}

bool exports_skep_plugin_adapter_method_exchange_next(exports_skep_plugin_adapter_exchange_t *self,
                                                      exports_skep_plugin_adapter_option_event_t *ret, error_t *error) {
  progress_t *progress = &self->progress;
  while (progress->next == progress->count && !progress->is_done) {
    text_t data = {0};
    switch (events_take(&self->events, &data)) {
    case EVENT_WHOLE:
      if (!progress_take(progress, data, error)) return false;
      free(data.at);
      continue;
    case EVENT_ENDLESS:
      return say(error, SKEP_PLUGIN_TYPES_ERROR_MALFORMED, NULL, "the service sent an event without an end");
    }
    int came = read_more(&self->answer, &self->events.bytes, error);
    if (came == FAILED || (came == END && !progress_end(progress, error))) return false;
  }
  ret->is_some = progress->next < progress->count;
  if (ret->is_some) ret->val = progress->told[progress->next++];
  return true;
}

void exports_skep_plugin_adapter_exchange_destructor(exports_skep_plugin_adapter_exchange_t *exchange) {
  // All of it goes with the instance, and the connection as well.
  (void)exchange;
}

bool exports_skep_plugin_adapter_static_pull_start(settings_t *settings, string_t *model, exports_skep_plugin_adapter_own_pull_t *ret,
                                                   error_t *error) {
  (void)settings, (void)model, (void)ret;
  return say(error, SKEP_PLUGIN_TYPES_ERROR_UNSUPPORTED, NULL, "this service cannot be asked to get a model");
}

bool exports_skep_plugin_adapter_method_pull_next(exports_skep_plugin_adapter_pull_t *self,
                                                  exports_skep_plugin_adapter_option_progress_t *ret, error_t *error) {
  (void)self, (void)error;
  ret->is_some = false;
  return true;
}

void exports_skep_plugin_adapter_pull_destructor(exports_skep_plugin_adapter_pull_t *pull) {
  (void)pull;
}
