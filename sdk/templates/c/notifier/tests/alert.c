// The logic, compiled for this machine: `cc -w tests/alert.c -o build/alert && build/alert`.

#include "../src/alert.c"
#include "../src/say.c"
#include "../src/text.c"

#undef NDEBUG
#include <assert.h>

static string_t text_of(const char *text) {
  return (string_t){(uint8_t *)text, strlen(text)};
}

static bool is_tried_again(uint16_t status) {
  error_t error;
  assert(!taken(status, (text_t){0}, &error));
  return error.tag == SKEP_PLUGIN_TYPES_ERROR_EXHAUSTED || error.tag == SKEP_PLUGIN_TYPES_ERROR_OTHER;
}

int main(void) {
  notifier_tuple2_string_string_t fact = {text_of("since"), text_of("2 min")};
  alert_t alert = {.severity = EXPORTS_SKEP_PLUGIN_NOTICE_SEVERITY_CRITICAL, .at_unix_s = 951782400, .facts = {&fact, 1}};
  alert.title = text_of("node \"b\"\nis down");
  alert.id = alert.kind = alert.text = alert.cluster = text_of("");
  text_t made = shown(&alert);
  json_t object, value;
  text_t title = {0};
  assert(json_read(made.at, made.length, &object));
  assert(json_member(object, "title", &value) && json_text(value, &title));
  assert(title.length == alert.title.len && memcmp(title.at, alert.title.ptr, title.length) == 0);
  assert(json_member(object, "at", &value) && json_is(value, "\"2000-02-29T00:00:00Z\""));
  assert(json_member(object, "facts", &value) && json_is(value, "{\"since\":\"2 min\"}"));
  puts("everything is in the object: ok");

  const uint16_t later[] = {408, 429, 500, 503}, never[] = {301, 400, 401, 404, 413};
  for (size_t i = 0; i < sizeof later / sizeof *later; i++) assert(is_tried_again(later[i]));
  for (size_t i = 0; i < sizeof never / sizeof *never; i++) assert(!is_tried_again(never[i]));
  puts("only what may be better later is tried again: ok");
}
