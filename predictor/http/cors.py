"""Cross-origin requests of web pages (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from collections.abc import Mapping, Sequence

from predictor.endpoints.routing import Route
from predictor.errors import HeaderFields
from predictor.messages import TEXT, Handler, Response

_EXPOSED = b"x-request-id, traceparent, tracestate, retry-after"
_SECONDS = b"600"


class Cors:
    """Lets pages of some origins read responses.

    Args:
        origins: those origins, or ``*`` for all; with none, nothing is added to any response.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def fields(self, request: Mapping[bytes, bytes]) -> HeaderFields:
        """Return the fields of the response to a request with these fields."""
        origin = request.get(b"origin")
        if not self._origins:
            return ()
        if origin is None or not self._origins & {origin, b"*"}:
            return ((b"vary", b"origin"),)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        )

    def preflight(self, method: str, request: Mapping[bytes, bytes], route: Route) -> Handler | None:
        """Return the handler of a preflight request; None for other requests, and without origins."""
        if method != "OPTIONS" or not self._origins or b"access-control-request-method" not in request:
            return None
        headers = (
            (b"access-control-allow-methods", ", ".join(route.handlers).encode()),
            (b"access-control-allow-headers", request.get(b"access-control-request-headers", b"")),
            (b"access-control-max-age", _SECONDS),
        )
        return lambda _: Response(b"", content_type=TEXT, headers=headers)
