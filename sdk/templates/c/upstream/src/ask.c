#include "ask.h"

#include <math.h>

static void put_string(text_t *text, string_t value) {
  put_json(text, value.ptr, value.len);
}

static bool number(text_t *body, const char *name, float value, error_t *error) {
  if (!isfinite(value)) return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, name, "it is no number");
  put_format(body, ",\"%s\":%.9g", name, (double)value);
  return true;
}

static bool unsupported(const char *what, error_t *error) {
  return say(error, SKEP_PLUGIN_TYPES_ERROR_UNSUPPORTED, NULL, "this adapter does not pass on %s", what);
}

static bool sampling(text_t *body, const skep_plugin_model_types_sampling_t *from, error_t *error) {
  struct { const char *name; float value, off; } all[] = {
      {"temperature", from->temperature, NAN},
      {"top_p", from->top_p, 1},
      {"presence_penalty", from->presence_penalty, 0},
      {"frequency_penalty", from->frequency_penalty, 0},
      // OpenAI's own service knows none of these and says so; vLLM and llama-server do.
      {"min_p", from->min_p, 0},
      {"repetition_penalty", from->repetition_penalty, 1},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i].value != all[i].off && !number(body, all[i].name, all[i].value, error)) return false;
  if (from->top_k) put_format(body, ",\"top_k\":%u", (unsigned)from->top_k);
  if (from->seed.is_some) put_format(body, ",\"seed\":%lld", (long long)from->seed.val);
  if (from->logit_bias.len == 0) return true;
  put_word(body, ",\"logit_bias\":{");
  for (size_t i = 0; i < from->logit_bias.len; i++) {
    if (!isfinite(from->logit_bias.ptr[i].f1))
      return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, "logit_bias", "it is no number");
    put_format(body, "%s\"%u\":%.9g", i ? "," : "", (unsigned)from->logit_bias.ptr[i].f0, (double)from->logit_bias.ptr[i].f1);
  }
  put_word(body, "}");
  return true;
}

bool ask(string_t model, const work_t *work, const char **path, text_t *body, error_t *error) {
  if (work->tag != SKEP_PLUGIN_MODEL_TYPES_WORK_GENERATE) return unsupported("embeddings", error);
  const generation_t *it = &work->val.generate;
  for (size_t i = 0; i < it->continued.len; i++) {
    const skep_plugin_model_types_continued_t *one = &it->continued.ptr[i];
    if (one->text_bytes > 0 || one->tokens.len > 0 || one->finish.is_some) return unsupported("going on with an answer", error);
  }
  if (it->logprobs.is_some) return unsupported("log probabilities", error);
  *body = (text_t){0};
  put_word(body, "{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"model\":");
  put_string(body, model);
  if (it->max_tokens.is_some) put_format(body, ",\"max_tokens\":%u", (unsigned)it->max_tokens.val);
  if (it->choices != 1) put_format(body, ",\"n\":%u", (unsigned)it->choices);
  if (it->ignore_end) put_word(body, ",\"ignore_eos\":true");
  if (!sampling(body, &it->sampling, error)) return false;
  for (size_t i = 0; i < it->stop.len; i++) {
    put_word(body, i ? "," : ",\"stop\":[");
    put_string(body, it->stop.ptr[i]);
  }
  if (it->stop.len > 0) put_word(body, "]");
  *path = "completions";
  switch (it->prompt.tag) {
  case SKEP_PLUGIN_MODEL_TYPES_PROMPT_CHAT:
    if (it->echo) return unsupported("`echo` of a chat", error);
    *path = "chat/completions";
    put_word(body, ",\"messages\":[");
    for (size_t i = 0; i < it->prompt.val.chat.len; i++) {
      const skep_plugin_model_types_message_t *message = &it->prompt.val.chat.ptr[i];
      put_word(body, i ? ",{\"role\":" : "{\"role\":");
      put_string(body, message->role);
      put_word(body, ",\"content\":");
      put_string(body, message->content);
      if (message->name.is_some) {
        put_word(body, ",\"name\":");
        put_string(body, message->name.val);
      }
      put_word(body, "}");
    }
    put_word(body, "]");
    break;
  case SKEP_PLUGIN_MODEL_TYPES_PROMPT_TEXT:
    put_word(body, ",\"prompt\":");
    put_string(body, it->prompt.val.text);
    break;
  default:
    put_word(body, ",\"prompt\":[");
    for (size_t i = 0; i < it->prompt.val.tokens.len; i++)
      put_format(body, "%s%u", i ? "," : "", (unsigned)it->prompt.val.tokens.ptr[i]);
    put_word(body, "]");
  }
  if (it->echo) put_word(body, ",\"echo\":true");
  put_word(body, "}");
  return true;
}
