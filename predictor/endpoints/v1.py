"""KServe's V1 protocol: ``:predict``, and ``:explain`` with what each feature contributes."""

from functools import partial

import orjson

from predictor.codecs import json_output, json_rows
from predictor.codecs.cost import require_cheap
from predictor.errors import NotSupported
from predictor.messages import JSON, Request, Response
from predictor.service.inference import InferenceService

_ROWS_AT_ONCE = 4096
_COST = 4
"""A number of an explanation takes as long as reading so many bytes carefully."""
_SHARE = 10
"""An explanation is as long as some ten predictions, so a request may have a tenth of the rows."""


def predict(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /v1/models/M:predict``."""
    handle = service.handle
    request.headers.require(JSON)
    X = json_rows.v1(request, handle.require().model.inputs, handle.check_rows)
    return Response(json_output.predictions(service.predict(request, X)), rows=len(X))


def explain(service: InferenceService, request: Request) -> Response:
    """Answer ``POST /v1/models/M:explain`` with each prediction's intercept and contributions.

    Raises:
        NotSupported: the kind of model has no exact explanation.
    """
    model = service.handle.require().model
    if not model.explains:
        raise NotSupported(f"a model of the kind {model.kind} has no exact explanation of its predictions")
    request.headers.require(JSON)
    check_rows = partial(service.handle.check_rows, share=_SHARE)
    X = json_rows.v1(request, model.inputs, check_rows)
    check_rows(len(X))
    require_cheap(_COST * (len(X) + X.size), inline=request.inline)
    predictions = service.predict(request, X)
    parts = []
    for start in range(0, len(X), _ROWS_AT_ONCE):
        request.checkpoint()
        rows = slice(start, start + _ROWS_AT_ONCE)
        parts.append(orjson.dumps(json_output.explanations(model, X[rows], predictions[rows]))[1:-1])
    return Response(b"".join([b'{"explanations":[', b",".join(parts), b"]}"]), rows=len(X))
