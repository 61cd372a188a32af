"""The Python of the documents runs. `test_own_model.py` runs that of the guide to a model of your own."""

import ast
import asyncio
import inspect
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest

from components.train.regression import SimpleLinearRegression
from tests.docs.blocks import Block, blocks
from tests.docs.test_commands import publish
from tests.support.server import Server, start_predictor

BLOCKS = [one for one in blocks() if one.language == "python" and one.document != "docs/own-model.md"]
ROWS = np.array([[0.5], [0.2]])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_predictor(publish(tmp_path_factory.mktemp("diabetes"))) as running:
        yield running


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    """The names that the documents suppose: modules, rows to predict, and rows of y = 2x + 1 to train on."""
    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([1.0, 3.0, 5.0, 7.0])
    paths = [tmp_path / f"{number}.parquet" for number in range(2)]
    for path, part in zip(paths, (slice(0, 2), slice(2, 4)), strict=True):
        pq.write_table(pa.table({"bmi": X[part, 0], "target": y[part]}), path)
    modules = {"io": io, "json": json, "httpx": httpx, "numpy": np, "pyarrow": pyarrow}
    classes = (InferenceGRPCClient, InferInput, InferRequest, SimpleLinearRegression)
    data = {"X": X, "y": y, "paths": paths, "rows": ROWS, "table": pa.table({"bmi": ROWS[:, 0]})}
    return {**modules, **{one.__name__: one for one in classes}, **data}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}: {block.section}")
def test_python_of_a_document_runs(block: Block, server: Server, names: dict[str, Any]) -> None:
    text = block.text.replace("localhost:8080", f"127.0.0.1:{server.port}")
    text = text.replace("localhost:8081", f"127.0.0.1:{server.grpc_port}")

    async def run() -> None:
        code = compile(text, block.document, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        awaited = eval(code, names)
        if inspect.isawaitable(awaited):
            await awaited

    asyncio.run(run())
    if block.document == "docs/api.md":
        assert np.asarray(names["predictions"]) == pytest.approx([622.0377924518368, 340.5664340764314])
    else:
        assert block.document == "docs/training.md"
        assert names["model"].W.tolist() == [[pytest.approx(2.0)]]
        assert names["model"].b == pytest.approx(1.0)
