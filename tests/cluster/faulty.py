"""The predictor with a fault, for tests alone: version 4 errs, 5 answers NaN, 6 is slow."""

import os
import random
from concurrent.futures import Future
from threading import Timer

from predictor.__main__ import main
from predictor.endpoints import native
from predictor.errors import Unavailable
from predictor.http.fast_path import FastPath
from predictor.messages import RequestHeaders, Response
from predictor.model.handle import ModelHandle

plain = native.stream
version = os.environ.get("PREDICTOR_MODEL_VERSION", "")


def stream(served: ModelHandle, head: RequestHeaders, body: bytes | bytearray) -> Response:
    """Answer as the predictor does, but for the fault."""
    if version == "4" and random.random() < 0.5:
        raise Unavailable("a fault of the test")
    if version == "5":
        return Response(b'{"prediction":NaN}')
    answer = plain(served, head, body)
    if version == "6":
        late: Future[None] = Future()
        Timer(1.5, late.set_result, [None]).start()
        return answer._replace(waits=late)
    return answer


native.stream = stream
# Every request goes by the application, which asks the function above.
FastPath.find = lambda *_: None  # type: ignore[method-assign]
main()
