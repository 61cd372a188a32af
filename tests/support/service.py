"""An inference service without transports, and its answers to requests."""

from collections.abc import Callable, Sequence
from pathlib import Path

from predictor.codecs.cost import TooCostly
from predictor.messages import Request, RequestHeaders, Response
from predictor.model.base import Model
from predictor.model.evaluation import Evaluation
from predictor.model.handle import LoadedModel, ModelHandle
from predictor.service.inference import InferenceService
from predictor.settings import Settings
from tests.support.models import linear_model

Endpoint = Callable[[InferenceService, Request], Response]


def make_service(
    weights: Sequence[float] = (938.25,),
    *,
    max_rows: int = 1_000_000,
    features: Sequence[str] | None = None,
    model: Model | None = None,
) -> InferenceService:
    """Return a service of a model, or of a linear one; its features are bmi, bp and s1 if none are given."""
    if model is None:
        model = linear_model(weights, features=features) if features else linear_model(weights)
    handle = ModelHandle("linear-regressor", Path("models/7"), max_rows=max_rows)
    handle.loaded = load(model)
    return InferenceService(handle, Settings())


def load(model: Model, digest: str = "digest", evaluation: Evaluation | None = None) -> LoadedModel:
    """Return a model as if it had been read from a folder."""
    return LoadedModel(model, digest, 0.0, evaluation)


def answer(
    service: InferenceService, endpoint: Endpoint, body: bytes, headers: RequestHeaders | None = None
) -> Response:
    """Answer a request as the service does: on the event loop, and in a thread what is too much for it."""
    request = Request(headers or RequestHeaders(), body)
    request.inline = len(body) <= service.settings.inline_bytes
    try:
        return service.compute(lambda request: endpoint(service, request), request)
    except TooCostly:
        request.inline = False
        return service.compute(lambda request: endpoint(service, request), request)
