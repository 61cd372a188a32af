"""Runs a predictor whose worker threads wait as long as a file exists; the event loop never waits.

``python slow_predictor.py FILE PYTHON -m predictor ...``; a thread that waits makes the file ``FILE.waits``.
"""

import sys
import time
from pathlib import Path

from predictor.__main__ import main
from predictor.messages import Handler, Request, Response
from predictor.service.inference import InferenceService

compute = InferenceService.compute


def compute_slowly(self: InferenceService, handler: Handler, request: Request) -> Response:
    """Wait until the file is gone, and compute."""
    if not request.inline and file.exists():
        file.with_suffix(".waits").touch()
        while file.exists():
            time.sleep(0.005)
    return compute(self, handler, request)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    InferenceService.compute = compute_slowly  # type: ignore[method-assign]
    del sys.argv[1:5]
    main()
