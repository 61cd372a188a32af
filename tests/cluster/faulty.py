"""The predictor with a fault for tests: half of version 4's requests fail, 5 returns NaN, 6 is slow."""

import os
import random
from concurrent.futures import Future
from threading import Timer

from predictor import inference
from predictor.__main__ import main
from predictor.answer import Answer, Head
from predictor.desk import Desk
from predictor.errors import Unavailable
from predictor.served import Served

original = inference.stream
version = os.environ.get("PREDICTOR_MODEL_VERSION", "")


def stream(served: Served, head: Head, body: bytes | bytearray) -> Answer:
    """Answer like the predictor, except for the fault."""
    if version == "4" and random.random() < 0.5:
        raise Unavailable("injected fault")
    if version == "5":
        return Answer(b'{"prediction":NaN}')
    answer = original(served, head, body)
    if version == "6":
        late: Future[None] = Future()
        Timer(1.5, late.set_result, [None]).start()
        return answer._replace(waits=late)
    return answer


inference.stream = stream
# No request takes the fast path, so all of them call the function above.
Desk.find = lambda *_: None  # type: ignore[method-assign]
main()
