"""Other columns of held-out rows: neither features nor target, but a champion may have learned from them.

They are kept as they were read, because only the champion knows what they mean to it: ``1`` may be a number,
a boolean or a category.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.data.columns import hash_categories, looked_up
from components.data.settings import Settings
from components.data.sources.values import Values, as_text, trimmed
from predictor.model.inputs import UNKNOWN, Input

_TEXT, _INTEGER, _FLOAT = pa.large_string(), pa.int64(), pa.float64()


def usable(table: pa.Table, settings: Settings) -> pa.Table:
    """Return the columns that a model may have as inputs.

    Text with more than ``max_categories`` different values is left out unless it is numbers: it looks like an
    identifier or free text, and there is no reason to keep a copy of it.
    """
    columns = {name: _usable(name, table[name], settings) for name in table.column_names}
    return pa.table({name: column for name, column in columns.items() if column is not None})


def merge(tables: Sequence[pa.Table]) -> pa.Table:
    """Put the rows of several tables one after the other; only the columns that all of them have remain."""
    schema = _common([table.schema for table in tables])
    return pa.concat_tables([_converted(table, schema) for table in tables])


def write(path: Path, table: pa.Table) -> None:
    """Write the columns as a Parquet file."""
    pq.write_table(table, path, compression="zstd")


def copy(paths: Sequence[Path], path: Path) -> None:
    """Merge files that ``write`` wrote, one at a time."""
    schema = _common([pq.read_schema(one) for one in paths])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for one in paths:
            writer.write_table(_converted(pq.read_table(one, columns=schema.names), schema))


def numbers(column: pa.ChunkedArray, one: Input, decimal: str) -> NDArray[np.float64]:
    """Return a column as numbers of an input, shape (n,); NaN where there is no value of its type.

    Args:
        column: as it was read.
        one: says what type the values have, and which categories it knows.
        decimal: the decimal point of numbers in text.
    """
    found = Values.of(one.name, column, one.type, decimal)
    if found.type != "category":
        return found.numbers
    places = {category: float(place) for place, category in enumerate(one.categories)}
    return looked_up(found.numbers, [places.get(category, UNKNOWN) for category in found.categories])


def hashed(column: pa.ChunkedArray, name: str, type_: str, decimal: str) -> NDArray[np.float64]:
    """Return a column as numbers, shape (n,), with a hash of its text for each category."""
    found = Values.of(name, column, None if type_ == "empty" else type_, decimal)
    return hash_categories(found.numbers, found.categories) if found.categories else found.numbers


def _usable(name: str, column: pa.ChunkedArray, settings: Settings) -> pa.ChunkedArray | None:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _usable(name, column.cast(kind.value_type), settings)
    if pa.types.is_null(kind) or pa.types.is_boolean(kind):
        return column
    if pa.types.is_integer(kind):
        return column.cast(_FLOAT if kind == pa.uint64() else _INTEGER, safe=False)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(_FLOAT, safe=False)
    if pa.types.is_temporal(kind):
        column = column.cast(_TEXT)
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        return None
    text = trimmed(column)
    few = pc.count_distinct(text).as_py() <= settings.max_categories
    if not few:
        found = Values.of(name, text, None, settings.decimal)
        few = found.type == "number" and not found.rejected.size
    return text if few else None


def _common(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return the columns that all schemas have, with a type that holds the values of all."""
    names = [name for name in schemas[0].names if all(name in schema.names for schema in schemas)]
    fields = []
    for name in names:
        types = {schema.field(name).type for schema in schemas} - {pa.null()} or {_FLOAT}
        numbers = types <= {_INTEGER, _FLOAT}
        fields.append((name, next(iter(types)) if len(types) == 1 else _FLOAT if numbers else _TEXT))
    return pa.schema(fields)


def _converted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [table[name] for name in schema.names]
    return pa.table(
        [
            as_text(column) if kind == _TEXT != column.type else column.cast(kind, safe=False)
            for column, kind in zip(columns, schema.types, strict=True)
        ],
        schema=schema,
    )
