"""Whether the services of this server are well."""

import pytest
from grpc_health.v1 import health_pb2

from predictor.errors import InvalidInput, NotFound
from predictor.grpc.health import INFERENCE, check
from predictor.messages import Request
from tests.support.server import NAME
from tests.support.service import make_service


def status(name: str, *, loaded: bool = True, draining: bool = False) -> str:
    service = make_service()
    service.handle.draining = draining
    if not loaded:
        service.handle.unload()
    body = health_pb2.HealthCheckRequest(service=name).SerializeToString()
    found = health_pb2.HealthCheckResponse.FromString(check(service, Request(body=body)).body)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(found.status))


@pytest.mark.parametrize("name", ["", INFERENCE, NAME])
def test_serves_while_the_model_is_loaded_and_the_server_does_not_end(name: str) -> None:
    assert status(name) == "SERVING"
    assert status(name, loaded=False) == "NOT_SERVING"
    assert status(name, draining=True) == "NOT_SERVING"


def test_other_services_do_not_exist() -> None:
    with pytest.raises(NotFound, match=r"^service other does not exist$"):
        status("other")
    with pytest.raises(NotFound) as caught:
        status("x" * 1000)
    assert len(str(caught.value)) < 120


def test_refuses_a_malformed_message() -> None:
    with pytest.raises(InvalidInput, match="malformed message"):
        check(make_service(), Request(body=b"\x0a\xff"))
