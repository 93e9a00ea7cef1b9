#include "alert.h"

#define DAY_S 86400u
#define YEAR_9999_S 253402300799u

// A moment in universal time, as RFC 3339 has it.
static void put_moment(text_t *text, uint64_t unix_s) {
  if (unix_s > YEAR_9999_S) unix_s = YEAR_9999_S;
  uint32_t second = unix_s % DAY_S;
  // Years are counted from March on, so that the day of a leap year is the last: 400 of them have 146,097 days.
  uint32_t day = (uint32_t)(unix_s / DAY_S) + 719468, cycle = day / 146097;
  day %= 146097;
  uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  day -= 365 * year + year / 4 - year / 100;
  uint32_t month = (5 * day + 2) / 153;
  day -= (153 * month + 2) / 5;
  year += 400 * cycle + (month > 9);
  month = month > 9 ? month - 9 : month + 3;
  put_format(text, "\"%04u-%02u-%02uT%02u:%02u:%02uZ\"", (unsigned)year, (unsigned)month, (unsigned)day + 1,
             (unsigned)second / 3600, (unsigned)second / 60 % 60, (unsigned)second % 60);
}

static void put_member(text_t *text, const char *name, string_t value) {
  put_format(text, ",\"%s\":", name);
  put_json(text, value.ptr, value.len);
}

text_t shown(const alert_t *alert) {
  static const char *const severities[] = {"info", "warning", "critical"};
  text_t text = {0};
  put_format(&text, "{\"severity\":\"%s\",\"resolved\":%s", severities[alert->severity], alert->resolved ? "true" : "false");
  put_member(&text, "id", alert->id);
  put_member(&text, "kind", alert->kind);
  put_member(&text, "title", alert->title);
  put_member(&text, "text", alert->text);
  put_member(&text, "cluster", alert->cluster);
  if (alert->node.is_some) put_member(&text, "node", alert->node.val);
  put_word(&text, ",\"at\":");
  put_moment(&text, alert->at_unix_s);
  put_word(&text, ",\"facts\":{");
  for (size_t i = 0; i < alert->facts.len; i++) {
    if (i > 0) put_word(&text, ",");
    put_json(&text, alert->facts.ptr[i].f0.ptr, alert->facts.ptr[i].f0.len);
    put_word(&text, ":");
    put_json(&text, alert->facts.ptr[i].f1.ptr, alert->facts.ptr[i].f1.len);
  }
  put_word(&text, "}}");
  return text;
}

bool taken(uint16_t status, text_t said, error_t *error) {
  if (status >= 200 && status < 300) return true;
  quote_t why = quoted(said.at, said.length);
  if (status >= 300 && status < 400)
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, "url", "the receiver is elsewhere: set `url` to where it answers itself");
  switch (status) {
  case 401:
  case 403:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_DENIED, NULL, "the receiver refused the key: %s", why.at);
  case 404:
  case 410:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, "url", "there is nothing where `url` points: %s", why.at);
  case 408:
  case 425:
  case 429:
  case 503:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_EXHAUSTED, NULL, "the receiver asks to come back later: %s", why.at);
  }
  return status < 500
             ? say(error, SKEP_PLUGIN_TYPES_ERROR_UNSUPPORTED, NULL, "the receiver refused it (status %u): %s", status, why.at)
             : say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "the receiver failed (status %u): %s", status, why.at);
}
