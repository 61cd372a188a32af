import json
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from predictor.codecs import json_output

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(values=hnp.arrays(np.float64, st.integers(1, 50), elements=finite))
def test_written_predictions_read_back_the_same_from_array_and_list(values: np.ndarray[Any, Any]) -> None:
    text = json_output.predictions(values)
    assert text == json_output.predictions(values.tolist())
    np.testing.assert_array_equal(json.loads(text)["predictions"], values)
    assert json.loads(json_output.prediction(values.tolist()[0]))["prediction"] == values[0]


def test_writes_a_long_array_in_parts() -> None:
    values = np.arange(300_001, dtype=np.float64) / 7
    np.testing.assert_array_equal(json.loads(json_output.array(values)), values)
    np.testing.assert_array_equal(json.loads(json_output.predictions(values))["predictions"], values)
