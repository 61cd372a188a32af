"""Real tables: the predictions equal those of scikit-learn's imputers, one-hot encoder and least squares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn import datasets as bundled
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from components.data.settings import Settings
from components.data.shard import Shard
from components.data.shards import merge
from components.data.split import split as split_rows
from components.ingest.ingestion import ingest
from components.plan.plan import plan
from components.train.training import train
from predictor.model import artifact
from predictor.model.base import Model

TABLES = Path(__file__).parents[1] / "data"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """A table, and how it is to be read."""

    frame: Callable[[], pd.DataFrame]
    target: str
    parameters: dict[str, Any] = field(default_factory=dict)


def csv(name: str) -> pd.DataFrame:
    return pd.read_csv(TABLES / f"{name}.csv")


def penguins_with_a_boolean() -> pd.DataFrame:
    frame = csv("penguins")
    mass = frame["body_mass_g"]
    return frame.assign(heavy=(mass > 4000).astype(object).where(mass.notna(), None))


def breast_cancer() -> pd.DataFrame:
    frame = bundled.load_breast_cancer(as_frame=True).frame
    return frame.assign(benign=frame["target"] == 1).drop(columns="target")


def iris() -> pd.DataFrame:
    data = bundled.load_iris(as_frame=True)
    return data.frame.assign(species=data.target_names[data.target]).drop(columns="target")


TABLES_READ = {
    "penguins": Table(lambda: csv("penguins"), "body_mass_g", {"missing": "mean"}),
    "penguins without incomplete rows": Table(lambda: csv("penguins"), "body_mass_g", {"missing": "drop"}),
    "penguins with a boolean": Table(penguins_with_a_boolean, "flipper_length_mm", {"missing": "mean"}),
    "grunfeld": Table(lambda: csv("grunfeld"), "invest"),
    "crime": Table(lambda: csv("statecrime"), "violent", {"exclude": ["state"]}),
    "longley": Table(
        lambda: csv("longley"), "TOTEMP", {"exclude": ["Obs"], "test_rows": 3, "test_share": 0.0}
    ),
    "diabetes": Table(
        lambda: bundled.load_diabetes(as_frame=True, scaled=False).frame,
        "target",
        {"types": {"sex": "category"}},
    ),
    "iris": Table(iris, "petal width (cm)"),
    "wine": Table(
        lambda: bundled.load_wine(as_frame=True).frame, "alcohol", {"types": {"target": "category"}}
    ),
    "breast cancer": Table(breast_cancer, "mean radius"),
}


@pytest.mark.parametrize("name", TABLES_READ)
@pytest.mark.parametrize(
    ("kind", "cuts"),
    [
        ("csv", (0.4, 0.5)),
        pytest.param("csv", (), marks=pytest.mark.slow),
        pytest.param("parquet", (), marks=pytest.mark.slow),
        pytest.param("parquet", (0.1, 0.3, 0.9), marks=pytest.mark.slow),
    ],
)
def test_predictions_equal_those_of_scikit_learn(
    name: str, kind: str, cuts: Sequence[float], tmp_path: Path
) -> None:
    table = TABLES_READ[name]
    frame = table.frame()
    settings = Settings(["*"], table.target, **{"test_share": 0.2, "seed": 2} | table.parameters)
    model, X, y = fitted(frame, settings, kind, cuts, tmp_path)
    learning, testing = split(frame, settings)
    expected = reference(learning, settings).predict(testing)
    np.testing.assert_array_equal(y, testing[table.target])
    np.testing.assert_allclose(model.rows(X), expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def fitted(
    frame: pd.DataFrame, settings: Settings, kind: str, cuts: Sequence[float], place: Path
) -> tuple[Model, Floats, Floats]:
    """Write the table as files, ingest each, merge them and train; return the model and the held-out rows."""
    edges = [0, *(int(len(frame) * cut) for cut in cuts), len(frame)]
    for part, (start, stop) in enumerate(pairwise(edges)):
        rows, path = frame.iloc[start:stop], place / f"{part}.{kind}"
        rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path, index=False)
    shards = [
        ingest(shard, place / f"shard-{number}", settings)
        for number, shard in enumerate(plan(f"{place}/*.{kind}", settings))
    ]
    assert len(shards) == len(cuts) + 1
    whole = merge(shards, place / "whole")
    train(whole, place / "model", iterations=None, learning_rate="auto")
    return artifact.read(place / "model")[0], *whole.test()


def split(frame: pd.DataFrame, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    held_out, _ = split_rows(settings, len(frame), Shard(""))
    needed = list(frame) if settings.missing == "drop" else [settings.target]
    return frame[~held_out].dropna(subset=needed), frame[held_out].dropna(subset=needed)


def reference(learning: pd.DataFrame, settings: Settings) -> Any:
    features = learning.drop(columns=[settings.target, *settings.exclude]).rename(columns=str)
    categories = [
        name
        for name in features
        if settings.types.get(str(name)) == "category" or not pd.api.types.is_numeric_dtype(features[name])
    ]
    numbers = [name for name in features if name not in categories]
    frequent = SimpleImputer(missing_values=pd.NA, strategy="most_frequent")
    encoder = make_column_transformer(
        (SimpleImputer(), numbers), (make_pipeline(frequent, OneHotEncoder(sparse_output=False)), categories)
    )
    pipeline = make_pipeline(encoder, LinearRegression())
    return pipeline.fit(features.astype(dict.fromkeys(categories, object)), learning[settings.target])
