"""An environment of the predictor's lock alone serves everything, without the pipeline's packages."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest

from tests.support.environments import install_lock
from tests.support.server import NAME, start_predictor

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
ABSENT = ("kfp", "sklearn", "mlflow", "pyarrow", "fsspec", "matplotlib")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment made from the predictor's lock."""
    place = tmp_path_factory.mktemp("alone") / "venv"
    found = install_lock("predictor", place)
    (packages,) = place.glob("lib/python*/site-packages")
    shutil.copytree(ROOT / "predictor", packages / "predictor")
    for distribution in Path(next(p for p in sys.path if p.endswith("site-packages"))).glob(
        "linear_regressor*.dist-info"
    ):
        shutil.copytree(distribution, packages / distribution.name)
    return found


def test_the_packages_of_the_pipeline_are_not_installed(python: Path) -> None:
    for name in ABSENT:
        assert subprocess.run([str(python), "-c", f"import {name}"], capture_output=True).returncode == 1


def test_serves_every_protocol(python: Path) -> None:
    with start_predictor(python=str(python)) as server, server.http as client:
        assert client.post("/stream", json={"instance": 0.5}).json() == {"prediction": 621.125}
        v1 = client.post(f"/v1/models/{NAME}:predict", json={"instances": [[0.5]]})
        assert v1.json() == {"predictions": [621.125]}
        tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}
        v2 = client.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor]})
        assert v2.json()["outputs"][0]["data"] == [621.125]
        assert client.get("/docs").status_code == 200
        answer = asyncio.run(by_grpc(f"127.0.0.1:{server.grpc_port}"))
        assert answer.outputs[0].as_numpy().tolist() == [621.125]


async def by_grpc(url: str) -> Any:
    tensor = InferInput("instances", [1, 1], "FP64")
    tensor.set_data_from_numpy(np.array([[0.5]]))
    return await InferenceGRPCClient(url).infer(InferRequest(NAME, [tensor]))
