from pathlib import Path

import pytest
from kfp import dsl

from components.data import dataset as datasets
from components.data.problems import InvalidDataError
from components.data.shard import Shard
from components.ingest.component import ingest

DIABETES = Shard("sklearn://diabetes").to_json()


@pytest.fixture
def dataset(tmp_path: Path) -> dsl.Dataset:
    return dsl.Dataset(name="dataset", uri=str(tmp_path / "dataset"))


@pytest.fixture
def report(tmp_path: Path) -> dsl.HTML:
    return dsl.HTML(name="report", uri=str(tmp_path / "report"))


def test_writes_the_dataset_its_metadata_and_report(dataset: dsl.Dataset, report: dsl.HTML) -> None:
    ingest.python_func(dataset=dataset, report=report, shard=DIABETES)
    written = datasets.read(dataset.path)
    assert dataset.metadata == {
        "source": "sklearn://diabetes",
        "fingerprint": written.fingerprint,
        "train_rows": "422",
        "test_rows": "20",
    }
    assert written.fingerprint in Path(report.path).read_text()


def test_passes_every_parameter_to_the_step(dataset: dsl.Dataset, report: dsl.HTML) -> None:
    parameters = {
        "features": ["bmi", "s5"],
        "target": "target",
        "test_rows": 7,
        "test_share": 0.25,
        "order": "age",
        "group": "",
        "seed": 3,
        "duplicates": "drop",
        "kept_rows": 400,
        "ranges": {"bmi": [-1.0, None]},
        "units": {"target": "points"},
        "exclude": [],
        "types": {"s5": "number"},
        "missing": "mean",
        "max_categories": 7,
        "max_columns": 70,
        "unknown_categories": "ignore",
        "decimal": ",",
    }
    ingest.python_func(dataset=dataset, report=report, shard=DIABETES, **parameters)
    assert datasets.read(dataset.path).settings == parameters


def test_refused_data_fails_the_step_but_leaves_the_report(dataset: dsl.Dataset, report: dsl.HTML) -> None:
    with pytest.raises(InvalidDataError, match="column 'height' is missing"):
        ingest.python_func(dataset=dataset, report=report, shard=DIABETES, features=["height"])
    assert "column &#x27;height&#x27; is missing" in Path(report.path).read_text()
    assert not Path(dataset.path).exists()
