import os
from pathlib import Path

import fsspec
import pytest

from components.ingest.state import state


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n1,2\n")
    return path


def test_the_state_of_what_did_not_change_is_the_same(file: Path) -> None:
    assert state(str(file)) == state(str(file))
    assert state("sklearn://diabetes") == state("sklearn://diabetes")


def test_a_changed_file_has_another_state_though_its_name_and_size_are_the_same(file: Path) -> None:
    before = state(str(file))
    file.write_text("x,y\n1,3\n")
    os.utime(file, (1, 1))
    assert state(str(file)) != before


def test_a_file_more_in_a_folder_is_another_state(file: Path) -> None:
    before = state(str(file.parent))
    (file.parent / "more.csv").write_text("x,y\n")
    assert state(str(file.parent)) != before


def test_another_source_is_another_state(file: Path) -> None:
    assert len({state(str(file)), state("sklearn://diabetes"), state([str(file), "sklearn://diabetes"])}) == 3


def test_a_source_that_says_nothing_of_its_content_is_never_what_it_was() -> None:
    with fsspec.open("memory://state/rows.csv", "w") as file:
        file.write("x,y\n")
    assert state("memory://state/rows.csv") != state("memory://state/rows.csv")


def test_a_source_that_is_not_there_is_for_the_reader_to_complain_about(tmp_path: Path) -> None:
    assert state(str(tmp_path / "nowhere.csv")) != state(str(tmp_path / "nowhere.csv"))
