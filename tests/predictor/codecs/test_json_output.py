import json
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.codecs import csv, json_output

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(values=hnp.arrays(np.float64, st.integers(1, 50), elements=finite))
def test_written_predictions_read_back_the_same(values: np.ndarray[Any, Any]) -> None:
    text = json_output.predictions(values)
    np.testing.assert_array_equal(json.loads(text)["predictions"], values)
    assert json.loads(json_output.prediction(values.tolist()[0]))["prediction"] == values[0]


def test_writes_a_long_array_in_parts() -> None:
    values = np.arange(300_001, dtype=np.float64) / 7
    np.testing.assert_array_equal(json.loads(json_output.array(values)), values)
    np.testing.assert_array_equal(json.loads(json_output.predictions(values))["predictions"], values)


def test_writes_long_intervals_in_parts() -> None:
    values = np.arange(40_001, dtype=np.float64) / 7
    found = json.loads(json_output.predictions(values, 0.5))
    np.testing.assert_array_equal(found["predictions"], values)
    np.testing.assert_array_equal(found["intervals"], np.column_stack([values - 0.5, values + 0.5]))
    lines = csv.write(values, 0.5).decode().splitlines()
    assert lines[0] == "prediction,low,high"
    table = [[float(cell) for cell in line.split(",")] for line in lines[1:]]
    np.testing.assert_array_equal(table, np.column_stack([values, values - 0.5, values + 0.5]))
