// A request in the service's words. What is left at "off" is left out.

#pragma once

#include "say.h"

typedef skep_plugin_model_types_work_t work_t;
typedef skep_plugin_model_types_generation_t generation_t;

// The path below the base, and the body; false, with the error, for what this adapter does not pass on.
bool ask(string_t model, const work_t *work, const char **path, text_t *body, error_t *error);
