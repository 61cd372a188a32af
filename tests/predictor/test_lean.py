import importlib
import json
import subprocess
import sys

import pytest

from predictor import import_stubs

SERVING = """
annotated_doc annotated_types anyio certifi charset_normalizer click cloudevents csimdjson cython_runtime
dateutil deprecation dotenv fastapi google grpc grpc_interceptor grpc_tools httptools httpx idna kserve
nanoarrow numpy opentelemetry orjson packaging predictor prometheus_client psutil pydantic pydantic_core
pydantic_settings pygments python_multipart requests rich simdjson six starlette tabulate timing_asgi
typing_extensions typing_inspection urllib3 uvicorn uvloop watchfiles yaml zstandard
"""
"""Packages that serving needs, or that KServe's own modules for it import."""

BESIDE = "cryptography cffi httpcore h11 chardet exceptiongroup sniffio"
"""Packages that those import where they are installed, or need in some version of Python."""


def imported(*lines: str) -> set[str]:
    """The packages that are there after some lines of Python in a new process."""
    code = ["import json, sys", "sys.argv = ['predictor']", *lines, "print(json.dumps(list(sys.modules)))"]
    told = subprocess.run([sys.executable, "-c", "\n".join(code)], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(told.stdout.splitlines()[-1])}


def test_the_predictor_imports_what_serving_needs_and_no_more() -> None:
    found = imported("import predictor.__main__")
    for name in ("kfp", "sklearn", "mlflow", "pandas", "pyarrow", "kubernetes", "scipy", "matplotlib"):
        assert name not in found
    assert "components" not in found
    others = {name for name in found if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert sorted(others.difference(SERVING.split(), BESIDE.split())) == []


def test_what_was_left_out_can_be_imported_afterwards() -> None:
    check = "import pandas; assert pandas.DataFrame({'a': [1]}).a[0] == 1"
    assert "pandas" in imported("import predictor.__main__", check)


def test_what_is_there_already_stays() -> None:
    check = "assert kserve.protocol.infer_type.pd is pandas"
    lines = ("import pandas", "import predictor.__main__, kserve.protocol.infer_type", check)
    assert "pandas" in imported(*lines)


def test_what_was_left_out_says_so_when_it_is_used() -> None:
    with import_stubs.without("absent_package"):
        Thing = importlib.import_module("absent_package.deep").Thing
    assert not isinstance(3, Thing)
    with pytest.raises(ImportError, match=r"absent_package\.deep\.Thing: left out of the predictor"):
        Thing(1)
    assert "absent_package.deep" not in sys.modules
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("absent_package")
