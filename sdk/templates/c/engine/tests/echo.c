// The logic, compiled for this machine: `cc -w tests/echo.c -o build/echo && build/echo`.

#include "../src/echo.c"

#undef NDEBUG
#include <assert.h>
#include <stdio.h>

static prompt_t text_of(const char *text) {
  prompt_t prompt = {.tag = SKEP_PLUGIN_MODEL_TYPES_PROMPT_TEXT};
  prompt.val.text = (string_t){(uint8_t *)text, strlen(text)};
  return prompt;
}

static void submit(echo_t *echo, uint64_t id, const char *text) {
  work_t work = {.tag = SKEP_PLUGIN_MODEL_TYPES_WORK_GENERATE};
  work.val.generate.prompt = text_of(text);
  echo_submit(echo, id, &work);
}

int main(void) {
  echo_t echo = {0};
  submit(&echo, 1, "one two three");
  submit(&echo, 2, "uno dos");
  echo_cancel(&echo, 404);
  char said[3][64] = {0};
  size_t done = 0;
  for (;;) {
    events_t events = echo_step(&echo);
    if (events.len == 0) break;
    for (size_t i = 0; i < events.len; i++) {
      event_t *event = &events.ptr[i];
      done += event->tag == SKEP_PLUGIN_MODEL_TYPES_EVENT_DONE;
      if (event->tag != SKEP_PLUGIN_MODEL_TYPES_EVENT_GAINED) continue;
      string_t text = event->val.gained.text;
      strncat(said[event->val.gained.request], (const char *)text.ptr, text.len);
    }
  }
  assert(strcmp(said[1], "one two three") == 0 && strcmp(said[2], "uno dos") == 0 && done == 2);
  puts("a prompt comes back word by word: ok");

  prompt_t input = text_of("four");
  work_t work = {.tag = SKEP_PLUGIN_MODEL_TYPES_WORK_EMBED};
  work.val.embed.inputs.ptr = &input, work.val.embed.inputs.len = 1;
  echo_submit(&echo, 7, &work);
  events_t events = echo_step(&echo);
  assert(events.len == 2 && events.ptr[0].val.embedded.values.ptr[0] == 4);
  puts("the length of a text is its embedding: ok");

  submit(&echo, 8, "one two three");
  echo_cancel(&echo, 8);
  events = echo_step(&echo);
  assert(events.len == 1 && events.ptr[0].tag == SKEP_PLUGIN_MODEL_TYPES_EVENT_DONE && echo_count(&echo) == 0);
  puts("what is cancelled is done with the next step: ok");
}
