// The generated bindings' types under short names, which are the same in every world.

#pragma once

#include "../bindings/notifier.h"

typedef notifier_string_t string_t;
typedef notifier_list_u8_t bytes_t;
typedef exports_skep_plugin_notice_settings_t settings_t;
typedef wasi_http_types_tuple2_field_name_field_value_t field_t;
typedef wasi_http_types_list_tuple2_field_name_field_value_t fields_t;
