"""A kind of model with a mistake is refused before the run, or as soon as the mistake shows."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.data.dataset import Dataset
from components.train import kinds as trained
from components.train.kind import TrainingError
from components.train.training import train
from predictor.model import kinds as served
from predictor.model.artifact import ArtifactError, read
from tests.support.datasets import write_dataset

SERVED = """
from predictor.model.base import Model

class GroupMean(Model):
    def predict(self, X):
        return X[:, 0]

    def summary(self):
        return "The first input."

    def parameters(self):
        return {}

    @classmethod
    def of(cls, parameters, inputs, target, reference):
        return cls(inputs, target, reference)
"""
TRAINED = """
from components.train.kind import Fit

PARAMETERS = {"k": 5}

def fit(data, parameters):
    return Fit({}, "group means")
"""

Write = Callable[[str | None, str | None], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write the modules of the kind ``groupmean``; None for one that is missing."""

    def write_both(for_serving: str | None, for_training: str | None) -> None:
        for package, content in ((served, for_serving), (trained, for_training)):
            place = tmp_path / package.__name__.replace(".", "/")
            place.mkdir(parents=True)
            if content is not None:
                (place / "groupmean.py").write_text(content)
            monkeypatch.setattr(package, "__path__", [*package.__path__, str(place)])

    yield write_both
    for package in (served, trained):
        sys.modules.pop(f"{package.__name__}.groupmean", None)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_dataset(tmp_path / "dataset")


def test_a_complete_kind_is_trained(write: Write, dataset: Dataset, tmp_path: Path) -> None:
    write(SERVED, TRAINED)
    trained.check("groupmean", {"k": 3})
    train(dataset, tmp_path / "model", kind="groupmean")
    assert read(tmp_path / "model")[0].kind == "groupmean"


@pytest.mark.parametrize(
    ("for_serving", "for_training", "message"),
    [
        (None, TRAINED, "groupmean can't be served: predictor/model/kinds/groupmean.py is missing"),
        (
            SERVED,
            None,
            "there are linear, trees; components/train/kinds/groupmean.py is missing",
        ),
        (
            SERVED,
            TRAINED.replace("PARAMETERS", "DEFAULTS"),
            "components/train/kinds/groupmean.py needs PARAMETERS, a dict of defaults; {} for none",
        ),
        (
            SERVED,
            TRAINED.replace("def fit", "def train"),
            "components/train/kinds/groupmean.py needs a function fit(data, parameters)",
        ),
        ("", TRAINED, "predictor/model/kinds/groupmean.py needs one subclass of Model; it has none"),
        (
            f"{SERVED}\nclass Other(GroupMean): pass\n",
            TRAINED,
            "predictor/model/kinds/groupmean.py needs one subclass of Model; it has GroupMean, Other",
        ),
        (
            SERVED.replace("def summary", "def about").replace("def of", "def make"),
            TRAINED,
            "predictor/model/kinds/groupmean.py: GroupMean needs of, summary",
        ),
    ],
)
def test_an_incomplete_kind_is_refused_before_the_run(
    for_serving: str | None, for_training: str | None, message: str, write: Write
) -> None:
    write(for_serving, for_training)
    with pytest.raises(TrainingError) as raised:
        trained.check("groupmean", {})
    assert str(raised.value).removeprefix("unknown kind of model 'groupmean'; ") == message


@pytest.mark.parametrize(
    ("for_serving", "for_training", "message"),
    [
        (
            SERVED.replace("X[:, 0]", "X[:, :1]"),
            TRAINED,
            r"predict of the kind groupmean returned the shape \(50, 1\); expected \(50,\)",
        ),
        (
            SERVED.replace("X[:, 0]", "1.0"),
            TRAINED,
            r"predict of the kind groupmean returned the shape \(\); expected \(50,\)",
        ),
        (
            SERVED,
            TRAINED.replace('Fit({}, "group means")', "{}"),
            "fit of the kind groupmean returned dict; expected a Fit",
        ),
    ],
)
def test_a_wrong_result_of_a_kind_is_named(
    for_serving: str, for_training: str, message: str, write: Write, dataset: Dataset, tmp_path: Path
) -> None:
    write(for_serving, for_training)
    with pytest.raises(TrainingError, match=message):
        train(dataset, tmp_path / "model", kind="groupmean")


def test_a_server_says_what_its_kind_lacks(write: Write, dataset: Dataset, tmp_path: Path) -> None:
    write(SERVED, TRAINED)
    train(dataset, tmp_path / "model", kind="groupmean")
    del sys.modules["predictor.model.kinds.groupmean"]
    for file in tmp_path.glob("predictor/model/kinds/groupmean.py"):
        file.write_text("x = 1\n" * 50)
    with pytest.raises(ArtifactError, match="needs one subclass of Model; it has none"):
        read(tmp_path / "model")
