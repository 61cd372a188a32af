"""KServe's V1 protocol: ``:predict``, and ``:explain`` with what each feature contributes."""

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from predictor.codecs import json_bulk
from predictor.endpoints.native import check_commas
from predictor.messages import JSON, Request, Response
from predictor.model.scorer import Scorer
from predictor.service.inference import InferenceService

_ROWS_AT_ONCE = 4096
_SHARE = 10
"""An explanation is as long as some ten predictions, so a request may have a tenth of the rows."""


def predict(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /v1/models/M:predict``."""
    width = service.handle.require().scorer.width
    request.headers.require(JSON)
    check_commas(service, request.body)
    X = json_bulk.instances(request, width, others=True)
    return Response(json_bulk.predictions(service.predict(request, X)), rows=len(X))


def explain(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /v1/models/M:explain`` with each prediction's intercept and contributions."""
    scorer = service.handle.require().scorer
    request.headers.require(JSON)
    check_commas(service, request.body, share=_SHARE)
    X = json_bulk.instances(request, scorer.width, others=True)
    service.handle.check_rows(len(X), share=_SHARE)
    predictions = service.predict(request, X)
    parts = []
    for start in range(0, len(X), _ROWS_AT_ONCE):
        request.checkpoint()
        rows = slice(start, start + _ROWS_AT_ONCE)
        parts.append(orjson.dumps(explanations(scorer, X[rows], predictions[rows]))[1:-1])
    return Response(b'{"explanations":[%b]}' % b",".join(parts), rows=len(X))


def explanations(
    scorer: Scorer, X: NDArray[np.float64], predictions: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Return for each row the prediction, and the intercept and contributions that add up to it."""
    contributions = scorer.contributions(X).tolist()
    return [
        {
            "prediction": prediction,
            "intercept": scorer.intercept,
            "contributions": dict(zip(scorer.names, row, strict=True)),
        }
        for prediction, row in zip(predictions.tolist(), contributions, strict=True)
    ]
