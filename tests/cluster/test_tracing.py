"""Spans of an installed predictor reach a collector in another namespace, through the network policy."""

import base64
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.cluster.installers import NAME, NAMESPACE, Installer, Settings
from tests.cluster.kube import kubectl, wait_for
from tests.cluster.service import Service, X
from tests.support.collector import attributes_of

HERE = Path(__file__).parent
# Where the chart's example and the overlay expect it.
PLACE, COLLECTOR = "monitoring", "opentelemetry-collector"


@pytest.fixture(scope="module")
def traced_image() -> str:
    """The image with OpenTelemetry; the tests are skipped without it."""
    if image := os.environ.get("PREDICTOR_IMAGE_TRACING"):
        return image
    pytest.skip("LEFT OUT: PREDICTOR_IMAGE_TRACING, an image with OpenTelemetry, is not set")


@pytest.fixture(scope="module")
def collector(traced_image: str) -> Iterator[None]:
    """A collector."""
    if not kubectl("get", "namespace", PLACE, "--ignore-not-found"):
        kubectl("create", "namespace", PLACE)
    script = f"--from-file={HERE / 'collector.py'}"
    kubectl("-n", PLACE, "create", "configmap", COLLECTOR, script)
    manifest = (HERE / "collector.yaml").read_text().replace("COLLECTOR_IMAGE", traced_image)
    try:
        kubectl("-n", PLACE, "apply", "-f", "-", stdin=manifest)
        kubectl("-n", PLACE, "rollout", "status", f"deploy/{COLLECTOR}", "--timeout=120s", timeout=130)
        yield
    finally:
        kubectl("-n", PLACE, "delete", "deployment,service,configmap", COLLECTOR, "--ignore-not-found")


@pytest.fixture(scope="module")
def traced(collector: None, traced_image: str, installer: Installer, service: Service) -> Service:
    """Version 1, whose spans go to the collector."""
    installer.apply(Settings(traced_image, tracing=True))
    service.wait_for_version("1", pods=2)
    return service


def test_recorded_trace_reaches_the_collector_and_another_does_not(traced: Service) -> None:
    trace, other = secrets.token_hex(16), secrets.token_hex(16)
    for identity, flags in ((other, "00"), (trace, "01")):
        sent = {"traceparent": f"00-{identity}-{secrets.token_hex(8)}-{flags}"}
        response = traced.request("POST", "/stream", {"instance": X}, fields=sent)
        assert response.content.decode() == traced.expected_response("1")
        assert response.headers["traceparent"].startswith(f"00-{identity}-")
    resource, span = wait_for("the span", lambda: received()[trace], 60)
    assert span.name == "POST /stream"
    found = attributes_of(resource)
    assert (found["service.name"], found["k8s.namespace.name"]) == (NAME, NAMESPACE)
    assert found["k8s.pod.name"] in {pod["metadata"]["name"] for pod in traced.pods()}
    assert other not in received()


def received() -> dict[str, tuple[Any, Any]]:
    """Return the resources and the spans that the collector has, by their traces."""
    path = f"/api/v1/namespaces/{PLACE}/services/{COLLECTOR}:4318/proxy/"
    lines = kubectl("get", "--raw", path).splitlines()
    requests = [ExportTraceServiceRequest.FromString(base64.b64decode(line)) for line in lines]
    return {
        span.trace_id.hex(): (resource.resource, span)
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
