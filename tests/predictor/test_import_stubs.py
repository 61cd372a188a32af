"""The predictor starts without the packages that only other parts of KServe need."""

import importlib
import json
import os
import subprocess
import sys
from types import ModuleType

import pytest

from predictor import import_stubs

SERVING = """
annotated_doc annotated_types anyio certifi charset_normalizer click cloudevents csimdjson cython_runtime
dateutil deprecation dotenv fastapi google grpc grpc_interceptor grpc_tools httptools httpx idna kserve
msgspec nanoarrow numpy orjson packaging predictor prometheus_client psutil pydantic
pydantic_core pydantic_settings pygments python_multipart requests rich simdjson six starlette tabulate
timing_asgi typing_extensions typing_inspection urllib3 uvicorn uvloop watchfiles yaml zstandard
"""
"""Packages that serving needs, or that KServe's own modules for it import."""

BESIDE = """
cryptography cffi httpcore h11 chardet exceptiongroup sniffio grpc_health grpc_reflection email_validator dns
"""
"""Packages that those import where they are installed, or need in some version of Python."""

CHECKS = """
import importlib, json, sys

sys.argv = ["predictor"]
import predictor.__main__
from kserve.protocol import infer_type
from predictor import import_stubs

imported = list(sys.modules)
assert not [name for name in imported if name.startswith(("pandas", "opentelemetry"))]
assert not [name for name in imported if name.startswith(("kserve.api.", "kserve.models."))]
assert infer_type.pd.__name__ == "pandas"

import pandas

assert pandas.DataFrame({"a": [1]}).a[0] == 1
assert infer_type.pd is not pandas
with import_stubs.without("pandas", "kubernetes", "kserve.api", "kserve.models"):
    importlib.reload(infer_type)
assert infer_type.pd is pandas
print(json.dumps(imported))
"""
"""Prints the modules that the predictor imports. Then pandas is imported in earnest, and KServe once more."""


def test_predictor_imports_only_what_serving_needs_and_pandas_can_be_imported_later() -> None:
    # Coverage would import packages of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    child = subprocess.run(
        [sys.executable, "-c", CHECKS], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found = {name.partition(".")[0] for name in json.loads(child.stdout.splitlines()[-1])}
    for name in ("kfp", "sklearn", "mlflow", "pandas", "pyarrow", "kubernetes", "scipy", "matplotlib"):
        assert name not in found
    assert "components" not in found
    others = {name for name in found if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert sorted(others.difference(SERVING.split(), BESIDE.split())) == []


def test_leaves_a_package_alone_that_is_imported_already(monkeypatch: pytest.MonkeyPatch) -> None:
    present = ModuleType("present_package")
    monkeypatch.setitem(sys.modules, "present_package", present)
    with import_stubs.without("present_package"):
        assert importlib.import_module("present_package") is present
    assert sys.modules["present_package"] is present


def test_using_a_package_that_was_left_out_raises_an_import_error() -> None:
    with import_stubs.without("absent_package"):
        Thing = importlib.import_module("absent_package.deep").Thing
    assert not isinstance(3, Thing)
    with pytest.raises(ImportError, match=r"absent_package\.deep\.Thing: left out of the predictor"):
        Thing(1)
    assert "absent_package.deep" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("absent_package")
