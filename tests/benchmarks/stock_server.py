"""KServe's own server, default flags, with a model that does the same multiply-add."""

from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

WEIGHT, INTERCEPT = 938.25, 152.0


class StockModel(Model):
    """One feature, V1 and V2, as KServe's samples write a model."""

    def load(self) -> bool:
        """Be ready."""
        self.ready = True
        return True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Multiply and add."""
        if isinstance(payload, InferRequest):
            values = payload.inputs[0].as_numpy()[:, 0] * WEIGHT + INTERCEPT
            output = InferOutput("predictions", [len(values)], "FP64")
            output.set_data_from_numpy(values, binary_data=payload.use_binary_outputs)
            return InferResponse(payload.id or "", self.name, [output])
        return {"predictions": (np.array(payload["instances"])[:, 0] * WEIGHT + INTERCEPT).tolist()}


if __name__ == "__main__":
    model = StockModel("linear-regressor")
    model.load()
    ModelServer().start([model])
