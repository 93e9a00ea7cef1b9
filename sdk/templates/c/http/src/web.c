#include "web.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 16 * 1024, WRITE_BYTES = 4096 /* The most that the host takes at once. */ };

string_t word(const char *text) {
  return (string_t){(uint8_t *)text, strlen(text)};
}

bool setting(settings_t *settings, const char *name, string_t *value) {
  for (size_t i = 0; i < settings->values.len; i++) {
    string_t known = settings->values.ptr[i].f0;
    if (known.len != strlen(name) || memcmp(known.ptr, name, known.len) != 0) continue;
    *value = settings->values.ptr[i].f1;
    return value->len > 0;
  }
  return false;
}

bool secret(string_t name, const char *prefix, string_t *value, error_t *error) {
  skep_plugin_secrets_own_secret_t opened;
  if (!skep_plugin_secrets_static_secret_open(&name, &opened, error)) return false;
  string_t before = word(prefix);
  skep_plugin_secrets_method_secret_header_value(skep_plugin_secrets_borrow_secret(opened), &before, value);
  skep_plugin_secrets_secret_drop_own(opened);
  return true;
}

// Why there is no answer, or not the rest of it.
static bool lost(const wasi_http_types_error_code_t *code, error_t *error) {
  switch (code ? code->tag : WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TERMINATED) {
  case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED:
  case WASI_HTTP_TYPES_ERROR_CODE_DESTINATION_IP_PROHIBITED:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_DENIED, NULL, "requests to this address are not granted");
  case WASI_HTTP_TYPES_ERROR_CODE_DNS_ERROR:
  case WASI_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "there is no such host");
  case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_REFUSED:
  case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_TIMEOUT:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "the service takes no connections: is it running?");
  case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_READ_TIMEOUT:
  case WASI_HTTP_TYPES_ERROR_CODE_HTTP_RESPONSE_TIMEOUT:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "the service was silent for too long");
  default:
    return say(error, SKEP_PLUGIN_TYPES_ERROR_OTHER, NULL, "the connection to the service broke");
  }
}

// Scheme, host and path of an address.
static bool parts(string_t url, uint8_t *scheme, string_t *host, string_t *path) {
  size_t from = 0;
  if (url.len > 7 && memcmp(url.ptr, "http://", 7) == 0) *scheme = WASI_HTTP_TYPES_SCHEME_HTTP, from = 7;
  else if (url.len > 8 && memcmp(url.ptr, "https://", 8) == 0) *scheme = WASI_HTTP_TYPES_SCHEME_HTTPS, from = 8;
  else return false;
  size_t slash = from, end = from;
  while (slash < url.len && !strchr("/?#", url.ptr[slash])) slash++;
  for (end = slash; end < url.len && url.ptr[end] != '#';) end++;
  *host = (string_t){url.ptr + from, slash - from};
  text_t made = {0};
  if (slash == end || url.ptr[slash] != '/') put_word(&made, "/");
  put(&made, url.ptr + slash, end - slash);
  *path = string(made);
  return host->len > 0;
}

