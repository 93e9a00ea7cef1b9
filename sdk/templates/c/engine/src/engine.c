// An engine that is an echo: what the host calls.
//
// A real one opens the model's files in `open`, records a graph of operations by the functions `skep_plugin_compute_…`, and runs it in
// `step` for all requests at once. What the host passes in belongs to the function that gets it, which frees or keeps it; what is
// returned is freed by the bindings.

#include "echo.h"

#include <stdlib.h>
#include <string.h>

enum { VOCABULARY = 256, CONTEXT = 1 << 20, SEQUENCES = 4096 };

bool exports_skep_plugin_model_static_instance_open(exports_skep_plugin_model_list_own_file_t *files,
                                                    exports_skep_plugin_model_own_file_t *draft,
                                                    skep_plugin_model_types_settings_t *settings,
                                                    exports_skep_plugin_model_own_instance_t *ret, error_t *error) {
  (void)settings, (void)error;
  // They are there to be read; an echo needs nothing of them.
  exports_skep_plugin_model_list_own_file_free(files);
  if (draft) skep_plugin_files_file_drop_own(*draft);
  *ret = exports_skep_plugin_model_instance_new(take(sizeof(echo_t)));
  return true;
}

void exports_skep_plugin_model_instance_destructor(echo_t *self) {
  echo_free(self);
}

void exports_skep_plugin_model_method_instance_info(echo_t *self,
                                                    skep_plugin_model_types_model_info_t *info) {
  (void)self;
  memset(info, 0, sizeof *info);
  engine_string_dup(&info->architecture, "echo");
  engine_string_dup(&info->name, "Echo");
  engine_string_dup(&info->quantisation, "none");
  info->vocabulary = VOCABULARY;
  info->context_tokens = info->trained_context_tokens = CONTEXT;
  info->embedding_width = 1;
  info->sequences = SEQUENCES;
  info->abilities = SKEP_PLUGIN_MODEL_TYPES_ABILITIES_CHAT | SKEP_PLUGIN_MODEL_TYPES_ABILITIES_COMPLETE |
                    SKEP_PLUGIN_MODEL_TYPES_ABILITIES_EMBED;
}

bool exports_skep_plugin_model_method_instance_submit(echo_t *self, uint64_t id, work_t *work, error_t *error) {
  bool is_one = work->tag != SKEP_PLUGIN_MODEL_TYPES_WORK_GENERATE || work->val.generate.choices == 1;
  if (is_one) echo_submit(self, id, work);
  skep_plugin_model_types_work_free(work);
  if (is_one) return true;
  error->tag = SKEP_PLUGIN_TYPES_ERROR_UNSUPPORTED;
  engine_string_dup(&error->val.unsupported, "an echo gives one answer");
  return false;
}

void exports_skep_plugin_model_method_instance_cancel(echo_t *self, uint64_t id) {
  echo_cancel(self, id);
}

bool exports_skep_plugin_model_method_instance_step(echo_t *self, events_t *events, error_t *error) {
  (void)error;
  *events = echo_step(self);
  return true;
}

void exports_skep_plugin_model_method_instance_load(echo_t *self, skep_plugin_model_types_load_t *load) {
  memset(load, 0, sizeof *load);
  load->running = echo_count(self);
}

bool exports_skep_plugin_model_method_instance_tokenize(echo_t *self, string_t *text,
                                                        engine_list_u32_t *tokens, error_t *error) {
  (void)self, (void)error;
  tokens->ptr = take(text->len * sizeof *tokens->ptr), tokens->len = text->len;
  for (size_t i = 0; i < text->len; i++) tokens->ptr[i] = text->ptr[i];
  // The bindings free no list that is empty.
  if (tokens->len == 0) free(tokens->ptr), tokens->ptr = NULL;
  engine_string_free(text);
  return true;
}

bool exports_skep_plugin_model_method_instance_detokenize(echo_t *self, engine_list_u32_t *tokens,
                                                          string_t *text, error_t *error) {
  (void)self;
  bool is_right = true;
  uint8_t *bytes = take(tokens->len);
  for (size_t i = 0; i < tokens->len; i++) {
    is_right = is_right && tokens->ptr[i] < VOCABULARY;
    // Bytes beyond ASCII are parts of characters, and cut anywhere they are no text.
    bytes[i] = tokens->ptr[i] < 0x80 ? (uint8_t)tokens->ptr[i] : '?';
  }
  text->ptr = bytes, text->len = tokens->len;
  engine_list_u32_free(tokens);
  if (is_right) return true;
  free(bytes);
  error->tag = SKEP_PLUGIN_TYPES_ERROR_INVALID;
  error->val.invalid.field.is_some = true;
  engine_string_dup(&error->val.invalid.field.val, "tokens");
  engine_string_dup(&error->val.invalid.message, "a token is a byte");
  return false;
}
