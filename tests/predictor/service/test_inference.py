"""The inference service: one set of rules for every transport."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.operations.rollout.pods import PROBE
from predictor.codecs.cost import TooCostly
from predictor.errors import InvalidInput, TooLarge
from predictor.feedback.recorder import Predicted
from predictor.messages import Handler, Request, Response
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.model.kinds.linear import LinearModel
from predictor.service.auth import ApiKeys, Authorizer
from predictor.service.call import Call
from predictor.service.exchange import Exchange
from predictor.service.inference import InferenceService
from predictor.service.memory_budget import Reservation
from predictor.settings import Settings
from tests.support.freed import watched
from tests.support.server import api_key_line

INLINE = 100
TOKEN = {b"authorization": b"Bearer admin"}


class Recording:
    """Takes what is recorded for feedback."""

    def __init__(self) -> None:
        self.items: list[Predicted] = []

    def record_predictions(self, item: Predicted) -> None:
        self.items.append(item)


@pytest.fixture
def handle(three_features: LinearModel) -> ModelHandle:
    handle = ModelHandle("linear-regressor", Path("models/7"), max_rows=4)
    handle.loaded = LoadedModel(three_features, "digest", 0.0)
    return handle


@pytest.fixture
def make_service(handle: ModelHandle) -> Iterator[Callable[..., InferenceService]]:
    made = []

    def make(recorder: Any = None, **settings: Any) -> InferenceService:
        limits = {"inline_bytes": INLINE, "queue": 1, "max_memory_bytes": 10_000, **settings}
        service = InferenceService(handle, Settings(**limits), Authorizer("off", "admin"), recorder)
        made.append(service)
        return service

    yield make
    for service in made:
        service.executor.pool.shutdown()


@pytest.fixture
def service(make_service: Callable[..., InferenceService]) -> InferenceService:
    return make_service()


def ask(
    service: InferenceService, handler: Handler, body: bytes = b"", scope: Any = "predict", **fields: bytes
) -> Response:
    """Answer one call as a transport does, and check that nothing stays reserved but the response."""
    sent = {k.replace("_", "-").encode(): v for k, v in fields.items()}
    call = Call("test", scope, handler, sent, "POST", "/t")

    async def read(reservation: Reservation) -> bytes:
        reservation.grow(len(body))
        return body

    async def run() -> Response:
        with Exchange(service, call, lambda: ("::1", ())) as exchange:
            response = await exchange.answer(read)
            assert exchange.reservation.size == len(response.body)
            assert service.metrics.in_progress == 1
            return response._replace(headers=(*response.headers, *exchange.identity.fields))

    response = asyncio.run(run())
    assert (service.memory.used, service.metrics.in_progress) == (0, 0)
    return response


def echo(request: Request) -> Response:
    return Response(bytes(request.body), rows=2)


def fail(error: Exception) -> Handler:
    def handler(_request: Request) -> Response:
        raise error

    return handler


def test_answers_and_counts_a_call(service: InferenceService) -> None:
    assert ask(service, echo, b"body").body == b"body"
    series = service.metrics.series("test")
    series.merge()
    assert (counted(service), series.rows.total) == ({200: 1}, 2)


def counted(service: InferenceService) -> dict[int, int]:
    series = service.metrics.series("test")
    series.merge()
    return {code: count for code, count in series.codes.items() if count}


def test_counts_a_call_when_it_is_finished_and_not_before(service: InferenceService) -> None:
    call = Call("test", "public", echo, {}, "POST", "/t")

    async def read(_reservation: Reservation) -> bytes:
        return b"body"

    exchange = Exchange(service, call)
    asyncio.run(exchange.answer(read))
    assert counted(service) == {}
    exchange.finish()
    assert counted(service) == {200: 1}


@pytest.mark.parametrize("read_whole", [True, False])
def test_a_call_that_is_cancelled_counts_as_one_whose_client_is_gone(
    service: InferenceService, *, read_whole: bool
) -> None:
    call = Call("test", "public", echo, {}, "POST", "/t")

    async def read(reservation: Reservation) -> bytes:
        reservation.grow(INLINE + 1)
        if not read_whole:
            await asyncio.Event().wait()
        return bytes(INLINE + 1)

    async def run() -> None:
        with Exchange(service, call) as exchange:
            await exchange.answer(read)

    async def cancel() -> None:
        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert counted(service) == {499: 1}
    assert (service.metrics.rejected["gone"], service.memory.used, service.metrics.in_progress) == (1, 0, 0)


def test_a_fault_in_reading_is_logged_and_its_message_stays_here(
    service: InferenceService, caplog: pytest.LogCaptureFixture
) -> None:
    async def read(_reservation: Reservation) -> bytes:
        raise ZeroDivisionError("secret")

    exchange = Exchange(service, Call("test", "public", echo, {}, "POST", "/t"))
    response = asyncio.run(exchange.answer(read))
    exchange.finish()
    assert (response.status, response.body) == (500, b'{"error":"internal error"}')
    assert caplog.records[0].exc_info


def test_an_error_becomes_a_response_with_its_status(service: InferenceService) -> None:
    response = ask(service, fail(InvalidInput("instances[3]: wrong")))
    assert (response.status, response.body) == (400, b'{"error":"instances[3]: wrong"}')
    assert response.error is not None
    assert response.error.grpc_code == "INVALID_ARGUMENT"


def test_a_fault_of_ours_is_logged_and_its_message_stays_here(
    service: InferenceService, caplog: pytest.LogCaptureFixture
) -> None:
    response = ask(service, fail(ZeroDivisionError("secret")))
    assert (response.status, response.body) == (500, b'{"error":"internal error"}')
    assert caplog.records[0].exc_info


def test_small_bodies_are_computed_on_the_event_loop_and_others_in_a_thread(
    service: InferenceService,
) -> None:
    inline: list[tuple[bool, bool]] = []

    def handler(request: Request) -> Response:
        inline.append((request.inline, threading.current_thread() is threading.main_thread()))
        return Response(b"")

    ask(service, handler, b"x" * INLINE)
    ask(service, handler, b"x" * (INLINE + 1))
    ask(service, handler, b"", content_encoding=b"identity")
    assert inline == [(True, True), (False, False), (False, False)]


def test_work_that_is_too_costly_for_the_event_loop_is_repeated_in_a_thread(
    make_service: Callable[..., InferenceService],
) -> None:
    recording = Recording()
    service = make_service(recording)

    def handler(request: Request) -> Response:
        service.predict(request, np.zeros((1, 3)))
        if request.inline:
            raise TooCostly
        return Response(b"done")

    assert ask(service, handler).body == b"done"
    assert [len(item.rows) for item in recording.items] == [1]


def test_a_response_that_takes_too_long_is_504_and_its_work_ends_at_the_next_checkpoint(
    make_service: Callable[..., InferenceService],
) -> None:
    service = make_service(answer_seconds=0.05)
    ended = threading.Event()

    def handler(request: Request) -> Response:
        try:
            while True:
                request.checkpoint()
        finally:
            ended.set()

    response = ask(service, handler, b"x" * (INLINE + 1))
    assert response.status == 504
    assert ended.wait(60)
    assert service.metrics.rejected["deadline"] == 1


def test_a_thread_frees_the_body_that_it_has_read(make_service: Callable[..., InferenceService]) -> None:
    service, (make, freed) = make_service(Recording()), watched()
    requests = []

    def handler(request: Request) -> Response:
        service.predict(request, np.zeros((1, 3)))
        requests.append(request)
        return Response(b"")

    async def read(_reservation: Reservation) -> bytes:
        return make(INLINE + 1)

    async def run() -> None:
        with Exchange(service, Call("test", "public", handler, {}, "POST", "/t")) as exchange:
            await exchange.answer(read)
            assert freed == [True]

    asyncio.run(run())
    assert (requests[0].body, requests[0].predictions) == (b"", [])


def test_a_thread_frees_its_response_if_nobody_waits_for_it_any_more(
    make_service: Callable[..., InferenceService],
) -> None:
    service, (make, freed) = make_service(answer_seconds=0.05), watched()

    def handler(request: Request) -> Response:
        while not request.abandoned:
            time.sleep(0.001)
        return Response(make(1))

    assert ask(service, handler, b"x" * (INLINE + 1)).status == 504
    service.executor.pool.shutdown()
    assert freed == [True]


def test_refuses_a_large_body_while_the_queue_is_full(service: InferenceService) -> None:
    service.executor.jobs = service.executor.capacity
    service.check_room(INLINE)
    with pytest.raises(Exception, match="too many large requests are waiting"):
        service.check_room(INLINE + 1)


def test_refuses_a_body_beyond_the_memory_budget(service: InferenceService) -> None:
    response = ask(service, echo, b"x" * 10_001)
    assert (response.status, dict(response.headers)[b"retry-after"]) == (503, b"1")
    assert service.metrics.rejected["memory"] == 1


def test_audits_refusals_and_administration(
    service: InferenceService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "predictor.audit")
    assert ask(service, echo, scope="admin").status == 401
    assert ask(service, echo, scope="admin", authorization=b"Bearer wrong").status == 401
    assert ask(service, echo, scope="admin", authorization=b"Bearer admin").status == 200
    assert ask(service, echo).status == 200
    audited = [(record.getMessage(), vars(record)["client"]) for record in caplog.records]
    assert audited == [("refused", "::1"), ("refused", "::1"), ("admitted", "::1")]
    assert vars(caplog.records[0])["trace_id"] != vars(caplog.records[1])["trace_id"]
    assert service.metrics.rejected["unauthorized"] == 2


def test_a_call_that_clients_share_is_refused_once_the_key_is_withdrawn(
    handle: ModelHandle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "predictor.audit")
    file = tmp_path / "keys"
    file.write_text(api_key_line("secret", "client", "predict"))
    keys = ApiKeys(file)
    service = InferenceService(handle, Settings(), Authorizer("required", None, (keys,)))
    call = Call("test", "predict", echo, {b"x-api-key": b"secret"}, "POST", "/t")
    names = []

    async def nothing(_reservation: Reservation) -> bytes:
        return b""

    for withdrawn in (False, False, True, True):
        if withdrawn:
            file.write_text("")
            keys.refresh()
        with Exchange(service, call) as exchange:
            asyncio.run(exchange.answer(nothing))
            names.append((exchange.response.status, exchange.principal.name))
    assert names == [(200, "client")] * 2 + [(401, "")] * 2
    assert len(caplog.records) == 2
    assert call.grant.principal.name == ""


def test_predict_checks_the_number_of_rows(service: InferenceService) -> None:
    assert service.predict(Request(), np.zeros((4, 3))).tolist() == [152.5] * 4
    with pytest.raises(TooLarge, match="more than 4 rows"):
        service.predict(Request(), np.zeros((5, 3)))


def test_records_predictions_under_the_id_of_the_request(
    make_service: Callable[..., InferenceService],
) -> None:
    recording = Recording()
    service = make_service(recording)

    def handler(request: Request) -> Response:
        service.predict(request, np.ones((1, 3)))
        service.predict(request, np.zeros((2, 3)))
        return Response(b"")

    response = ask(service, handler, x_request_id=b"mine")
    assert dict(response.headers)[b"x-request-id"] == b"mine"
    (item,) = recording.items
    assert (item.id, item.version, np.asarray(item.rows).tolist()) == (
        "mine",
        "7",
        [[1.0] * 3, [0.0] * 3, [0.0] * 3],
    )
    response = ask(service, handler, x_request_id=b"not plain!")
    assert dict(response.headers)[b"x-request-id"] == recording.items[1].id.encode() != b"not plain!"


def test_refused_requests_are_not_recorded(make_service: Callable[..., InferenceService]) -> None:
    recording = Recording()
    service = make_service(recording)

    def handler(request: Request) -> Response:
        service.predict(request, np.zeros((1, 3)))
        service.predict(request, np.full((1, 3), np.nan))
        return Response(b"")

    assert ask(service, handler).status == 400
    assert recording.items == []


def test_a_model_that_is_not_loaded_is_503(service: InferenceService, handle: ModelHandle) -> None:
    handle.unload()
    response = ask(service, lambda request: Response.of(service.predict(request, np.zeros((1, 3))).tolist()))
    assert (response.status, response.body) == (
        503,
        b'{"error":"model linear-regressor is not ready: it was unloaded"}',
    )


def test_a_probe_of_a_rollout_is_neither_recorded_nor_sampled_for_drift(
    make_service: Callable[..., InferenceService],
) -> None:
    service = make_service(Recording())
    probe, other = Request(), Request()
    probe.identify(PROBE["X-Request-Id"])
    row = np.zeros((1, 3))
    assert service.predict(probe, row).shape == (1,)
    service.drift.count()
    assert probe.predictions == []
    assert service.drift.report is None
    service.predict(other, row)
    service.drift.count()
    assert len(other.predictions) == 1
    assert service.drift.report
