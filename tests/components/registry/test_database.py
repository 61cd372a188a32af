"""The SQLite file that holds a local registry's index."""

from pathlib import Path

import pytest
from mlflow.store.db import utils

from components.registry import index
from components.registry.index import CHAMPION, SCHEMA_FILE, Index
from tests.support.registry import dump_schema

MIGRATIONS = utils._get_latest_schema_revision


def test_knows_the_newest_migration_without_loading_all() -> None:
    assert index._newest_migration() == MIGRATIONS()


def test_a_new_database_is_made_from_the_schema_file(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    with Index("m", database=database).exclusive():
        assert dump_schema(database) == SCHEMA_FILE.read_text("utf-8")


def test_a_schema_of_another_release_is_left_to_mlflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old.sql").write_text("this is not SQL; INSERT INTO alembic_version VALUES ('0123')")
    monkeypatch.setattr(index, "SCHEMA_FILE", tmp_path / "old.sql")
    made = Index("m", database=tmp_path / "mlflow.db")
    with made.exclusive():
        made.create_model()
        made.point(CHAMPION, made.create("here", {}).number)
    assert made.aliases() == {CHAMPION: 1}
    # After an upgrade of MLflow, write the file anew from this database.
    assert statements(dump_schema(tmp_path / "mlflow.db")) == statements(SCHEMA_FILE.read_text("utf-8"))


def statements(schema: str) -> list[list[str]]:
    """Return the lines of each statement in order: MLflow's migrations add constraints in any order."""
    return [sorted(line.strip(" ,") for line in one.split("\n")) for one in schema.split(";\n")]
