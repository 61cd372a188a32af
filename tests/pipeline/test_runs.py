"""Whole runs of the pipeline: what they register, and what they say.

One run is as a user's, in processes of its own; it takes many seconds. The other tests run the steps in this
process; `make test-slow` repeats them in processes.
"""

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_diabetes

import pipeline
from components.operations.cli import history, local
from components.operations.cli.history import RunRecord
from predictor.feedback.recorder import GroundTruth, Predicted, Recorder
from predictor.feedback.store import open_store
from predictor.model import artifact
from tests.pipeline.conftest import (
    Run,
    champion_of,
    run_in_processes,
    run_in_this_process,
    steps_of,
    tags_of,
)
from tests.support.models import weights_of

# A run starts a process for each of its steps: minutes where a machine has other work.
pytestmark = pytest.mark.timeout(900)


def test_the_command_in_processes_registers_the_diabetes_model(tmp_path: Path) -> None:
    for name in ("components", "predictor", "kfp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not this package')\n")
    place = tmp_path / ".local"
    done = run_in_processes(place, "run_id=first", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not this package" not in done.stderr
    assert steps_of(done) == ["plan", "ingest", "train", "evaluate", "register"]
    assert "Version 1 is the champion now" in done.stdout
    assert f"Serve it: python pipeline.py serve --local {place}\n" in done.stdout
    assert champion_of(place) == 1
    assert json.loads((place / "models/linear-regressor/1/provenance.json").read_text())["image"] == ""
    check_first_model(place)
    check_first_lineage(place)
    check_first_reports(place)


def test_a_first_run_registers_the_diabetes_model(first_run: Path) -> None:
    assert champion_of(first_run) == 1
    check_first_model(first_run)
    check_first_lineage(first_run)
    check_first_reports(first_run)


def check_first_model(place: Path) -> None:
    model, digest = artifact.read(place / "models" / "linear-regressor" / "1")
    assert weights_of(model) == pytest.approx((938.2379,), abs=5e-5)
    assert model.intercept == pytest.approx(152.9189, abs=5e-5)
    assert [feature.name for feature in model.inputs] == ["bmi"]
    tags = tags_of(place, 1)
    assert float(tags["metric.r2"]) == pytest.approx(0.47258, abs=5e-6)
    assert float(tags["metric.mse"]) == pytest.approx(2548.072, abs=5e-4)
    assert tags["digest"] == digest


def check_first_lineage(place: Path) -> None:
    tags = tags_of(place, 1)
    assert tags["run_id"] == tags["model_source_id"] == "first"
    assert tags["model_source_kind"] == "kfp"
    assert tags["model_source_name"].startswith("linear-regressor")
    assert tags["learning_rate"] == "auto"
    assert tags["data_source"] == "sklearn://diabetes"
    assert len(tags["dataset_fingerprint"]) == 64


def check_first_reports(place: Path) -> None:
    files = [path for path in place.glob("runs/first/**/*") if path.is_file()]
    assert {"plan", "ingest", "train", "evaluate", "register"} <= {path.parent.name for path in files}
    (decision,) = place.glob("runs/first/*/register/decision")
    assert decision.read_text().startswith(
        "# Version 1 is the champion now\n\n- R² 0.47258 is above the floor 0"
    )


def test_lists_and_shows_the_runs(first_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pipeline.main(["runs", "--local", str(first_run)]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "started", "(UTC)", "run", "model", "version", "source", "features", "R²", "RMSE", "decision",
    ]  # fmt: skip
    assert row.split()[2:] == [
        "first", "linear-regressor", "1", "sklearn://diabetes", "bmi", "0.472575", "50.4784", "promoted",
    ]  # fmt: skip
    assert pipeline.main(["show", "1", "--local", str(first_run)]) == 0
    shown = capsys.readouterr().out
    assert "there is no champion yet" in shown
    assert shown.splitlines()[-1].endswith("/runs/first/index.html")
    labels = [line.split()[0] for line in shown.splitlines()]
    assert [labels.count(label) for label in ("model", "kind", "reason", "because")] == [1, 1, 1, 2]


def test_shows_the_version_of_the_model_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("flats", "houses"):
        folder = tmp_path / "runs" / f"run of {name}"
        folder.mkdir(parents=True)
        parameters = {"run_id": f"run of {name}", "model_name": name}
        outputs = {"version": 1, "promoted": True, "reasons": [], "warning": ""}
        history.write(RunRecord.begun(parameters, "").ended(outputs, 1.0), folder)
    local = ["--local", str(tmp_path)]
    assert pipeline.main(["show", "1", *local]) == 1
    assert "flats and houses each have a version 1: name one with --model-name" in capsys.readouterr().err
    assert pipeline.main(["show", "1", "--model-name", "flats", *local]) == 0
    assert "run of flats" in capsys.readouterr().out
    assert pipeline.main(["show", "2", "--model-name", "flats", *local]) == 1
    assert "there is no run 2 of flats below" in capsys.readouterr().err


def test_serves_the_champion_without_training(place: Path, served: list[list[str]]) -> None:
    assert pipeline.main(["serve", "--local", str(place)]) == 0
    assert pipeline.main(["serve", "1", "--local", str(place)]) == 0
    assert [command[command.index("--model_dir") + 1] for command in served] == [
        str(place / "models" / "linear-regressor" / "1")
    ] * 2


def test_reports_are_html_files_that_name_the_run(first_run: Path) -> None:
    folder = first_run / "runs" / "first"
    index = (folder / "index.html").read_text(encoding="utf-8")
    for name in ("ingest.html", "train.html", "evaluate.html", "log.txt"):
        assert f'href="{name}"' in index
        assert (folder / name).is_file()
    page = (folder / "evaluate.html").read_text(encoding="utf-8")
    for text in (
        "Run first, ",
        "Source: sklearn://diabetes",
        "root mean squared error",
        "baseline: always the mean",
    ):
        assert text in page


def test_a_second_run_that_is_not_better_leaves_the_champion(run: Run, place: Path) -> None:
    done = run(place, "iterations=3", "lr=0.1")
    assert done.returncode == 0, done.stderr
    assert "Warning: descent stopped short of the minimum" in done.stdout
    assert "Version 2 is registered, and not promoted:" in done.stdout
    assert "is worse" in done.stdout
    assert champion_of(place) == 1


def test_a_second_run_on_the_same_data_links_to_the_existing_version(run: Run, place: Path) -> None:
    done = run(place, "run_id=second")
    assert "Version 1 is the champion:\n  this model is the champion already, version 1" in done.stdout
    (decision,) = place.glob("runs/second/*/register/decision")
    assert decision.read_text().startswith("# Version 1 is the champion already\n")
    assert history.read_all(place / "runs")[0].decision == "champion already"
    assert "run/second" in tags_of(place, 1)
    assert [path.name for path in (place / "models" / "linear-regressor").iterdir()] == ["1"]


def test_a_better_model_replaces_the_champion(run: Run, place: Path) -> None:
    done = run(place, 'features=["bmi", "bp", "s5"]', "evidence=point")
    assert done.returncode == 0, done.stderr
    assert "Version 2 is the champion now:" in done.stdout
    assert champion_of(place) == 2
    assert tags_of(place, 2)["previous_champion"] == "1"


def test_says_that_the_champion_was_trained_on_rows_that_are_held_out_now(run: Run, place: Path) -> None:
    done = run(place, "features=s1,s2", "test_share=0.2")
    assert done.returncode == 0, done.stderr
    assert "Version 2 is registered, and not promoted:" in done.stdout
    share = re.search(r"the champion was trained on about (\d+)% of these held-out rows", done.stdout)
    assert share
    assert 85 <= int(share[1]) <= 100
    assert "Warning: the comparison is unfair to the new model" in done.stdout
    assert "Hold out the same rows (test_share=0), or replace" in done.stdout
    done = run(place, "features=s1,s3", "test_share=0.2", "incomparable=replace")
    assert "Version 3 is the champion now:" in done.stdout
    done = run(place, "features=s1,s2,s3", "test_share=0.2")
    assert "was trained on" not in done.stdout


def test_a_champion_with_other_features_of_the_source_is_compared(run: Run, place: Path) -> None:
    done = run(place, "features=s1,s2")
    assert done.returncode == 0, done.stderr
    assert "Version 2 is registered, and not promoted:" in done.stdout
    assert "against the champion's 2548.07 is worse" in done.stdout
    assert champion_of(place) == 1


@pytest.mark.parametrize("files", [1, 3])
def test_a_champion_is_compared_on_columns_of_every_type(
    run: Run, empty_place: Path, tmp_path: Path, files: int
) -> None:
    """The first model learns from text, a boolean and codes with a type of their own; the second from x."""
    random = np.random.RandomState(0)
    x, sunny, city = random.normal(size=300), random.randint(0, 2, 300), random.randint(0, 3, 300)
    price = 5 * x + 3 * sunny + 10 * city + random.normal(size=300)
    rows = [
        f"{x},{str(bool(s)).lower()},{['Oslo', 'Bergen', 'Moss'][c]},0{c},{p},2026-01-0{c + 1},note {n}"
        for n, (x, s, c, p) in enumerate(zip(x, sunny, city, price, strict=True))
    ]
    for part, lines in enumerate(np.array_split(rows, files)):
        text = "\n".join(["x,sunny,city,code,price,day,note", *lines, ""])
        (tmp_path / f"part-{part}.csv").write_text(text, encoding="utf-8")
    table = (f"source={tmp_path}/part-*.csv", "target=price", "test_share=0.3")
    first = run(empty_place, *table, "features=sunny,city,code", 'types={"code": "category"}')
    assert first.returncode == 0, first.stderr
    second = run(empty_place, *table, "features=x")
    assert second.returncode == 0, second.stderr
    scores = [tags_of(empty_place, number)["metric.mse"] for number in (1, 2)]
    mse, champions = (f"{float(score):.6g}" for score in (scores[1], scores[0]))
    assert f"mse {mse} against the champion's {champions} is worse" in second.stdout
    assert champion_of(empty_place) == 1


@pytest.mark.parametrize("parameters", [("order=day", "test_rows=40"), ("group=shop", "test_share=0.3")])
def test_several_files_are_split_by_a_column_like_one_file(
    run: Run, empty_place: Path, tmp_path: Path, parameters: tuple[str, ...]
) -> None:
    random = np.random.RandomState(1)
    x, day, shop = random.normal(size=200), random.randint(1, 29, 200), random.randint(0, 30, 200)
    rows = [
        f"{a},2026-01-{d:02},s{s},{2 * a + e}"
        for a, d, s, e in zip(x, day, shop, random.normal(size=200), strict=True)
    ]
    for name, edges in (("one", [0, 200]), ("many", [0, 30, 31, 150, 200])):
        (tmp_path / name).mkdir()
        for part, (start, stop) in enumerate(pairwise(edges)):
            text = "\n".join(["x,day,shop,y", *rows[start:stop], ""])
            (tmp_path / name / f"{part}.csv").write_text(text, encoding="utf-8")
        model = f"model_name={name}"
        done = run(
            empty_place, f"source={tmp_path}/{name}/*.csv", "features=x", "target=y", model, *parameters
        )
        assert done.returncode == 0, done.stderr
    models = [artifact.read(empty_place / "models" / name / "1")[0] for name in ("one", "many")]
    assert models[0].reference.rows == models[1].reference.rows < 200
    assert weights_of(models[1]) == pytest.approx(weights_of(models[0]), rel=1e-12)
    evaluations = [
        json.loads((empty_place / "models" / name / "1" / "evaluation.json").read_text())
        for name in ("one", "many")
    ]
    assert evaluations[0]["rows"] == evaluations[1]["rows"] == 200 - models[0].reference.rows


def test_reads_a_file_relative_to_the_current_directory(run: Run, tmp_path: Path, empty_place: Path) -> None:
    rows = "\n".join(f"{x},{x % 3},{3 * x + 1}" for x in range(60))
    (tmp_path / "my.csv").write_text(f"size,rooms,price\n{rows}\n")
    done = run(empty_place, "source=my.csv", 'features=["size", "rooms"]', "target=price", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    model, _ = artifact.read(empty_place / "models" / "linear-regressor" / "1")
    assert weights_of(model) == pytest.approx((3.0, 0.0), abs=1e-6)
    assert model.intercept == pytest.approx(1.0, abs=1e-4)


@pytest.fixture
def shards(tmp_path: Path) -> list[str]:
    """The diabetes data in four files, one of them a single row, one all held out."""
    rows = load_diabetes(as_frame=True).frame
    names = [f"part-{number}.parquet" for number in range(4)]
    for name, (start, stop) in zip(names, pairwise([0, 1, 300, 425, 442]), strict=True):
        rows[start:stop].to_parquet(tmp_path / name)
    return names


@pytest.mark.parametrize("form", ["pattern", "list"])
def test_a_pattern_or_a_list_of_files_gives_the_same_model_as_one_source(
    run: Run, first_run: Path, tmp_path: Path, empty_place: Path, shards: list[str], form: str
) -> None:
    source = "part-*.parquet" if form == "pattern" else json.dumps(shards)
    whole, _ = artifact.read(first_run / "models" / "linear-regressor" / "1")
    done = run(empty_place, f"source={source}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert steps_of(done) == ["plan", *["ingest"] * 4, "train", "evaluate", "register"]
    model, _ = artifact.read(empty_place / "models" / "linear-regressor" / "1")
    assert weights_of(model) == pytest.approx(weights_of(whole), rel=1e-12)
    assert model.intercept == pytest.approx(whole.intercept, rel=1e-12)
    assert (model.inputs, model.target) == (whole.inputs, whole.target)
    assert model.reference.features == whole.reference.features
    tags = tags_of(empty_place, 1)
    for score in ("metric.mse", "metric.mae", "metric.r2"):
        assert float(tags[score]) == pytest.approx(float(tags_of(first_run, 1)[score]), rel=1e-12)
    assert tags["data_source"] == f"{tmp_path / shards[0]} … {tmp_path / shards[3]} (4 sources)"


def test_drift_makes_a_retraining_due_and_is_its_reason(
    run: Run, tmp_path: Path, empty_place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Feedback about larger houses at higher prices becomes a second file of data."""
    random = np.random.RandomState(0)
    size, larger = random.normal(100, 10, 1000), random.normal(140, 10, 500)
    (tmp_path / "data").mkdir()
    price = 3 * size + 20 + random.normal(0, 5, 1000)
    pq.write_table(pa.table({"size": size, "price": price}), tmp_path / "data" / "2026-01-01.parquet")
    parameters = [f"source={tmp_path}/data/*.parquet", 'features=["size"]', "target=price", "test_share=0.2"]
    assert run(empty_place, *parameters).returncode == 0

    model, _ = artifact.read(empty_place / "models" / "linear-regressor" / "1")
    recorder = Recorder(open_store(str(tmp_path / "feedback")), 2**20, 3600)
    rows = larger[:, np.newaxis]
    recorder.record_predictions(
        Predicted("many", "", time.time(), model.inputs, "1", rows, model.predict(rows))
    )
    stored = recorder.record_ground_truth(
        "", [GroundTruth("many", (5 * larger - 180 + random.normal(0, 5, 500)).tolist())]
    )
    assert stored is not None
    stored.result(60)
    recorder.close()

    about = ["--feedback", str(tmp_path / "feedback"), "--registry-root", str(empty_place)]
    assert pipeline.main(["due", *about]) == 0
    reason = capsys.readouterr().out.strip()
    assert reason.startswith("drift: ")
    assert pipeline.main(["collect", *about, "--to", str(tmp_path / "data")]) == 0
    done = run(empty_place, *parameters, f"reason={reason}")
    assert "Version 2 is the champion now" in done.stdout, done.stderr
    assert tags_of(empty_place, 2)["reason"] == reason
    assert champion_of(empty_place) == 2


def test_names_a_shard_that_is_refused(run: Run, tmp_path: Path, empty_place: Path) -> None:
    (tmp_path / "a.csv").write_text("bmi,target\n" + "".join(f"{x},{x % 7}\n" for x in range(50)))
    (tmp_path / "b.csv").write_text("bmi,target\n1,2\nmany,3\n")
    done = run(empty_place, f"source={tmp_path}/*.csv")
    assert done.returncode == 1
    assert f"error: ingest failed. {tmp_path}/b.csv was refused" in done.stderr
    assert "feature 'bmi' is not a number in 1 row (line 3: 'many')" in done.stderr
    index = Path(done.stderr.split("Report: file://")[1].split()[0])
    assert "ingest failed" in index.read_text(encoding="utf-8")
    assert "was refused" in (index.parent / "ingest-2.html").read_text(encoding="utf-8")


def test_reports_why_a_step_failed(run: Run, tmp_path: Path, empty_place: Path) -> None:
    done = run(empty_place, f"source={tmp_path / 'nowhere.csv'}")
    assert done.returncode == 1
    assert steps_of(done) == ["plan", "ingest"]
    assert "failed" in done.stdout
    assert f"error: ingest failed. {tmp_path / 'nowhere.csv'}" in done.stderr
    assert "Traceback" not in done.stderr
    log = Path(done.stderr.split("The whole log: ")[1].strip())
    assert log.read_text().count("Traceback") == 1
    assert not (empty_place / "models").exists()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have replaced the process; whether a port is free does not matter."""
    commands: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, words: commands.append(words))
    monkeypatch.setattr(local, "check_ports", lambda options: None)
    return commands


def test_serves_the_champion_after_the_run(empty_place: Path, served: list[list[str]]) -> None:
    options = ["--serve", "--port", "9000", "--grpc-port", "9001"]
    done = run_in_this_process(empty_place, options=options)
    assert done.returncode == 0, done.stderr
    assert "Serving on http://localhost:9000, gRPC on 9001" in done.stdout
    assert "curl http://localhost:9000/stream" in done.stdout
    (command,) = served
    champion = str(empty_place / "models" / "linear-regressor" / "1")
    assert command[command.index("--model_dir") + 1] == champion


def test_reports_that_there_is_no_champion_to_serve(empty_place: Path, served: list[list[str]]) -> None:
    done = run_in_this_process(empty_place, "floor_r2=0.9", options=["--serve"])
    assert done.returncode == 1
    assert "Version 1 is registered, and not promoted:" in done.stdout
    assert "error: there is no champion to serve" in done.stderr
    assert not served


def test_trees_replace_a_linear_champion_that_they_beat(empty_place: Path, run: Run) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, 400)
    target = 8 * x + np.where(np.abs(x) < 0.5, 10.0, 0.0) + np.sin(50 * x)
    source = empty_place / "steps.csv"
    np.savetxt(source, np.column_stack([x, target]), delimiter=",", header="x,y", comments="")
    table = (f"source={source}", 'features=["x"]', "target=y", "test_rows=100")
    for parameters in ((), ("model=trees", 'model_parameters={"max_depth": 3}')):
        done = run(empty_place, *table, *parameters)
        assert done.returncode == 0, done.stderr
    assert "Version 2 is the champion now" in done.stdout
    first, second = (tags_of(empty_place, number) for number in (1, 2))
    assert first["dataset_fingerprint"] == second["dataset_fingerprint"]
    assert (first["kind"], second["kind"], second["max_depth"]) == ("linear", "trees", "3")
    assert 0.1 < float(first["metric.r2"]) < 0.6 < 0.95 < float(second["metric.r2"])
    model, _ = artifact.read(empty_place / "models" / "linear-regressor" / "2")
    assert model.kind == "trees"
    reports = [path.read_text() for path in (empty_place / "runs").rglob("report*") if path.is_file()]
    assert any("Splits and training ranges" in text for text in reports)


def test_refuses_parameters_of_descent_for_trees(empty_place: Path, run: Run) -> None:
    done = run(empty_place, "model=trees", "iterations=10")
    assert done.returncode == 1
    assert (
        "iterations is a parameter of linear; those of trees go into model_parameters: max_iter"
        in done.stderr
    )
