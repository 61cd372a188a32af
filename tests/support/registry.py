"""Model registries: MLflow takes seconds to create a database, so one is created and then copied."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from components.registry.decision import Decision
from components.registry.index import Index
from components.registry.registry import open_registry
from predictor.model.base import Model
from tests.support.models import write_model


def dump_schema(database: Path) -> str:
    """Return what ``components/registry/mlflow.sql`` has to hold for a database that MLflow made itself."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY type != 'table', type, name"
        ).fetchall()
        (release,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    workspace = "'default', 'Default workspace for legacy resources', NULL, NULL, NULL"
    stamps = (
        f"INSERT INTO alembic_version VALUES ('{release}')",
        f"INSERT INTO workspaces VALUES ({workspace})",
    )
    return "".join(f"{line};\n" for line in (*(sql for (sql,) in tables), *stamps))


def empty_registry(factory: pytest.TempPathFactory, root: Path) -> Path:
    """Make a registry without versions in the folder ``root``; returns ``root``.

    All processes of a test run copy the same database; the first one creates it.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    database = shared / "empty-registry" / "mlflow.db"
    with Index("linear-regressor", database=database).exclusive():
        root.mkdir(parents=True, exist_ok=True)
        shutil.copy(database, root)
    return root


def register_models(factory: pytest.TempPathFactory, root: Path, *models: Model) -> None:
    """Make a registry in the folder ``root``.

    Args:
        factory: of temporary folders.
        root: is made.
        models: the versions, with a mean squared error of 4 on 300 held-out rows; the last is the champion.
    """
    empty_registry(factory, root)
    better = Decision(promote=True, reasons=("better",))
    scored = {"metric.mse": "4.0", "metric.mse_error": "0.2", "held_out_rows": "300"}
    for number, model in enumerate(models, 1):
        folder = write_model(factory.mktemp("model") / "model", model)
        open_registry(root).register(folder, f"run-{number}", scored, lambda _: better)
