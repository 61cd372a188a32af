"""The predictor with a fault for tests: half of version 4's requests fail, 5 returns NaN, 6 is slow.

Of any version, a request fails whose ``x-request-id`` is ``fail``.
"""

import os
import random
from concurrent.futures import Future
from threading import Timer

from predictor.__main__ import main
from predictor.endpoints import native
from predictor.errors import Unavailable
from predictor.http.head_cache import HeadCache
from predictor.messages import Request, Response
from predictor.service.inference import InferenceService

original = native.stream
version = os.environ.get("PREDICTOR_MODEL_VERSION", "")


def stream(service: InferenceService, request: Request, *, interval: str = "") -> Response:
    """Answer like the predictor, except for the fault."""
    if request.identity.request_id == b"fail" or (version == "4" and random.random() < 0.5):
        raise Unavailable("injected fault")
    if version == "5":
        return Response(b'{"prediction":NaN}')
    answer = original(service, request, interval=interval)
    if version == "6":
        late: Future[None] = Future()
        Timer(1.5, late.set_result, [None]).start()
        return answer._replace(stored=late)
    return answer


native.stream = stream
# No request takes the fast path, so all of them call the function above.
HeadCache.find = lambda *_: None  # type: ignore[method-assign]
main()
