"""Arrow IPC streams."""

import io
from collections.abc import Mapping

import pyarrow as pa


def arrow_stream(columns: Mapping[str, object]) -> bytes:
    """Write columns, as pyarrow takes them, as one stream."""
    table = pa.table(dict(columns))
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()
