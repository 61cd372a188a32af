import json
import os
import shutil
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.datasets import load_diabetes

import pipeline
from components.commands.parameters import WANTED
from components.evaluate.component import evaluate
from components.image import PIPELINE_IMAGE
from components.ingest.component import ingest
from components.plan.component import plan
from components.register.component import register
from components.register.index import open_index
from components.register.registry import open_registry
from components.train.component import train
from pipeline import kinds, main
from predictor.feedback.recorder import GroundTruth, Predicted, Recorder
from predictor.feedback.store import open_store
from predictor.model import artifact

# A run starts a process for each of its steps: minutes where a machine has other work.
pytestmark = pytest.mark.timeout(900)
SCRIPT = Path(pipeline.__file__).resolve()
GOLDEN = Path(__file__).parent / "golden" / "pipeline.yaml"


def run(place: Path, *arguments: str, cwd: Path | str = "/") -> subprocess.CompletedProcess[str]:
    """Run the pipeline as a user does, from another directory than the checkout."""
    command = [sys.executable, str(SCRIPT), "run", "--local", str(place), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry after one run with every default, started in the root directory."""
    place = tmp_path_factory.mktemp("local") / ".local"
    done = run(place, "--param", "run_id=first")
    assert done.returncode == 0, done.stderr
    assert "Version 1 is the champion now" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[:5]] == [
        "plan",
        "ingest",
        "train",
        "evaluate",
        "register",
    ]
    return place


@pytest.fixture
def place(first_run: Path, tmp_path: Path) -> Path:
    """A copy of that registry, to go on from."""
    return Path(shutil.copytree(first_run, tmp_path / ".local"))


def tags_of(place: Path, number: int) -> dict[str, str]:
    return dict(open_index("", "linear-regressor", place / "mlflow.db").version(number).tags)


def champion_of(place: Path) -> int:
    champion = open_registry(place).champion()
    assert champion is not None
    return champion.number


def test_the_whole_pipeline_brings_the_diabetes_model_into_the_registry(first_run: Path) -> None:
    model, digest = artifact.read(first_run / "models" / "linear-regressor" / "1")
    assert model.weights == pytest.approx((938.2379,), abs=5e-5)
    assert model.intercept == pytest.approx(152.9189, abs=5e-5)
    assert [feature.name for feature in model.features] == ["bmi"]
    tags = tags_of(first_run, 1)
    assert float(tags["metric.r2"]) == pytest.approx(0.47258, abs=5e-6)
    assert float(tags["metric.mse"]) == pytest.approx(2548.072, abs=5e-4)
    assert tags["digest"] == digest
    assert champion_of(first_run) == 1


def test_the_registry_knows_where_the_model_is_from(first_run: Path) -> None:
    tags = tags_of(first_run, 1)
    assert tags["run_id"] == tags["model_source_id"] == "first"
    assert tags["model_source_kind"] == "kfp"
    assert tags["model_source_name"].startswith("linear-regressor")
    assert (tags["iterations"], tags["lr"]) == ("15000", "0.1")
    assert tags["data_source"] == "sklearn://diabetes"
    assert len(tags["dataset_fingerprint"]) == 64


def test_a_run_leaves_its_reports(first_run: Path) -> None:
    reports = {path.parent.name: path for path in first_run.glob("runs/first/**/*") if path.is_file()}
    assert {"plan", "ingest", "train", "evaluate", "register"} <= set(reports)
    (decision,) = first_run.glob("runs/first/*/register/decision")
    assert decision.read_text().startswith(
        "# Version 1 is the champion now\n\n- R² 0.47258 is above the floor 0"
    )


def test_a_second_run_that_is_not_better_leaves_the_champion(place: Path) -> None:
    done = run(place, "--param", "iterations=3")
    assert done.returncode == 0, done.stderr
    assert "Version 2 is registered, and not promoted:" in done.stdout
    assert "is worse" in done.stdout
    assert champion_of(place) == 1


def test_the_same_data_again_links_to_the_version_that_exists(place: Path) -> None:
    done = run(place, "--param", "run_id=second")
    assert "this model is the champion already, version 1" in done.stdout
    assert "run/second" in tags_of(place, 1)
    assert [path.name for path in (place / "models" / "linear-regressor").iterdir()] == ["1"]


def test_a_better_model_replaces_the_champion(place: Path) -> None:
    done = run(place, "--param", 'features=["bmi", "bp", "s5"]')
    assert done.returncode == 0, done.stderr
    assert "Version 2 is the champion now:" in done.stdout
    assert champion_of(place) == 2
    assert tags_of(place, 2)["previous_champion"] == "1"


def test_a_file_of_ones_own_is_found_from_where_one_stands(tmp_path: Path) -> None:
    rows = "\n".join(f"{x},{x % 3},{3 * x + 1}" for x in range(60))
    (tmp_path / "my.csv").write_text(f"size,rooms,price\n{rows}\n")
    given = ["source=my.csv", 'features=["size", "rooms"]', "target=price"]
    done = run(tmp_path / "here", *(word for text in given for word in ("--param", text)), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    model, _ = artifact.read(tmp_path / "here" / "models" / "linear-regressor" / "1")
    assert model.weights == pytest.approx((3.0, 0.0), abs=1e-6)
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
def test_a_pattern_or_a_list_of_sources_gives_the_model_of_one_piece(
    first_run: Path, tmp_path: Path, shards: list[str], form: str
) -> None:
    source = "part-*.parquet" if form == "pattern" else json.dumps(shards)
    whole, _ = artifact.read(first_run / "models" / "linear-regressor" / "1")
    done = run(tmp_path / "here", "--param", f"source={source}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    steps = [line.split()[0] for line in done.stdout.splitlines()[:8]]
    assert steps == ["plan", *["ingest"] * 4, "train", "evaluate", "register"]
    model, _ = artifact.read(tmp_path / "here" / "models" / "linear-regressor" / "1")
    assert model.weights == pytest.approx(whole.weights, rel=1e-12)
    assert model.intercept == pytest.approx(whole.intercept, rel=1e-12)
    assert (model.features, model.target) == (whole.features, whole.target)
    assert model.reference.features == whole.reference.features
    tags = tags_of(tmp_path / "here", 1)
    for score in ("metric.mse", "metric.mae", "metric.r2"):
        assert float(tags[score]) == pytest.approx(float(tags_of(first_run, 1)[score]), rel=1e-12)
    assert tags["data_source"] == f"{tmp_path / shards[0]} … {tmp_path / shards[3]} (4 sources)"


def test_drift_starts_a_retraining_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked lately, of larger houses that cost more, becomes a file beside the first one."""
    random = np.random.RandomState(0)
    size, larger = random.normal(100, 10, 1000), random.normal(140, 10, 500)
    (tmp_path / "data").mkdir()
    price = 3 * size + 20 + random.normal(0, 5, 1000)
    pq.write_table(pa.table({"size": size, "price": price}), tmp_path / "data" / "2026-01-01.parquet")
    place, kept = tmp_path / "here", tmp_path / "kept"
    given = [f"source={tmp_path}/data/*.parquet", 'features=["size"]', "target=price", "test_share=0.2"]
    words = [word for text in given for word in ("--param", text)]
    assert run(place, *words).returncode == 0
    model, _ = artifact.read(place / "models" / "linear-regressor" / "1")

    recorder = Recorder(open_store(str(kept)), 2**20, 3600)
    rows = larger[:, np.newaxis]
    recorder.predicted(Predicted("many", time.time(), ("size",), "1", rows, model.predict(rows)))
    stored = recorder.record_ground_truth(
        [GroundTruth("many", (5 * larger - 180 + random.normal(0, 5, 500)).tolist())]
    )
    assert stored is not None
    stored.result(60)
    recorder.close()

    about = ["--feedback", str(kept), "--registry-root", str(place)]
    assert main(["due", *about]) == 0
    reason = capsys.readouterr().out.strip()
    assert reason.startswith("drift: ")
    assert main(["collect", *about, "--to", str(tmp_path / "data")]) == 0
    done = run(place, *words, "--param", f"reason={reason}")
    assert "Version 2 is the champion now" in done.stdout, done.stderr
    assert tags_of(place, 2)["reason"] == reason
    assert champion_of(place) == 2


def test_a_shard_that_is_refused_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("bmi,target\n" + "".join(f"{x},{x % 7}\n" for x in range(50)))
    (tmp_path / "b.csv").write_text("bmi,target\n1,2\nmany,3\n")
    done = run(tmp_path / "here", "--param", f"source={tmp_path}/*.csv")
    assert done.returncode == 1
    assert "error: ingest failed." in done.stderr
    assert f"{tmp_path}/b.csv was refused" in done.stderr
    assert "feature 'bmi' is not a number in 1 row (row 2: 'many')" in done.stderr


def test_a_folder_named_like_a_package_of_ours_is_not_mistaken_for_it(tmp_path: Path) -> None:
    for name in ("components", "predictor", "kfp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not this one')\n")
    (tmp_path / "bad.csv").write_text("x,y\n1,2\n")
    done = run(tmp_path / "here", "--param", "source=bad.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert "not this one" not in done.stderr


def test_a_step_that_fails_fails_the_command_and_says_why(tmp_path: Path) -> None:
    done = run(tmp_path / "here", "--param", f"source={tmp_path / 'nowhere.csv'}")
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["plan", "ingest"]
    assert "failed" in done.stdout
    assert "error: ingest failed." in done.stderr
    assert "nowhere.csv" in done.stderr
    assert "Traceback" not in done.stderr
    log = Path(done.stderr.split("The whole log: ")[1].strip())
    assert log.read_text().count("Traceback") == 1
    assert not (tmp_path / "here" / "models").exists()


def test_the_pipeline_compiles_to_what_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wanted change is written by ``python pipeline.py compile -o tests/golden/pipeline.yaml``."""
    assert main(["compile", "-o", str(tmp_path / "pipeline.yaml")]) == 0
    assert (tmp_path / "pipeline.yaml").read_text() == GOLDEN.read_text()


def test_no_step_installs_anything_or_stands_under_a_condition() -> None:
    spec = next(yaml.safe_load_all(GOLDEN.read_text()))
    executors = spec["deploymentSpec"]["executors"]
    assert len(executors) == 5
    for executor in executors.values():
        assert executor["container"]["image"] == PIPELINE_IMAGE
        assert "pip install" not in " ".join(executor["container"]["command"])
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    tasks = {name: task for dag in dags for name, task in dag["tasks"].items()}
    assert set(tasks) == {"plan", "for-loop-1", "ingest", "train", "evaluate", "register"}
    for name, task in tasks.items():
        assert "triggerPolicy" not in task
        cached = task.get("cachingOptions", {}).get("enableCache", False)
        assert name == "for-loop-1" or cached == (name in ("ingest", "train"))


def test_every_step_has_limits_a_user_and_may_be_tried_again() -> None:
    spec, platform = yaml.safe_load_all(GOLDEN.read_text())
    executors = spec["deploymentSpec"]["executors"]
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods.keys() == executors.keys()
    for name, executor in executors.items():
        assert {"resourceCpuLimit", "resourceMemoryLimit"} <= executor["container"]["resources"].keys()
        assert pods[name]["securityContext"]["runAsNonRoot"] is True
        assert int(pods[name]["activeDeadlineSeconds"]) > 0
        (secret,) = pods[name]["secretAsVolume"]
        assert secret["optional"] is True
    components = [spec["root"], *spec["components"].values()]
    tasks = [task for component in components for task in component.get("dag", {}).get("tasks", {}).items()]
    for name, task in tasks:
        assert name.startswith("for-loop") or task["retryPolicy"]["backoffFactor"] == 2


def test_every_parameter_of_a_step_is_one_of_the_pipeline() -> None:
    for step in (plan, ingest, train, evaluate, register):
        for name, spec in step.component_spec.inputs.items():
            if spec.type in WANTED and name not in ("shard", "job_id", "job_name"):
                assert (name, kinds().get(name)) == (name, spec.type)
                if not spec.optional:
                    continue
                assert pipeline.linear_regressor.component_spec.inputs[name].default == spec.default


def test_the_steps_run_in_the_image_that_is_asked_for(tmp_path: Path) -> None:
    assert main(["compile", "-o", str(tmp_path / "p.yaml"), "--image", "registry.example/mine@sha256:1"]) == 0
    executors = next(yaml.safe_load_all((tmp_path / "p.yaml").read_text()))["deploymentSpec"]["executors"]
    assert {step["container"]["image"] for step in executors.values()} == {"registry.example/mine@sha256:1"}


def test_without_caching_no_step_is_left_out(tmp_path: Path) -> None:
    pipeline.compile_to(tmp_path / "p.yaml", caching=False)
    assert "enableCache: true" in GOLDEN.read_text()
    assert "enableCache: true" not in (tmp_path / "p.yaml").read_text()


def test_the_pipeline_compiles_to_kubernetes_resources(tmp_path: Path) -> None:
    command = ["compile", "-o", str(tmp_path / "p.yaml"), "--kubernetes-manifest", "--namespace", "ml"]
    assert main(command) == 0
    resources = list(yaml.safe_load_all((tmp_path / "p.yaml").read_text()))
    assert [resource["kind"] for resource in resources] == ["Pipeline", "PipelineVersion"]
    assert {resource["metadata"]["namespace"] for resource in resources} == {"ml"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compile", "-o", "pipeline.json"], "files that end in .yaml"),
        (
            ["run", "--param", "iteration=3"],
            "there is no parameter 'iteration', only registry_root, tracking_uri",
        ),
        (["run", "--param", "iterations=many"], "iterations is an integer"),
        (["run", "--param", "lr"], "expected NAME=VALUE"),
        (["run", "--param", "features=bmi"], "features is a JSON list"),
        (["run", "--param", "search=[]"], "search is a JSON object"),
        (["run", "--local", "/opt/python3/here"], "takes 'python3' for its interpreter"),
        (["run", "--serve", "--port", "9000", "--grpc-port", "9000"], "PORT and GRPC_PORT must be different"),
        (["run", "--serve", "--param", "registry_root=s3://bucket"], "needs a registry_root on this machine"),
        (["schedule", "--host", "http://127.0.0.1:1", "--cron", "daily"], "five fields, or six"),
    ],
)
def test_a_command_that_makes_no_sense_says_so(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--serve", f"--port={port}"])
    assert "from 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "variable"), [("--port", "PORT"), ("--grpc-port", "GRPC_PORT")])
def test_a_taken_port_is_an_error_before_the_training(
    flag: str, variable: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["run", "--local", str(tmp_path / "here"), "--serve", flag, str(port)]) == 1
    error = capsys.readouterr().err
    assert f"port {port} can't be used" in error
    assert f"Set {variable} to another one" in error
    assert not (tmp_path / "here").exists()
