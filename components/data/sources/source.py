"""Reads columns of the rows that a URI names."""

import inspect
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from fsspec import AbstractFileSystem
from fsspec.core import has_magic, url_to_fs
from fsspec.implementations.local import LocalFileSystem

from components.data import other_columns
from components.data.problems import InvalidDataError, Problem, SourceError
from components.data.settings import Settings, meant
from components.data.sources import files, keys
from components.data.sources.files import Content, SomeRows
from components.data.sources.keys import Key
from components.data.sources.layout import Lines
from components.data.sources.values import Values, join
from components.data.split import Mask
from predictor.model.artifact import reserved_names
from predictor.model.text import is_number

SCIKIT_LEARN = "sklearn://"
WEB = ("http://", "https://")
NAMES_LISTED = 20
NAME_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Rows:
    """The features and the target of a source; a context manager that removes copies of remote files.

    Attributes:
        source: its name, without credentials.
        features: their names, in their order.
        columns: those of them that were found, of equal length.
        key: the column that decides which rows are held out, if it is given and found.
        problems: the columns that weren't found, and what the file has instead.
        files: where the rows are from.
        copies: removes local copies.
    """

    source: str
    features: Sequence[str]
    columns: Mapping[str, Values]
    key: Key | None
    problems: Sequence[Problem]
    files: Sequence["_Part"]
    copies: ExitStack = field(compare=False)

    def __enter__(self) -> Self:
        """Return the rows."""
        return self

    def __exit__(self, *details: object) -> None:
        """Remove the copies of remote files."""
        self.copies.close()

    def others(self, chosen: Mask, settings: Settings) -> pa.Table:
        """Read the columns that are neither features nor target of some rows, where a model can use them.

        Args:
            chosen: shape (n,).
            settings: with which the rows were read.
        """
        edges = np.cumsum([0, *(part.rows for part in self.files)])
        wanted = {*self.features, settings.target}
        return other_columns.merge(
            [
                part.others(chosen[start:stop], wanted, settings)
                for part, start, stop in zip(self.files, edges, edges[1:], strict=False)
            ]
        )

    def where(self, row: int) -> str:
        """Say where a row (from 0) is found: its line in a CSV file, else its number, from 1."""
        for part in self.files:
            if row < part.rows:
                break
            row -= part.rows
        place = f"line {part.lines.of_row(row)}" if part.lines else f"row {row + 1}"
        return f"{part.name} {place}" if len(self.files) > 1 else place


def read(source: str | Sequence[str], settings: Settings) -> Rows:
    """Read the features and the target of one source, or of several, one after the other.

    Args:
        source: ``sklearn://NAME`` (what ``sklearn.datasets.load_NAME`` gives), or the path or URI of a CSV
            or Parquet file, in any file system that fsspec knows (``file``, ``http``, ``https``, ``s3``,
            ``gs`` …). A pattern such as ``data/*.parquet`` stands for all it matches, by name.
        settings: which columns, and how their values are read.

    Raises:
        SourceError: it can't be reached, or isn't what it should be.
        InvalidDataError: lines of a CSV file aren't rows, or a column has different types in different files.
    """
    uris = [source] if isinstance(source, str) else list(source)
    with ExitStack() as copies:
        parts = [part for uri in uris for part in _read(uri, settings, copies)]
        if not parts:
            raise SourceError("no source is named")
        return _joined(uris, parts, settings, copies.pop_all())


def expand(uri: str) -> list[str]:
    """List what a pattern matches, by name; anything else stands for itself.

    Raises:
        SourceError: nothing matches, or the file system can't be reached.
    """
    if uri.startswith((SCIKIT_LEARN, *WEB)):
        return [uri]
    with _named_in_errors(uri):
        system, path = url_to_fs(uri)
        local = isinstance(system, LocalFileSystem)
        if not local and not uri.endswith(path):
            return [uri]
        paths = _matches(without_credentials(uri), system, path)
        return [*paths] if local else [uri.removesuffix(path) + match for match in paths]


def is_pattern(uri: str) -> bool:
    """Tell whether what ``uri`` stands for is found by a pattern.

    Raises:
        SourceError: the file system is not known.
    """
    if uri.startswith((SCIKIT_LEARN, *WEB)):
        return False
    with _named_in_errors(uri):
        return _is_pattern(*url_to_fs(uri))


