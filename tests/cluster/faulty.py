"""The predictor with a fault, for tests alone: version 4 errs, 5 answers NaN, 6 is slow."""

import os
import random
import time

from predictor import inference
from predictor.__main__ import main
from predictor.answer import Answer, Head
from predictor.errors import Unavailable
from predictor.served import Served

plain = inference.stream
version = os.environ.get("PREDICTOR_MODEL_VERSION", "")


def stream(served: Served, head: Head, body: bytes | bytearray) -> Answer:
    """Answer as the predictor does, but for the fault."""
    if version == "4" and random.random() < 0.5:
        raise Unavailable("a fault of the test")
    if version == "5":
        return Answer(b'{"prediction":NaN}')
    if version == "6":
        time.sleep(1.5)
    return plain(served, head, body)


inference.stream = stream
main()
