"""The index of the versions: MLflow's model registry, in an SQLite file or on a tracking server.

MLflow takes seconds to import and its first SQLite file seconds to make; nothing else imports it.
"""

import fcntl
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.contamination import TrainingRows
from components.registry import tracking

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHAMPION = "champion"
CHALLENGER = "challenger"
WITHDRAWN = "withdrawn"
TRACKED = "mlflow_run"
"""The tag of a version that names the MLflow run which made it."""
REVISION = re.compile(r"""^(revision|down_revision)\b[^=\n]*=\s*["'](\w+)["']""", re.MULTILINE)
SCHEMA_FILE = Path(__file__).with_name("mlflow.sql")
RUN = "run/"
PROBES = "probes"
TRAINING_ROWS = "training_rows"
"""The tag of a version that says which rows it was trained on."""
RUN_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


@dataclass(frozen=True, slots=True)
class Version:
    """A version in the index."""

    number: int
    tags: Mapping[str, str]
    created: float

    @property
    def digest(self) -> str:
        """The digest of its model folder; empty for a version that was registered by hand."""
        return self.tags.get("digest", "")

    @property
    def withdrawn(self) -> str:
        """Why it was withdrawn; empty otherwise."""
        mark = self.tags.get(WITHDRAWN)
        return str(json.loads(mark)["reason"]) if mark else ""

    @property
    def training(self) -> TrainingRows | None:
        """Which rows its model was trained on; None where that was not recorded."""
        rows = self.tags.get(TRAINING_ROWS)
        return TrainingRows.of_document(json.loads(rows)) if rows else None


class Index:
    """The versions of one model and its aliases. Every method is one call, so a crash falls between two."""

    def __init__(self, name: str, *, database: Path | None = None, server: str = "") -> None:
        self._name = name
        self._database = database
        self._server = server
        self._connected: MlflowClient | None = None

    @property
    def shared(self) -> bool:
        """Whether several processes may write at the same time, as to a server; an SQLite file is locked."""
        return self._database is None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock an index that is a file, for one writer at a time. A dead process holds no lock."""
        if self._database is None:
            yield
            return
        self._database.parent.mkdir(parents=True, exist_ok=True)
        with self._database.with_name(f"{self._database.name}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not self._database.exists():
                _create_database(self._database)
            yield

    def aliases(self) -> Mapping[str, int]:
        """Return the version number of each alias; empty before the first version."""
        if self._database is not None and not self._database.exists():
            return {}
        from mlflow.exceptions import MlflowException

        try:
            model = self._client.get_registered_model(self._name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise
        return {alias: int(number) for alias, number in model.aliases.items()}

    def version(self, number: int) -> Version:
        """Return the version with this number."""
        return _version(self._client.get_model_version(self._name, str(number)))

    def find(self, number: int) -> Version | None:
        """Return the version with this number; None without one."""
        from mlflow.exceptions import MlflowException

        try:
            return self.version(number)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def by_run(self, run_id: str) -> Version | None:
        """Return the version that a run registered or was linked to; None without one."""
        return self._first(f"tags.`{run_tag(run_id)}` != ''")

    def by_digest(self, digest: str) -> Version | None:
        """Return the version of a model by the digest of its folder; None without one."""
        return self._first(f"tags.digest = '{digest}'")

    def latest(self, count: int = 100) -> list[Version]:
        """Return the newest versions, newest first."""
        found = self._client.search_model_versions(
            f"name = '{self._name}'", max_results=count, order_by=["creation_timestamp DESC"]
        )
        return sorted(map(_version, found), key=lambda version: -version.number)

    def create_model(self) -> None:
        """Create the registered model if it does not exist."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def create(self, source: str, tags: Mapping[str, str]) -> Version:
        """Create the next version, linked with the MLflow run that its tags name."""
        created = self._client.create_model_version(
            self._name, source, run_id=tags.get(TRACKED), tags=dict(tags), await_creation_for=0
        )
        return _version(created)

    def begin_run(self, run_id: str, name: str) -> str:
        """Return MLflow's id of a pipeline run, created if needed; empty if MLflow refuses."""
        with self.exclusive():
            folder = (self._database.parent / "mlruns").as_uri() if self._database else None
            return tracking.begin(self._client, self._name, folder, run_id, name)

    def end_run(
        self,
        tracked: str,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        reports: Iterable[Path],
    ) -> None:
        """Write the results of a pipeline run."""
        tracking.end(self._client, tracked, parameters, metrics, tags, reports)

    def delete(self, number: int) -> None:
        """Delete a version; its number is not used again."""
        self._client.delete_model_version(self._name, str(number))

    def tag(self, number: int, key: str, value: str) -> None:
        """Set one tag of a version."""
        self._client.set_model_version_tag(self._name, str(number), key, value)

    def point(self, alias: str, number: int) -> None:
        """Move an alias to a version."""
        self._client.set_registered_model_alias(self._name, alias, str(number))

    @property
    def _client(self) -> "MlflowClient":
        if self._connected is None:
            self._connected = _connect(
                self._server if self._database is None else _sqlite_uri(self._database)
            )
        return self._connected

    def _first(self, condition: str) -> Version | None:
        found = self._client.search_model_versions(f"name = '{self._name}' and {condition}")
        return min(map(_version, found), key=lambda version: version.number, default=None)