def count(uri: str, settings: Settings) -> tuple[int, Key | None]:
    """Count the rows of one file as ``read`` does, and read the column ``order`` if there is one.

    Of a Parquet file only the end is read, and that column.

    Raises:
        SourceError: it can't be reached, or isn't what it should be.
        InvalidDataError: lines of a CSV file aren't rows.
    """
    if not uri.startswith((SCIKIT_LEARN, *WEB)):
        with _named_in_errors(uri):
            system, path = url_to_fs(uri)
            if system.isfile(path):
                with system.open(path) as file:
                    if not settings.order and (rows := files.parquet_rows(file)) is not None:
                        return rows, None
    only_counted = replace(settings, features=(), exclude=(), group="")
    with ExitStack() as copies:
        parts = list(_read(uri, only_counted, copies))
        found = [(part.name, part.key) for part in parts if part.key]
        return sum(part.rows for part in parts), keys.join(settings.key, found)[0] if found else None


def without_credentials(uri: str) -> str:
    """Leave out user and password, and the query, where signed addresses carry their signature."""
    if "://" not in uri or uri.startswith(SCIKIT_LEARN):
        return uri
    scheme, place, path, _, _ = urlsplit(uri)
    return f"{scheme}://{place.rpartition('@')[2]}{path}"


@dataclass(frozen=True, slots=True)
class _Part:
    """One file: the names of all its columns, the values of the wanted ones, and how to read the others."""

    name: str
    names: Sequence[str]
    rows: int
    columns: Mapping[str, Values]
    key: Key | None
    some_rows: SomeRows
    lines: Lines | None

    @classmethod
    def of(cls, name: str, content: Content, settings: Settings) -> "_Part":
        types = {**settings.types, settings.target: "number"}
        table, wanted = content.table, {*settings.features_among(content.names), settings.target}
        columns = {
            column: Values.of(column, table[column], types.get(column), settings.decimal)
            for column in table.column_names
            if column in wanted
        }
        has_key = settings.key and settings.key in table.column_names
        key = keys.read(table[settings.key], settings) if has_key else None
        return cls(name, content.names, table.num_rows, columns, key, content.some_rows, content.lines)

    def others(self, chosen: Mask, wanted: Collection[str], settings: Settings) -> pa.Table:
        counts = Counter(self.names)
        left_out = {*wanted, *reserved_names(self.names)}
        names = [name for name, n in counts.items() if n == 1 and name.strip() and name not in left_out]
        return other_columns.usable(self.some_rows(names, chosen), settings)

    def problems(self, wanted: Sequence[str], settings: Settings, *, named: bool) -> Iterator[Problem]:
        prefix = f"{self.name}: " if named else ""
        counts = Counter(self.names)
        for problem in settings.name_problems(self.names):
            yield replace(problem, what=prefix + problem.what)
        for column in dict.fromkeys([*wanted, *filter(None, [settings.key])]):
            if counts[column] > 1:
                yield Problem(f"{prefix}column {column!r} is {counts[column]} times in the header")
            elif column not in counts:
                yield Problem(f"{prefix}column {column!r} is missing; {self._instead(column)}")

    def _instead(self, column: str) -> str:
        if self.names and all(is_number(name) for name in self.names):
            return f"the first line holds numbers ({', '.join(self.names[:3])} …): the file has no header"
        if self.names and self.names[0].lstrip().startswith("<"):
            return f"the file seems to be a web page: it begins with {self.names[0][:NAME_CHARACTERS]!r}"
        more = " …" if len(self.names) > NAMES_LISTED else ""
        listed = ", ".join(repr(name[:NAME_CHARACTERS]) for name in self.names[:NAMES_LISTED])
        return f"there are {listed}{more}{meant(column, self.names)}"


