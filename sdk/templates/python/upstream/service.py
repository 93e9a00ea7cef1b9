"""Asking the service: where it is, with which key, and what its refusals are in the contract's types."""

from functools import wraps

import answer
from answer import Refusal
from web import need, refused, secret, send

REFUSAL_BYTES = 64 * 1024


def told(call):
    """A `Refusal` in the contract's types."""

    @wraps(call)
    def calling(*arguments):
        try:
            return call(*arguments)
        except Refusal as error:
            raise refused(error.case, error.sentence, error.field) from None

    return calling


def request(settings, method, path, body=b""):
    values = dict(settings.values)
    headers = [("accept", "text/event-stream, application/json")]
    if body:
        headers.append(("content-type", "application/json"))
    if key := values.get("key"):
        headers.append(("authorization", secret(key, "Bearer ")))
    reply = send(method, f"{need(values, 'base-url').rstrip('/')}/{path}", headers, body)
    if not reply.is_success:
        raise answer.refusal(reply.status, reply.some(REFUSAL_BYTES), reply.header("retry-after"))
    return reply
