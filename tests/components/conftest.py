"""Tables to read, a dataset, models that fit it, and a registry per test."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from components.data import dataset as datasets
from components.data.compare import Entry
from components.data.dataset import Dataset
from components.registry.registry import Registry, open_registry
from predictor.model import artifact
from predictor.model.inputs import Column, Input
from tests.components.registry.decisions import accept
from tests.support.models import linear_model, write_model
from tests.support.registry import empty_registry

MakeModel = Callable[..., Path]
MakeEntry = Callable[..., Entry]


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., str]:
    """Write lines as a CSV file, by default thirty good rows of bmi and target; returns its path."""

    def write_csv(*lines: str, name: str = "rows.csv", header: str = "bmi,target", good: int = 30) -> str:
        rows = [f"{row}.5,{3 * row + row % 7}" for row in range(good)]
        path = tmp_path / name
        path.write_text("\n".join((header, *rows, *lines, "")), encoding="utf-8")
        return str(path)

    return write_csv


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Serve the test's folder over HTTP, without range requests; yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def root(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty registry."""
    return empty_registry(tmp_path_factory, tmp_path / "registry")


@pytest.fixture
def registry(root: Path) -> Registry:
    return open_registry(root)


@pytest.fixture(scope="session")
def registry_with_champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry whose champion is version 1, y = x; it is to be copied."""
    place = tmp_path_factory.mktemp("with-champion")
    root = empty_registry(tmp_path_factory, place / "registry")
    open_registry(root).register(write_line(place, 1.0), "run-1", {"slope": "1"}, accept)
    return root


@pytest.fixture
def champion_root(registry_with_champion: Path, tmp_path: Path) -> Path:
    """The folder of a registry whose champion is version 1, y = x."""
    return Path(shutil.copytree(registry_with_champion, tmp_path / "registry"))


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write y = slope * x + intercept as a model folder, or return the one written before."""

    def make(slope: float, *, intercept: float = 0.0, feature: str = "x", target: str = "y") -> Path:
        return write_line(tmp_path, slope, intercept, feature, target)

    return make


@pytest.fixture
def make_entry(make_model: MakeModel) -> MakeEntry:
    """Read what ``make_model`` writes."""

    def make(slope: float, *, version: int | None = None, **names: str) -> Entry:
        return Entry(*artifact.read(make_model(slope, **names)), version)

    return make


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Rows on which y = 2 x, so that a slope nearer to 2 is the better model; z = x²."""
    rows = np.linspace(-1, 1, 60)
    columns = {"x": rows, "z": rows**2, "y": 2 * rows}
    train = {name: values[:40] for name, values in columns.items()}
    test = {name: values[40:] for name, values in columns.items()}
    return datasets.write(tmp_path / "dataset", train, test, source="made up", settings={})


def write_line(
    place: Path, slope: float, intercept: float = 0.0, feature: str = "x", target: str = "y"
) -> Path:
    folder = place / f"{feature}-{target}-{slope}-{intercept}"
    if folder.exists():
        return folder
    feature_column, target_column = Input(feature, -1.0, 1.0), Column(target, -1.0, 1.0)
    return write_model(
        folder, linear_model([slope], intercept, features=[feature_column], target=target_column)
    )
