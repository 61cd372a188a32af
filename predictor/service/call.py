"""What a client asks for, whatever the transport."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from predictor.messages import Handler, RequestHeaders
from predictor.observability.counting import Transport
from predictor.service.auth import NO_GRANT, CachedGrant, Scope

Origin = Callable[[], tuple[str, Sequence[bytes]]]
"""Returns the address of the connected peer, and the values of ``X-Forwarded-For`` in their order.

Only audit lines need them, so they are not looked up for each call."""


@dataclass(slots=True)
class Call:
    """What a client asks for, whatever the transport. Calls that ask for the same may share it.

    Attributes:
        endpoint: the name in metrics and logs.
        scope: what a credential must grant.
        handler: computes the response.
        fields: header fields (HTTP) or metadata (gRPC), with lower-case names.
        method, path: as the request log shows them.
        transport: how the call came, as metrics and logs name it.
        route: the path as it is documented, without values in it, or the method of gRPC. Empty for an unknown
            path.
        headers: what the fields say about the bodies, if they were read already.
        grant: who asks, once that is known.
    """

    endpoint: str
    scope: Scope
    handler: Handler
    fields: Mapping[bytes, bytes]
    method: str
    path: str
    transport: Transport = "http"
    route: str = ""
    headers: RequestHeaders | None = None
    grant: CachedGrant = NO_GRANT

    def read_headers(self) -> RequestHeaders:
        """Return what the fields say about the bodies.

        Raises:
            UnsupportedMediaType: text in another charset than UTF-8.
        """
        return self.headers or RequestHeaders.of(self.fields)
