// What an alert looks like at the receiver, and what its answer means.

#pragma once

#include "say.h"

typedef exports_skep_plugin_notice_alert_t alert_t;

text_t shown(const alert_t *alert);
// False, with the error, when the alert was not taken. The host tries again after `OTHER` and `EXHAUSTED`, and never after another.
bool taken(uint16_t status, text_t said, error_t *error);
