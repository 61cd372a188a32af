import os
from pathlib import Path

import fsspec
import pytest

from components.data.sources.state import state


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n1,2\n")
    return path


def test_unchanged_sources_have_the_same_state(file: Path) -> None:
    assert state(str(file)) == state(str(file))
    assert state("sklearn://diabetes") == state("sklearn://diabetes")


def test_a_changed_file_of_the_same_size_has_another_state(file: Path) -> None:
    before = state(str(file))
    file.write_text("x,y\n1,3\n")
    os.utime(file, (1, 1))
    assert state(str(file)) != before


def test_adding_a_file_to_a_folder_changes_its_state(file: Path) -> None:
    before = state(str(file.parent))
    (file.parent / "more.csv").write_text("x,y\n")
    assert state(str(file.parent)) != before


def test_different_sources_have_different_states(file: Path) -> None:
    assert len({state(str(file)), state("sklearn://diabetes"), state([str(file), "sklearn://diabetes"])}) == 3


def test_a_source_without_a_version_never_has_the_same_state_twice() -> None:
    with fsspec.open("memory://state/rows.csv", "w") as file:
        file.write("x,y\n")
    assert state("memory://state/rows.csv") != state("memory://state/rows.csv")


def test_a_missing_source_never_has_the_same_state_twice(tmp_path: Path) -> None:
    assert state(str(tmp_path / "nowhere.csv")) != state(str(tmp_path / "nowhere.csv"))