def open_index(tracking_uri: str, name: str, default: Path | None) -> Index:
    """Open the index on a server, in the SQLite file of a URI, or in ``default`` without a URI."""
    if not tracking_uri:
        if default is None:
            raise ValueError("models in an object store need a tracking_uri that says where their index is")
        return Index(name, database=default)
    if tracking_uri.startswith("sqlite:"):
        from sqlalchemy import make_url

        return Index(name, database=Path(make_url(tracking_uri).database or "").absolute())
    return Index(name, server=tracking_uri)


def run_tag(run_id: str) -> str:
    """Return the name of the tag that links a version with a run."""
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(
            f"a run id is made of letters, digits, '.', '_' and '-', at most 200; not {run_id!r}"
        )
    return f"{RUN}{run_id}"


def _connect(uri: str) -> "MlflowClient":
    # No usage reports: a step may have no access to the internet, and its user did not agree to them.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # After a minute without an answer the step fails, and is retried as a whole. MLflow's defaults would wait
    # for more than four.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    from mlflow.store.db import utils
    from mlflow.tracking import MlflowClient

    # MLflow compiles all its migrations to find the name of the newest, which takes two seconds of each step.
    utils._get_latest_schema_revision = _newest_migration  # noqa: SLF001
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@cache
def _newest_migration() -> str:
    """Read the name of MLflow's newest migration from the files: the one that no other follows."""
    from mlflow.store import db_migrations

    (folder,) = db_migrations.__path__
    names: set[str] = set()
    followed: set[str] = set()
    for file in Path(folder, "versions").glob("*.py"):
        found = dict(REVISION.findall(file.read_text(encoding="utf-8")))
        names.add(found.get("revision", ""))
        followed.add(found.get("down_revision", ""))
    (newest,) = names - followed - {""}
    return newest


def _create_database(path: Path) -> None:
    """Create MLflow's tables in another file and rename it, because later runs refuse half of the tables.

    They are read from ``mlflow.sql``, unless that is of another release; MLflow itself gets there by all its
    migrations, one by one, which takes three seconds.
    """
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    schema = SCHEMA_FILE.read_text(encoding="utf-8")
    if f"'{_newest_migration()}'" in schema:
        with closing(sqlite3.connect(unfinished)) as database:
            database.executescript(schema)
    _connect(_sqlite_uri(unfinished))
    unfinished.rename(path)


def _sqlite_uri(path: Path) -> str:
    # A URI built by hand would be wrong for a path with special characters.
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def _version(found: Any) -> Version:
    return Version(int(found.version), dict(found.tags), found.creation_timestamp / 1000)
