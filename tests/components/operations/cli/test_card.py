import shutil
from pathlib import Path

import pytest

from pipeline import main


def test_prints_both_cards_of_the_champion(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["card", "--registry-root", str(root)]) == 0
    printed = capsys.readouterr().out
    assert "# Model card: linear-regressor, version 1" in printed
    assert "| status | champion |" in printed
    assert "- better" in printed
    assert "# Data card: what linear-regressor, version 1, learned from" in printed


def test_writes_the_cards_of_a_version_to_files(root: Path, tmp_path: Path) -> None:
    assert main(["card", "1", "--registry-root", str(root), "--to", str(tmp_path / "cards")]) == 0
    assert sorted(path.name for path in (tmp_path / "cards").iterdir()) == ["DATA_CARD.md", "MODEL_CARD.md"]


def test_says_that_there_is_no_such_version(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["card", "7", "--registry-root", str(root)]) == 1
    assert "there is no version 7" in capsys.readouterr().err


def test_looks_in_the_registry_of_this_machine_by_default(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root, tmp_path / ".local")
    assert main(["card"]) == 0
    assert "# Model card: linear-regressor, version 1" in capsys.readouterr().out
    assert main(["card", "--model-name", "flats"]) == 1
    assert "flats has no champion in .local; name a version" in capsys.readouterr().err
