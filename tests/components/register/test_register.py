import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kfp.dsl import HTML, Artifact, Markdown, Metrics, Model
from kfp.dsl import Dataset as DatasetArtifact
from mlflow import MlflowClient

from components.data import dataset as datasets
from components.data import report as reports
from components.data.compare import Entry, compare
from components.data.dataset import Dataset
from components.register.component import register as register_component
from components.register.gate import GateError, Policy
from components.register.register import Run, describe, register
from components.registry.registry import Registration, Registry
from predictor.model import artifact
from tests.components.conftest import MakeModel
from tests.components.registry.decisions import accept, index_of


class Steps:
    """Evaluate and register as two steps, between which the registry may change."""

    def __init__(self, dataset: Dataset, registry: Registry, folder: Path) -> None:
        self.dataset = dataset
        self.registry = registry
        self.folder = folder

    def evaluate(self, model: Path) -> Path:
        champion = self.registry.champion()
        report = compare(
            self.dataset, Entry(*artifact.read(model)), self.registry.entry(champion) if champion else None
        )
        path = self.folder / f"report of {model.name}"
        reports.write(report, path)
        return path

    def register(
        self, model: Path, run_id: str, *, report: Path | None = None, policy: Policy | None = None
    ) -> Registration:
        return register(
            self.dataset.folder,
            model,
            report or self.evaluate(model),
            self.registry,
            Run(run_id, git_commit="abc"),
            policy or Policy(),
            {"lr": "0.1"},
        )


@pytest.fixture
def steps(dataset: Dataset, registry: Registry, tmp_path: Path) -> Steps:
    return Steps(dataset, registry, tmp_path)


def test_a_better_candidate_becomes_champion_with_its_lineage(
    steps: Steps, make_model: MakeModel, root: Path
) -> None:
    steps.register(make_model(1.0), "run-1")
    done = steps.register(make_model(1.5), "run-2")
    assert (done.version, done.champion) == (2, 2)
    tags = index_of(root).version(2).tags
    assert tags["dataset_fingerprint"] == steps.dataset.fingerprint
    assert (tags["git_commit"], tags["lr"], tags["model_source_id"]) == ("abc", "0.1", "run-2")
    assert float(tags["metric.r2"]) < 1
    assert "model_source_name" not in tags


def test_a_worse_candidate_is_registered_and_the_champion_stays(steps: Steps, make_model: MakeModel) -> None:
    steps.register(make_model(1.5), "run-1")
    done = steps.register(make_model(1.4), "run-2")
    assert (done.version, done.champion, done.decision.promote) == (2, 1, False)


def test_scores_again_when_the_champion_changed_after_the_evaluation(
    steps: Steps, make_model: MakeModel
) -> None:
    steps.register(make_model(1.0), "run-1")
    old_report = steps.evaluate(make_model(1.5))
    steps.register(make_model(1.8), "run-2")
    done = steps.register(make_model(1.5), "run-3", report=old_report)
    assert (done.champion, done.decision.promote) == (2, False)
    assert "the champion changed after the evaluation; both were scored anew" in done.decision.reasons


def test_scores_again_when_the_first_champion_came_after_the_evaluation(
    steps: Steps, make_model: MakeModel
) -> None:
    old_report = steps.evaluate(make_model(1.5))
    steps.register(make_model(1.8), "run-1")
    assert steps.register(make_model(1.5), "run-2", report=old_report).champion == 1


@pytest.mark.parametrize(("incomparable", "champion"), [("keep", 1), ("replace", 2)])
def test_the_policy_decides_about_a_champion_that_cannot_be_compared(
    steps: Steps, make_model: MakeModel, incomparable: str, champion: int
) -> None:
    incomparable_model = make_model(1.0, feature="s5")
    steps.registry.register(incomparable_model, "run-1", {}, accept)
    done = steps.register(make_model(1.5), "run-2", policy=Policy(incomparable=incomparable))
    assert done.champion == champion


def test_by_default_a_champion_that_cannot_be_compared_is_an_error(
    steps: Steps, make_model: MakeModel, root: Path
) -> None:
    incomparable_model = make_model(1.0, feature="s5")
    steps.registry.register(incomparable_model, "run-1", {}, accept)
    with pytest.raises(GateError, match="it needs s5; the dataset has x"):
        steps.register(make_model(1.5), "run-2")
    assert len(index_of(root).latest()) == 1


