"""A small client over `wasi:http`. The host connects to nobody whom the operator did not grant, puts secrets in, and limits time and size."""

import re

from componentize_py_types import Err, Ok
from wit_world.imports import outgoing_handler
from wit_world.imports import skep_plugin_types as t
from wit_world.imports import wasi_http_types as http
from wit_world.imports.secrets import Secret
from wit_world.imports.streams import StreamError_Closed

PIECE_BYTES = 16 * 1024
WRITE_BYTES = 4096  # The most that the host takes at once.


def refused(kind, message, field=None):
    """An error of the contract, to be raised: `kind` is its case."""
    if kind in ("invalid", "too_long"):
        invalid = t.Invalid(field, message)
        return Err(t.Error_Invalid(invalid) if kind == "invalid" else t.Error_TooLong(invalid))
    cases = {
        "malformed": t.Error_Malformed,
        "unsupported": t.Error_Unsupported,
        "exhausted": t.Error_Exhausted,
        "denied": t.Error_Denied,
        "other": t.Error_Other,
    }
    return Err(cases[kind](message))


def need(settings, name):
    value = settings.get(name)
    if not value:
        raise refused("invalid", f"the setting `{name}` is missing", name)
    return value


def secret(name, prefix):
    """What stands for a secret in a header: the host puts its text there, and no plugin ever sees it."""
    with Secret.open(name) as opened:
        return opened.header_value(prefix)


def send(method, url, headers, body=b""):
    """Sends a request; the answer's body is read piece by piece. `method` is `Get` or `Post`, `headers` are pairs of texts."""
    parts = re.fullmatch(r"(https?)://([^/?#]+)([^#]*)(#.*)?", url, re.IGNORECASE | re.DOTALL)
    if not parts:
        raise refused("invalid", f"`{url}` is no address")
    scheme, host, path = parts[1].lower(), parts[2], parts[3]
    request = http.OutgoingRequest(
        http.Fields.from_list([(name, value.encode()) for name, value in headers])
    )
    request.set_method(http.Method_Post() if method == "Post" else http.Method_Get())
    request.set_scheme(http.Scheme_Http() if scheme == "http" else http.Scheme_Https())
    request.set_authority(host)
    request.set_path_with_query(path if path.startswith("/") else f"/{path}")
    out = request.body()
    with out.write() as writing:
        try:
            coming = outgoing_handler.handle(request, None)
        except Err as error:
            raise lost(error.value, host) from None
        try:
            for at in range(0, len(body), WRITE_BYTES):
                writing.blocking_write_and_flush(body[at : at + WRITE_BYTES])
        except Err:
            pass  # Whoever wants no more of it has answered already, or says below why not.
    try:
        http.OutgoingBody.finish(out, None)
    except Err:
        pass  # As above.
    with coming.subscribe() as ready:
        ready.block()
    came = coming.get()
    came = came.value if isinstance(came, Ok) else came
    if not isinstance(came, Ok):
        raise lost(came.value if isinstance(came, Err) else None, host)
    return Answer(came.value, host)


class Answer:
    def __init__(self, response, host):
        self.host = host
        self.status = response.status()
        with response.headers() as headers:
            self.headers = headers.entries()
        self.body = response.consume()
        self.stream = self.body.stream()

    def __del__(self):
        # A body must outlive its stream, and Python would let them go as it likes.
        self.stream.__exit__(None, None, None)
        self.body.__exit__(None, None, None)

    @property
    def is_success(self):
        return 200 <= self.status < 300

    def header(self, name):
        for known, value in self.headers:
            if known.lower() == name:
                return value.decode("utf-8", "replace")
        return None

    def read(self):
        """The next piece; none at the end."""
        while True:
            try:
                piece = self.stream.blocking_read(PIECE_BYTES)
            except Err as error:
                if isinstance(error.value, StreamError_Closed):
                    return None
                raise lost(http.http_error_code(error.value.value), self.host) from None
            # Nothing yet is no end.
            if piece:
                return piece

    def some(self, limit):
        """As much as comes and as fits: of what a service says of a failure, the beginning is enough."""
        said = b""
        try:
            while len(said) < limit and (piece := self.read()):
                said += piece
        except Err:
            pass  # What came is what there is.
        return said[:limit].decode("utf-8", "replace")

    def whole(self, limit):
        """All of it, which must not be longer."""
        said = b""
        while piece := self.read():
            said += piece
            if len(said) > limit:
                raise refused("malformed", f"the service sent more than {limit} bytes")
        return said


def lost(code, host):
    if isinstance(code, (http.ErrorCode_HttpRequestDenied, http.ErrorCode_DestinationIpProhibited)):
        return refused("denied", f"requests to `{host}` are not granted")
    why = "the connection broke"
    if code is not None:
        name = type(code).__name__.removeprefix("ErrorCode_")
        why = re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
    return refused("other", f"`{host}` did not answer: {why}")
