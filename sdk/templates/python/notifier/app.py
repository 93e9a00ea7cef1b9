"""A notifier: each alert as one JSON object to a URL. The component's face, which the host calls."""

from wit_world import exports

from alert import body, refusal
from web import need, refused, secret, send

REFUSAL_BYTES = 64 * 1024


class Notice(exports.Notice):
    def notify(self, settings, alert):
        values = dict(settings.values)
        headers = [("content-type", "application/json")]
        if key := values.get("key"):
            headers.append(("authorization", secret(key, "Bearer ")))
        answer = send("Post", need(values, "url"), headers, body(alert))
        said = "" if answer.is_success else answer.some(REFUSAL_BYTES)
        if error := refusal(answer.status, said):
            case, sentence = error
            raise refused(case, sentence, "url")
