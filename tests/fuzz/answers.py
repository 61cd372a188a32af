"""Reading the answers of every format without the server's own code."""

import gzip
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard

from tests.fuzz.client import Fault
from tests.support.http import Response

_REFUSALS = (400, 406, 413, 415)
_LENGTH = b"inference-header-content-length"

NAMES = ("predictions", "output-0")
"""The names that an output is asked for by."""


def predictions(path: str, answer: Response) -> list[float] | None:
    """The predictions in an answer; None where the request was refused.

    Raises:
        Fault: anything that is neither finite predictions nor a refusal that says why.
    """
    try:
        body = _decompressed(answer)
        if answer.status in _REFUSALS:
            (error,) = json.loads(body).items()
            if error[0] == "error" and isinstance(error[1], str):
                return None
        elif answer.status == 200:
            values = _values(path, answer.headers, body)
            if values and all(type(value) is float and math.isfinite(value) for value in values):
                return values
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise Fault(f"{path}: {answer}") from error
    raise Fault(f"{path}: {answer}")


def _decompressed(answer: Response) -> bytes:
    match answer.headers.get(b"content-encoding"):
        case b"zstd":
            return zstandard.ZstdDecompressor().decompress(answer.body)
        case b"gzip":
            return gzip.decompress(answer.body)
        case _:
            return answer.body


def _values(path: str, headers: dict[bytes, bytes], body: bytes) -> list[Any]:
    match headers[b"content-type"].partition(b";")[0]:
        case b"text/csv":
            name, *lines, end = body.decode().split("\r\n")
            if (name, end) != ("prediction", ""):
                raise ValueError(name)
            return [float(line) for line in lines]
        case b"application/vnd.apache.arrow.stream":
            table = pa.ipc.open_stream(body).read_all()
            table.validate(full=True)
            return table["prediction"].to_pylist()
        case b"application/octet-stream":
            size = int(headers[_LENGTH])
            return _tensor(json.loads(body[:size]), body[size:])
        case b"application/json" if path.endswith("/infer"):
            return _tensor(json.loads(body), b"")
        case b"application/json" if path == "/stream":
            return [json.loads(body)["prediction"]]
        case b"application/json":
            return list(json.loads(body)["predictions"])
        case other:
            raise ValueError(other)


def _tensor(document: dict[str, Any], raw: bytes) -> list[Any]:
    (output,) = document["outputs"]
    values = output["data"] if "data" in output else np.frombuffer(raw, "<f8").tolist()
    size = output.get("parameters", {}).get("binary_data_size", 0)
    described = (output["shape"], output["datatype"], size)
    if output["name"] not in NAMES or described != ([len(values)], "FP64", len(raw)):
        raise ValueError(output)
    return list(values)
