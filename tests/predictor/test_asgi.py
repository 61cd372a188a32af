import asyncio
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictor.http.asgi import Middleware
from predictor.messages import RequestHeaders, Response
from predictor.model.artifact import LinearModel
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.model.scorer import Scorer
from predictor.service.inference import Service
from predictor.settings import Settings

INLINE = 256


async def unreachable_application(scope: object, receive: object, send: object) -> None:
    raise AssertionError("the request was passed on")


@pytest.fixture
def service(one_feature: LinearModel) -> Service:
    served = ModelHandle("linear-regressor", Path("models/7"))
    served.loaded = LoadedModel(one_feature, "digest", Scorer(one_feature), 0.0)
    return Service(served, Settings(model_dir=Path("models/7"), inline_bytes=INLINE))


@pytest.mark.parametrize(("size", "in_a_thread"), [(INLINE, False), (INLINE + 1, True)])
def test_bodies_over_the_inline_size_are_answered_in_a_thread(
    service: Service, monkeypatch: pytest.MonkeyPatch, size: int, in_a_thread: bool
) -> None:
    threads: list[threading.Thread] = []
    compute = service.compute

    def watched(handler: Any, head: RequestHeaders, body: bytes | bytearray) -> Response:
        threads.append(threading.current_thread())
        return compute(handler, head, body)

    monkeypatch.setattr(service, "compute", watched)
    body = b'{"instances":[0]}'.ljust(size)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=Middleware(unreachable_application, service))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post("/batch", content=body)

    answer = asyncio.run(post())
    assert answer.json() == {"predictions": [one_feature_intercept(service)]}
    assert [thread is not threading.main_thread() for thread in threads] == [in_a_thread]


def one_feature_intercept(service: Service) -> float:
    return service.served.require().scorer.intercept