def test_says_in_how_many_rows_the_champion_lacks_a_value(
    steps: Steps, make_model: MakeModel, tmp_path: Path
) -> None:
    train, test = (
        {"x": values, "y": 2 * values} for values in (np.linspace(-1, 1, 40), np.linspace(0, 1, 20))
    )
    zs = [None, None, *np.linspace(0, 1, 18)]
    steps.dataset = datasets.write(
        tmp_path / "gaps", train, test, source="here", settings={}, others=pa.table({"z": zs})
    )
    steps.registry.register(make_model(1.0, feature="z"), "run-1", {}, accept)
    reasons = steps.register(make_model(2.0), "run-2").decision.reasons
    assert "the champion can't answer 2 of the 20 held-out rows, because of missing values" in reasons[-1]


def test_rows_that_judged_other_models_before_are_counted(steps: Steps, make_model: MakeModel) -> None:
    steps.register(make_model(1.5), "run-1")
    for look, slope in enumerate((1.3, 1.4), start=1):
        done = steps.register(make_model(slope), f"run-of-{slope}")
        assert done.decision.judged_on == steps.registry.judged_on(other_than="")[0]
        assert len(steps.registry.judged_on(other_than="")) == look
    again = steps.register(make_model(1.6), "run-4")
    assert again.decision.promote
    assert "this is look 3 at these 20 rows" in again.decision.reasons[-1]


def in_two_parts(folder: Path, held_out: np.ndarray, features: str) -> Dataset:
    """Write a dataset of rows y = x + 2 z, of which some features are used."""
    x, z = np.random.default_rng(3).normal(size=(2, 300))
    table = {"x": x, "z": z, "y": x + 2 * z}
    names = [*features, "y"]
    return datasets.write(
        folder,
        {name: table[name][~held_out] for name in names},
        {name: table[name][held_out] for name in names},
        source="here",
        settings={"seed": 4},
        others=pa.table({name: table[name][held_out] for name in "xz" if name not in features}),
    )


def test_looks_at_other_rows_do_not_count_and_at_the_same_rows_do_whatever_the_columns(
    steps: Steps, make_model: MakeModel, tmp_path: Path
) -> None:
    last, first = np.arange(300) >= 200, np.arange(300) < 100
    steps.dataset = in_two_parts(tmp_path / "x", last, "x")
    steps.register(make_model(0.5), "run-1")
    steps.register(make_model(0.6), "run-2")
    steps.dataset = in_two_parts(tmp_path / "z", first, "z")
    fresh = steps.register(make_model(1.5, feature="z"), "run-3").decision
    assert fresh.promote
    assert not any("look" in reason for reason in fresh.reasons)
    steps.dataset = in_two_parts(tmp_path / "z again", last, "z")
    again = steps.register(make_model(2.0, feature="z"), "run-4").decision
    said = "this is look 2 at these 100 rows: they have decided 1 comparison before"
    assert said in again.reasons


def test_looks_at_rows_with_columns_that_are_gone_count_and_are_said_to_be_unknown(
    steps: Steps, make_model: MakeModel, tmp_path: Path
) -> None:
    last = np.arange(300) >= 200
    steps.dataset = in_two_parts(tmp_path / "x and z", last, "xz")
    steps.register(make_model(1.0, feature="z"), "run-1")
    steps.register(make_model(0.9, feature="z"), "run-2")
    z = steps.dataset.test_values()["z"]
    y = steps.dataset.test_values()["y"]
    steps.dataset = datasets.write(
        tmp_path / "z alone", {"z": z, "y": y}, {"z": -z, "y": -y}, source="here", settings={}
    )
    reasons = steps.register(make_model(2.0, feature="z"), "run-3").decision.reasons
    assert (
        "this counts as look 2 at these 100 rows: 1 comparison before can't be told apart, because the "
        "columns differ"
    ) in reasons


def test_says_that_the_champion_was_trained_on_held_out_rows(
    steps: Steps, make_model: MakeModel, tmp_path: Path
) -> None:
    steps.dataset = in_two_parts(tmp_path / "x", np.arange(300) >= 200, "x")
    steps.register(make_model(0.6), "run-1")
    unlike = np.arange(300) < 100
    steps.dataset = in_two_parts(tmp_path / "z", unlike, "z")
    done = steps.register(make_model(0.0, feature="z"), "run-2")
    assert not done.decision.promote
    assert "the champion was trained on about 100% of these held-out rows" in done.decision.reasons[-1]
    assert "Hold out rows that it was not trained on, or" in str(done.decision.warning)
    assert "Warning: the comparison is unfair" in describe(done)
    steps.dataset = in_two_parts(tmp_path / "same", np.arange(300) >= 200, "z")
    assert steps.register(make_model(0.1, feature="z"), "run-3").decision.warning is None