bool send(bool is_post, string_t url, header_t *headers, size_t count, text_t body, answer_t *answer, error_t *error) {
  wasi_http_types_scheme_t scheme;
  string_t host, path;
  if (!parts(url, &scheme.tag, &host, &path))
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, NULL, "the address is none");
  field_t *fields = calloc(count + 1, sizeof *fields);
  if (!fields) abort();
  for (size_t i = 0; i < count; i++) {
    fields[i].f0 = headers[i].name;
    fields[i].f1.ptr = headers[i].value.ptr, fields[i].f1.len = headers[i].value.len;
  }
  fields_t list = {fields, count};
  wasi_http_types_own_fields_t owned;
  wasi_http_types_header_error_t wrong;
  if (!wasi_http_types_static_fields_from_list(&list, &owned, &wrong))
    return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, NULL, "a header cannot be sent");
  wasi_http_types_own_outgoing_request_t request = wasi_http_types_constructor_outgoing_request(owned);
  wasi_http_types_borrow_outgoing_request_t it = wasi_http_types_borrow_outgoing_request(request);
  wasi_http_types_method_t method = {.tag = is_post ? WASI_HTTP_TYPES_METHOD_POST : WASI_HTTP_TYPES_METHOD_GET};
  wasi_http_types_own_outgoing_body_t out;
  bool is_right = wasi_http_types_method_outgoing_request_set_method(it, &method) &&
                  wasi_http_types_method_outgoing_request_set_scheme(it, &scheme) &&
                  wasi_http_types_method_outgoing_request_set_authority(it, &host) &&
                  wasi_http_types_method_outgoing_request_set_path_with_query(it, &path) &&
                  wasi_http_types_method_outgoing_request_body(it, &out);
  if (!is_right) return say(error, SKEP_PLUGIN_TYPES_ERROR_INVALID, NULL, "the address is none");
  wasi_io_streams_own_output_stream_t writing;
  if (!wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(out), &writing))
    return lost(NULL, error);
  wasi_http_types_own_future_incoming_response_t coming;
  wasi_http_types_error_code_t code;
  if (!wasi_http_outgoing_handler_handle(request, NULL, &coming, &code)) return lost(&code, error);
  for (size_t at = 0; at < body.length; at += WRITE_BYTES) {
    size_t length = body.length - at < WRITE_BYTES ? body.length - at : WRITE_BYTES;
    bytes_t piece = {(uint8_t *)body.at + at, length};
    wasi_io_streams_stream_error_t why;
    // Whoever wants no more of it has answered already, or says below why not.
    if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(writing), &piece, &why))
      break;
  }
  wasi_io_streams_output_stream_drop_own(writing);
  wasi_http_types_static_outgoing_body_finish(out, NULL, &code);

  wasi_http_types_borrow_future_incoming_response_t future = wasi_http_types_borrow_future_incoming_response(coming);
  wasi_io_poll_own_pollable_t ready = wasi_http_types_method_future_incoming_response_subscribe(future);
  wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
  wasi_io_poll_pollable_drop_own(ready);
  wasi_http_types_result_result_own_incoming_response_error_code_void_t came;
  if (!wasi_http_types_method_future_incoming_response_get(future, &came) || came.is_err) return lost(NULL, error);
  if (came.val.ok.is_err) return lost(&came.val.ok.val.err, error);
  wasi_http_types_borrow_incoming_response_t response = wasi_http_types_borrow_incoming_response(came.val.ok.val.ok);
  answer->status = wasi_http_types_method_incoming_response_status(response);
  answer->retry_after = (text_t){0};
  wasi_http_types_own_fields_t said = wasi_http_types_method_incoming_response_headers(response);
  fields_t all;
  wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(said), &all);
  for (size_t i = 0; i < all.len; i++) {
    string_t name = all.ptr[i].f0;
    if (name.len == 11 && strncasecmp((const char *)name.ptr, "retry-after", 11) == 0)
      put(&answer->retry_after, all.ptr[i].f1.ptr, all.ptr[i].f1.len);
  }
  wasi_http_types_fields_drop_own(said);
  if (!wasi_http_types_method_incoming_response_consume(response, &answer->body)) return lost(NULL, error);
  // A body outlives its stream.
  return wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(answer->body), &answer->stream) ||
         lost(NULL, error);
}

int read_more(answer_t *answer, text_t *text, error_t *error) {
  for (;;) {
    bytes_t piece;
    wasi_io_streams_stream_error_t why;
    wasi_io_streams_borrow_input_stream_t stream = wasi_io_streams_borrow_input_stream(answer->stream);
    if (wasi_io_streams_method_input_stream_blocking_read(stream, PIECE_BYTES, &piece, &why)) {
      put(text, piece.ptr, piece.len);
      if (piece.len > 0) {
        free(piece.ptr);
        return MORE;
      }
      continue; // Nothing yet is no end.
    }
    if (why.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED) return END;
    wasi_http_types_error_code_t code;
    bool is_known = wasi_http_types_http_error_code(wasi_io_error_borrow_error(why.val.last_operation_failed), &code);
    lost(is_known ? &code : NULL, error);
    return FAILED;
  }
}
