"""The short form of ``make fuzz``: the same cases in every run."""

from collections.abc import Iterator

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.client import Target


@pytest.fixture(scope="module", params=fuzz.MODELS, ids=["one feature", "three features"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    with fuzz.serving(*request.param) as running:
        yield running


def test_no_case_gets_a_wrong_answer_or_none_and_the_server_stays_as_it_was(target: Target) -> None:
    assert fuzz.run(target, cases=2000, seed=1) >= 1900