def test_judging_the_same_model_again_is_no_new_look(steps: Steps, make_model: MakeModel) -> None:
    steps.register(make_model(1.5), "run-1")
    first = steps.register(make_model(1.4), "run-2")
    assert steps.register(make_model(1.4), "run-3").decision == first.decision


def test_refuses_a_report_about_another_model(steps: Steps, make_model: MakeModel) -> None:
    report = steps.evaluate(make_model(1.5))
    with pytest.raises(ValueError, match="is about the model"):
        steps.register(make_model(1.8), "run-1", report=report)
    assert steps.registry.champion() is None


def test_refuses_a_report_about_other_data_when_scoring_again(
    steps: Steps, make_model: MakeModel, tmp_path: Path
) -> None:
    old_report = steps.evaluate(make_model(1.5))
    steps.register(make_model(1.8), "run-1")
    reports.write(replace(reports.read(old_report), fingerprint="other"), old_report)
    with pytest.raises(ValueError, match="the report is about the data other, not"):
        steps.register(make_model(1.5), "run-2", report=old_report)


def test_describes_the_decision_in_markdown(steps: Steps, make_model: MakeModel) -> None:
    steps.register(make_model(1.5), "run-1")
    done = steps.register(make_model(1.0), "run-2")
    lines = describe(done).splitlines()
    assert lines[0] == "# Version 2 is not the champion"
    assert [line for line in lines if line.startswith("- ")] == [
        f"- {reason}" for reason in done.decision.reasons
    ]
    assert lines[-1] == f"Champion: version 1, `{done.champion_uri}`"
    assert describe(replace(done, champion=None, champion_uri=None)).endswith("Champion: none\n")


def tracked_artifacts(folder: Path) -> dict[str, Artifact]:
    """What the component writes to MLflow's run: metrics and pages."""
    (folder / "train").write_text("<!DOCTYPE html>trained")
    return {
        "training": Metrics(name="t", uri=str(folder / "metrics"), metadata={"final_loss": 2.5}),
        "train_page": HTML(name="p", uri=str(folder / "train")),
        "evaluation_page": HTML(name="e", uri=str(folder / "nowhere")),
    }


def test_the_component_returns_version_decision_and_champion(
    steps: Steps, make_model: MakeModel, root: Path, tmp_path: Path
) -> None:
    model = make_model(1.5)
    version, promoted, reasons, warning, uri, champion_uri = register_component.python_func(
        dataset=DatasetArtifact(name="d", uri=str(steps.dataset.folder), metadata={"source": "made up"}),
        model=Model(name="m", uri=str(model), metadata={"lr": "0.1", "warning": "stopped short"}),
        report=Artifact(name="r", uri=str(steps.evaluate(model))),
        **tracked_artifacts(tmp_path),
        decision=Markdown(name="decision", uri=str(tmp_path / "decision.md")),
        registry_root=str(root),
        job_id="job-1",
        job_name="linear-regressor-1",
    )
    assert (version, promoted, uri) == (1, True, champion_uri)
    assert Path(champion_uri) == root / "models" / "linear-regressor" / "1"
    assert (
        (tmp_path / "decision.md").read_text(encoding="utf-8").startswith("# Version 1 is the champion now")
    )
    tags = index_of(root).version(1).tags
    assert json.loads(tags["run/job-1"])["reasons"] == reasons
    assert warning == "stopped short"
    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    tracked = client.get_run(client.get_model_version("linear-regressor", "1").run_id)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["lr"] == "0.1"
    assert set(tracked.data.metrics) == {"final_loss", "mse", "mae", "r2", "mse_error"}
    assert tracked.data.tags["pipeline_run_id"] == "job-1"
    assert tracked.data.tags["model_version"] == "1"
    (page,) = root.glob("mlruns/**/reports/train.html")
    assert page.read_text() == "<!DOCTYPE html>trained"
    assert (tags["data_source"], tags["model_source_name"]) == ("made up", "linear-regressor-1")


def test_the_component_returns_no_champion_when_the_first_model_is_below_the_floor(
    steps: Steps, make_model: MakeModel, root: Path, tmp_path: Path
) -> None:
    model = make_model(-2.0)
    outputs = register_component.python_func(
        dataset=DatasetArtifact(name="d", uri=str(steps.dataset.folder)),
        model=Model(name="m", uri=str(model)),
        report=Artifact(name="r", uri=str(steps.evaluate(model))),
        **tracked_artifacts(tmp_path),
        decision=Markdown(name="decision", uri=str(tmp_path / "decision.md")),
        registry_root=str(root),
        job_id="job-1",
        job_name="",
    )
    assert (outputs[1], outputs[5]) == (False, "")
