"""Who may label which predictions."""

from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from predictor.endpoints import feedback
from predictor.feedback.recorder import GroundTruth, Recorder
from predictor.identity import Identity
from predictor.messages import Principal, Request
from predictor.service.auth import ANONYMOUS, ANYBODY
from predictor.service.inference import InferenceService
from tests.support.service import make_service

OWN = Principal("shop", frozenset({"feedback"}))
ALL = Principal("audit", frozenset({"feedback", "feedback:all"}))


class Recording(Recorder):
    """Keeps in memory what it is given."""

    def __init__(self) -> None:
        self.labels: list[tuple[str, GroundTruth]] = []
        self.names: tuple[str, ...] = ()

    def record_ground_truth(
        self, principal: str, labels: Sequence[GroundTruth], *names: str
    ) -> "Future[None]":
        self.labels += [(principal, label) for label in labels]
        self.names = names
        return Future()


@pytest.fixture
def service() -> InferenceService:
    service = make_service()
    service.recorder = Recording()
    return service


def send(service: InferenceService, principal: Principal, body: bytes) -> tuple[int, str]:
    """Send feedback; returns its status and the body."""
    request = Request(body=body, principal=principal)
    response = service.compute(lambda request: feedback.record(service, request), request)
    return response.status, response.body.decode()


@pytest.mark.parametrize(
    ("principal", "given", "labelled"),
    [
        (OWN, b"", "shop"),
        (OWN, b', "principal": "shop"', "shop"),
        (ALL, b"", None),
        (ALL, b', "principal": "shop"', "shop"),
        (ANONYMOUS, b"", ""),
        (ANYBODY, b"", None),
        (ANYBODY, b', "principal": "shop"', "shop"),
    ],
)
def test_label_is_of_the_principals_own_predictions_or_with_a_scope_of_others(
    service: InferenceService, principal: Principal, given: bytes, labelled: str | None
) -> None:
    assert send(service, principal, b'{"id": "a", "target": 1%b}' % given) == (200, '{"stored":1}')
    assert isinstance(service.recorder, Recording)
    assert service.recorder.labels == [(principal.name, GroundTruth("a", (1.0,), 0, labelled))]


@pytest.mark.parametrize("principal", [OWN, ANONYMOUS])
def test_other_principals_predictions_need_the_scope_for_that(
    service: InferenceService, principal: Principal
) -> None:
    body = b'{"feedback": [{"id": "a", "target": 1}, {"id": "b", "target": 1, "principal": "audit"}]}'
    status, message = send(service, principal, body)
    assert status == 403
    assert 'lacks the scope \\"feedback:all\\"' in message
    assert isinstance(service.recorder, Recording)
    assert not service.recorder.labels, "not even the label of its own"


def test_ground_truth_has_the_id_and_the_trace_of_its_request(service: InferenceService) -> None:
    names = {b"x-request-id": b"labels-1", b"traceparent": b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01"}
    request = Request(body=b'{"id": "a", "target": 1}', principal=OWN, identity=Identity.of_fields(names))
    feedback.record(service, request)
    assert isinstance(service.recorder, Recording)
    assert service.recorder.names == ("labels-1", "ab" * 16)
