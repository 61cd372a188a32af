"""The model as KServe knows it: for gRPC, for CloudEvents, and for whoever calls its data plane."""

from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelRepository
from kserve import errors as kserve_errors
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from predictor.codecs import json_strict, tensors
from predictor.codecs.tensors import Tensor
from predictor.endpoints import native
from predictor.errors import InvalidInput, PredictorError
from predictor.model.handle import ModelHandle

KSERVE_STATUS: dict[type[Exception], int] = {
    kserve_errors.InvalidInput: 400,
    kserve_errors.InferenceError: 400,
    kserve_errors.ModelNotFound: 404,
    kserve_errors.ModelNotReady: 503,
    NotImplementedError: 501,
}
"""What KServe's own errors mean to a client."""


class Repository(ModelRepository):
    """KServe's registry, with the one model that can be read again, or forgotten, but never removed."""

    def __init__(self, served: ModelHandle) -> None:
        super().__init__()
        self.served = served
        self.update(ServedModel(served))

    def load(self, name: str) -> bool:
        """Read the model folder again."""
        return name == self.served.name and self.served.load()

    def unload(self, name: str) -> None:
        """Forget the model.

        Raises:
            KeyError: it is another model.
        """
        if name != self.served.name:
            raise KeyError(name)
        self.served.unload()


class Extension(ModelRepositoryExtension):
    """KServe's repository extension, with the answers that KServe's own gRPC service expects of it."""

    async def load(self, model_name: str) -> dict[str, Any]:
        """Read the model folder again."""
        await super().load(model_name)
        return {"name": model_name, "load": True}

    async def unload(self, model_name: str) -> dict[str, Any]:
        """Forget the model."""
        await super().unload(model_name)
        return {"name": model_name, "unload": True}


class Plane(DataPlane):
    """KServe's data plane, with a client's error for whatever it can't read of a client's CloudEvent."""

    def decode(self, *arguments: Any, **named: Any) -> Any:
        """Read a request.

        Raises:
            InvalidInput: it can't be read.
        """
        try:
            return super().decode(*arguments, **named)
        except (PredictorError, kserve_errors.InvalidInput) as error:
            raise InvalidInput(getattr(error, "reason", str(error))) from error
        except Exception as error:
            raise InvalidInput(f"the request can't be read: {error}") from error


class ServedModel(Model):
    """KServe's interface to the model that is served."""

    def __init__(self, served: ModelHandle) -> None:
        super().__init__(served.name)
        self.served = served

    @property
    def ready(self) -> bool:
        """Whether it may be asked; KServe's own code reads and would write this."""
        return self.served.ready

    @ready.setter
    def ready(self, value: bool) -> None:
        """Readiness follows from what is served alone."""

    def load(self) -> bool:
        """Tell whether the model is loaded; KServe asks at each request to a model that is not ready."""
        return self.served.loaded is not None

    def get_input_types(self) -> list[dict[str, Any]]:
        """The input tensor; its second size is not known while no model is loaded."""
        loaded = self.served.loaded
        return tensors.inputs(loaded.scorer.width if loaded else -1)

    def get_output_types(self) -> list[dict[str, Any]]:
        """The output tensor."""
        return tensors.outputs()

    def predict(
        self,
        payload: dict[str, Any] | InferRequest,
        headers: dict[str, str] | None = None,  # noqa: ARG002  KServe's signature
        response_headers: dict[str, str] | None = None,  # noqa: ARG002
    ) -> dict[str, Any] | InferResponse:
        """Answer a V1 document, or a V2 request."""
        if isinstance(payload, InferRequest):
            return self._infer(payload)
        scorer = self.served.require().scorer
        return {"predictions": scorer.rows(_instances(payload, scorer.width)).tolist()}

    def explain(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Explain a V1 document."""
        scorer = self.served.require().scorer
        return {"explanations": native.explanations(scorer, _instances(payload, scorer.width))}

    def _infer(self, request: InferRequest) -> InferResponse:
        scorer = self.served.require().scorer
        read = [_tensor(item, f"inputs[{i}]") for i, item in enumerate(request.inputs)]
        if not read:
            raise InvalidInput("inputs: expected at least one tensor")
        values = scorer.rows(tensors.matrix(read, scorer.names))
        output = InferOutput(name=tensors.OUTPUT, shape=[len(values)], datatype="FP64")
        output.set_data_from_numpy(values, binary_data=request.use_binary_outputs)
        return InferResponse(
            response_id=request.id or "",
            model_name=self.served.name,
            model_version=self.served.version,
            infer_outputs=[output],
            from_grpc=request.from_grpc,
        )


def _instances(payload: object, width: int) -> Any:
    member = json_strict.member(payload, "instances", others=True)
    return np.array(json_strict.table(member, width, "instances"), dtype=np.float64)


def _tensor(item: Any, where: str) -> Tensor:
    shape = tensors.shape(list(item.shape), f"{where}.shape")
    dtype = tensors.datatype(item.datatype, f"{where}.datatype")
    raw = item._raw_data  # noqa: SLF001  KServe keeps raw tensors under this name only
    if raw is not None:
        return Tensor(item.name, shape, tensors.from_bytes(raw, dtype, where))
    return Tensor(item.name, shape, np.asarray(item.data, dtype=np.float64))
