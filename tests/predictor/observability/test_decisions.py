"""The last decisions of the jobs, as metrics."""

import json
from pathlib import Path

import pytest

from predictor.observability import decisions

QUALITY = {
    "lost": True,
    "live": {"mean_squared_error": 9.0, "standard_error": 0.5, "rows": 400},
    "held_out": {"mean_squared_error": 4.0, "standard_error": None, "rows": 300},
}


def write(folder: Path, kind: str, **entry: object) -> None:
    (folder / f"{kind}.json").write_text(json.dumps(entry))


def samples(folder: Path | None) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("predictor_"), *sample.labels.values()): sample.value
        for family in decisions.collect(folder)
        for sample in family.samples
    }


def test_each_file_is_a_decision(tmp_path: Path) -> None:
    write(tmp_path, "gate", outcome="refused", version="8", at=1.8e9, champion="7", reasons=["worse"])
    write(tmp_path, "rollout", outcome="rolled back", version="7", at=1.7e9)
    assert samples(tmp_path) == {
        ("decision_info", "gate", "refused", "8"): 1,
        ("decision_info", "rollout", "rolled back", "7"): 1,
        ("decision_timestamp_seconds", "gate"): 1.8e9,
        ("decision_timestamp_seconds", "rollout"): 1.7e9,
        ("registry_champion_info", "7"): 1,
    }


def test_quality_is_that_of_the_last_check_and_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "retraining", outcome="due", version="7", at=1.8e9, quality=QUALITY)
    found = samples(tmp_path)
    assert found[("quality_lost",)] == 1
    assert found[("quality_mean_squared_error", "live")] == 9
    assert found[("quality_standard_error", "live")] == 0.5
    assert ("quality_standard_error", "held_out") not in found
    assert found[("quality_rows", "held_out")] == 300


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"'])
def test_a_file_that_is_no_decision_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "gate.json").write_text(content)
    assert samples(tmp_path) == {}


def test_no_folder_and_an_empty_one_say_nothing(tmp_path: Path) -> None:
    assert samples(None) == samples(tmp_path) == samples(tmp_path / "missing") == {}


def test_an_entry_with_other_types_breaks_no_scrape(tmp_path: Path) -> None:
    write(tmp_path, "retraining", outcome=None, version=7, at="now", quality={"lost": "yes", "live": 3})
    found = samples(tmp_path)
    assert ("decision_info", "retraining", "None", "7") in found
    assert ("quality_mean_squared_error", "live") not in found
