"""Bodies of requests of one row or many."""

import io
import json

import nanoarrow
import numpy as np
from nanoarrow.ipc import StreamWriter


def v2_json() -> bytes:
    """A V2 request of one row."""
    tensor = {"name": "instances", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}
    return json.dumps({"inputs": [tensor]}).encode()


def v2_binary(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[bytes, dict[str, str]]:
    """A V2 request of rows as a binary tensor, and the headers that it needs."""
    raw = values.tobytes()
    tensor = {
        "name": "instances",
        "shape": [len(values), 1],
        "datatype": "FP64",
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return head + raw, headers


def arrow(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> bytes:
    """Rows as an Arrow stream."""
    column = nanoarrow.c_array_from_buffers(nanoarrow.float64(), len(values), [None, values], null_count=0)
    schema = nanoarrow.struct({"bmi": nanoarrow.float64()})
    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.write_array(
            nanoarrow.c_array_from_buffers(schema, len(values), [None], null_count=0, children=[column])
        )
    return out.getvalue()
