"""Runs a predictor whose model is slow in threads: as long as a file exists, it does not answer there.

``python slow_model.py FILE PYTHON -m predictor ...``; the event loop stays as fast as it is.
"""

import sys
import time
from pathlib import Path
from typing import Any

from predictor.__main__ import main
from predictor.messages import Request
from predictor.service.inference import InferenceService

predict = InferenceService.predict


def predict_slowly(service: InferenceService, request: Request, X: Any) -> Any:
    """Wait until the file is gone, and predict."""
    while not request.inline and file.exists():
        time.sleep(0.005)
    return predict(service, request, X)


if __name__ == "__main__":
    file = Path(sys.argv[1])
    InferenceService.predict = predict_slowly  # type: ignore[assignment,method-assign]
    del sys.argv[1:5]
    main()
