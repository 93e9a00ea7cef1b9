// The logic, compiled for this machine: `cc -w tests/answer.c -o build/answer && build/answer`.

#include "../src/answer.c"
#include "../src/say.c"
#include "../src/text.c"

#undef NDEBUG
#include <assert.h>

static const char STREAM[] =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\u00e9 \\ud83d\\udc1d\"}}]}\r\n\r\n: a comment\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";

static text_t text_of(const char *word) {
  text_t text = {0};
  put_word(&text, word);
  return text;
}

static void none(text_t name, void *with) {
  (void)name, (void)with;
}

int main(void) {
  error_t error;
  for (size_t size = 1; size < 40; size++) {
    events_t events = {0};
    progress_t progress;
    progress_begin(&progress, 7, 1);
    for (size_t at = 0; at < sizeof STREAM - 1; at += size) {
      put(&events.bytes, STREAM + at, sizeof STREAM - 1 - at < size ? sizeof STREAM - 1 - at : size);
      text_t data;
      while (events_take(&events, &data) == EVENT_WHOLE) assert(progress_take(&progress, data, &error));
    }
    assert(progress.count == 3 && progress.is_done);
    string_t said = progress.told[0].val.gained.text;
    assert(said.len == 8 && memcmp(said.ptr, "h\u00e9 \U0001f41d", 8) == 0);
    assert(progress.told[1].val.gained.finish.is_some);
    assert(progress.told[2].val.done.f1.completion_tokens == 2);
  }
  puts("an answer is the same however it is cut: ok");

  progress_t progress;
  progress_begin(&progress, 7, 1);
  assert(!progress_end(&progress, &error) && error.tag == SKEP_PLUGIN_TYPES_ERROR_OTHER);
  puts("an answer that is cut off is not taken for a whole one: ok");

  const char *wrong[] = {"", "no JSON", "[1]", "{\"data\":[{\"id\":7}]}", "\xff", "{\"data\":[]", "{\"data\":[1,]}"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert(!models_read(text_of(wrong[i]), none, NULL, &error) && error.tag == SKEP_PLUGIN_TYPES_ERROR_MALFORMED);
  assert(!refused(429, text_of(""), text_of("7"), &error) && error.tag == SKEP_PLUGIN_TYPES_ERROR_EXHAUSTED);
  assert(!refused(401, text_of(""), text_of(""), &error) && error.tag == SKEP_PLUGIN_TYPES_ERROR_DENIED);
  assert(!refused(400, text_of("{\"error\":{\"message\":\"no\",\"param\":\"n\"}}"), text_of(""), &error));
  assert(error.val.invalid.field.val.len == 1 && error.val.invalid.field.val.ptr[0] == 'n');
  puts("what is wrong is told by its kind: ok");
}