def _joined(uris: Sequence[str], parts: Sequence["_Part"], settings: Settings, copies: ExitStack) -> Rows:
    """Put the rows of the files one after the other."""
    features = settings.features_among(parts[0].names)
    wanted = [*features, settings.target]
    named = len(parts) > 1
    key = None
    problems = [problem for part in parts for problem in part.problems(wanted, settings, named=named)]
    columns = {}
    for name in wanted:
        if all(name in part.columns for part in parts):
            columns[name], conflict = join(name, [(part.name, part.columns[name]) for part in parts])
            problems += [conflict] if conflict else []
    if found := [(part.name, part.key) for part in parts if part.key]:
        key, conflict = keys.join(settings.key, found)
        problems += [conflict] if conflict else []
    return Rows(", ".join(map(without_credentials, uris)), features, columns, key, problems, parts, copies)


def _read(uri: str, settings: Settings, copies: ExitStack) -> Iterator[_Part]:
    with _named_in_errors(uri):
        if uri.startswith(SCIKIT_LEARN):
            yield _Part.of(uri, _read_scikit_learn(uri, settings), settings)
            return
        for name, path in _local_files(uri, copies):
            yield _Part.of(name, files.read(name, path, settings), settings)


@contextmanager
def _named_in_errors(uri: str) -> Iterator[None]:
    """Let every error name the source, without its credentials."""
    try:
        yield
    except (InvalidDataError, SourceError):
        raise
    except Exception as error:  # noqa: BLE001 - every file system raises kinds of its own
        shown = without_credentials(uri)
        said = str(error).replace(uri, shown) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            said = error.strerror
        # The cause would show the address with its credentials.
        raise SourceError(f"{shown} can't be read: {said}") from None


def _local_files(uri: str, copies: ExitStack) -> Iterator[tuple[str, Path]]:
    """Yield name and local path of each file of ``uri``; ``copies`` removes the copies of remote files."""
    shown = without_credentials(uri)
    system, path = url_to_fs(uri, **(_http_options() if uri.startswith(WEB) else {}))
    # The ? of a web address begins its query.
    paths = [path] if uri.startswith(WEB) else _matches(shown, system, path)
    local = isinstance(system, LocalFileSystem)
    for path in paths:
        name = shown if len(paths) == 1 else path.rpartition("/")[2]
        if local:
            yield name, Path(path)
            continue
        folder = copies.enter_context(tempfile.TemporaryDirectory(prefix="ingest-"))
        # The endings tell how the file is compressed.
        copy = Path(folder, "data" + "".join(Path(urlsplit(path).path).suffixes[-2:]))
        system.get_file(path, str(copy))
        yield name, copy


def _matches(shown: str, system: AbstractFileSystem, path: str) -> list[str]:
    """List the files that a path matches, by name."""
    if _is_pattern(system, path):
        paths = sorted(match for match in system.glob(path) if system.isfile(match))
        if not paths:
            raise SourceError(f"{shown} matches no file")
        return paths
    if isinstance(system, LocalFileSystem) and system.isdir(path):
        raise SourceError(f"{shown} is a folder; name its files, as in {shown.rstrip('/')}/*.parquet")
    return [path]


def _is_pattern(system: AbstractFileSystem, path: str) -> bool:
    """Tell a pattern from a name; a file may really be called data[1].csv."""
    return bool(has_magic(path)) and not (isinstance(system, LocalFileSystem) and system.exists(path))


def _http_options() -> dict[str, Any]:
    """Let a download take as long as it moves: aiohttp's default ends it after five minutes."""
    from aiohttp import ClientTimeout

    return {"client_kwargs": {"timeout": ClientTimeout(total=None, sock_connect=30, sock_read=60)}}


def _read_scikit_learn(uri: str, settings: Settings) -> Content:
    from sklearn import datasets

    loaders = {
        name.removeprefix("load_"): loader
        for name, loader in vars(datasets).items()
        if name.startswith("load_") and "as_frame" in inspect.signature(loader).parameters
    }
    name = uri.removeprefix(SCIKIT_LEARN)
    if name not in loaders:
        raise SourceError(f"{uri} is not known; there are {', '.join(sorted(loaders))}")
    whole = pa.Table.from_pandas(loaders[name](as_frame=True).frame, preserve_index=False)
    names = whole.column_names

    def some_rows(columns: Sequence[str], chosen: Mask) -> pa.Table:
        return whole.select(columns).filter(pa.array(chosen))

    return Content(names, whole.select(files.found_once(uri, names, settings)), some_rows)
