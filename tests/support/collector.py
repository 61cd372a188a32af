"""A collector of spans: it takes what OTLP/HTTP sends, and keeps it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.http import answering
from tests.support.processes import wait_until


@dataclass
class Collector:
    """Receives spans.

    Attributes:
        url: the endpoint for OTEL_EXPORTER_OTLP_ENDPOINT.
        received: the requests, as they were sent.
    """

    url: str = ""
    received: list[bytes] = field(default_factory=list)

    def spans(self) -> list[Any]:
        """Return all spans so far."""
        return [
            span for resource in self.resources() for scope in resource.scope_spans for span in scope.spans
        ]

    def resources(self) -> list[Any]:
        """Return the spans by the process that sent them."""
        requests = map(ExportTraceServiceRequest.FromString, self.received)
        return [resource for request in requests for resource in request.resource_spans]

    def wait_for(self, trace_id: str) -> Any:
        """Return the span of a trace, once it is here."""

        def find() -> Any:
            return next((span for span in self.spans() if span.trace_id.hex() == trace_id), None)

        return wait_until(find, what=f"a span of the trace {trace_id}")


def attributes_of(item: Any) -> dict[str, Any]:
    """Return the attributes of a span or of a resource."""
    return {
        attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value"))
        for attribute in item.attributes
    }


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found = self.path == "/v1/traces"
            if found:
                collector.received.append(body)
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_arguments: object) -> None:
            pass

    with answering(Handler) as collector.url:
        yield collector
