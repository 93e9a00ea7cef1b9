// A notifier: each alert as one JSON object to a URL. What the host calls.

#include "alert.h"
#include "web.h"

enum { REFUSAL_BYTES = 64 * 1024 };

bool exports_skep_plugin_notice_notify(settings_t *settings, alert_t *alert, error_t *error) {
  string_t url, key;
  if (!setting(settings, "url", &url))
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, "url", "the setting `url` is missing");
  header_t headers[2] = {{word("content-type"), word("application/json")}};
  size_t count = 1;
  if (setting(settings, "key", &key)) {
    headers[count].name = word("authorization");
    if (!secret(key, "Bearer ", &headers[count++].value, error)) return false;
  }
  answer_t answer;
  if (!send(true, url, headers, count, shown(alert), &answer, error)) return false;
  text_t said = {0};
  error_t unsaid;
  // Of what a receiver says of a failure, the beginning is enough.
  if (answer.status >= 300)
    while (said.length < REFUSAL_BYTES && read_more(&answer, &said, &unsaid) == MORE) {}
  return taken(answer.status, said, error);
}
