import pytest

from predictor.codecs import features
from predictor.errors import InvalidInput

NAMES = ["a", "b", "c", "d", "e", "f"]


def test_finds_features_in_any_order() -> None:
    assert features.order(["b", "a"], ["a", "b"], "x") == [1, 0]


def test_passes_over_further_names_where_every_feature_is_there() -> None:
    assert features.order(["id", "b", "id", "a"], ["a", "b"], "x", further=True) == [3, 1]
    for found in (["id", "b"], ["a", "b", "id", "a"]):
        with pytest.raises(InvalidInput):
            features.order(found, ["a", "b"], "x", further=True)


@pytest.mark.parametrize(
    ("found", "names", "message"),
    [
        (["a"], ["a", "b"], 'x: missing feature "b"'),
        ([], ["a", "b"], 'x: missing features "a", "b"'),
        (["a", "b", "z"], ["a", "b"], 'x: unknown feature "z"'),
        (["a", "z"], ["a", "b"], 'x: missing feature "b"; unknown feature "z"'),
        (["a", "b", "a"], ["a", "b"], 'x: repeated feature "a"'),
        (["a", "a"], ["a", "b"], 'x: missing feature "b"; repeated feature "a"'),
        ([], NAMES, 'x: missing features "a", "b", "c", "d", "e" and 1 more'),
        (["y" * 50, '"'], ["a"], f'x: missing feature "a"; unknown features "{"y" * 40}...", "\\""'),
    ],
)
def test_lists_what_is_wrong(found: list[str], names: list[str], message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        features.order(found, names, "x")
    assert str(raised.value) == message
