"""Empty model registries: MLflow takes seconds to create a database, so one is created and then copied."""

import functools
import os
import shutil
from pathlib import Path

import pytest

from components.registry.index import Index


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
    _read_migrations_once()
    return root


def _read_migrations_once() -> None:
    """Have MLflow load its migrations once in this process, and not whenever it opens a database."""
    from mlflow.store.db import utils

    if not hasattr(utils._get_latest_schema_revision, "cache_info"):
        utils._get_latest_schema_revision = functools.cache(utils._get_latest_schema_revision)
