"""From requests to a retraining: what is served is kept, told of, found drifted, learnt from and compared."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from components.commands.cluster import follow
from components.commands.monitor import NOT_DUE
from components.register.index import run_tag
from components.register.registry import open_registry
from pipeline import _connect
from predictor.model import artifact
from tests.cluster.conftest import _namespace
from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import get, kubectl, run, wait_for
from tests.cluster.pipelines import (
    BUCKET,
    Pipelines,
    make_run_secret,
    make_secret,
    needs_pipelines,
    run_id,
    store_credentials,
    workers,
)
from tests.cluster.pipelines import NAMESPACE as REGISTRY
from tests.cluster.rollouts import NEVER, image_values
from tests.cluster.service import Service

pytestmark = needs_pipelines

NAMESPACE = f"{NAME}-feedback"
HOST = "feedback.example.com"
PARAMETERS = {"features": ["size"], "target": "price", "test_share": 0.2}
SETTINGS = tuple(
    f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in PARAMETERS.items()
)
Rows = NDArray[np.float64]


def usual(rows: int, seed: int) -> tuple[Rows, Rows]:
    """Sizes and prices as they were when the first model was trained."""
    random = np.random.RandomState(seed)
    size = random.normal(100, 10, rows)
    return size, 3 * size + 20 + random.normal(0, 5, rows)


def changed(rows: int, seed: int) -> tuple[Rows, Rows]:
    """Larger ones, for which another line holds."""
    random = np.random.RandomState(seed)
    size = random.normal(140, 10, rows)
    return size, 5 * size - 180 + random.normal(0, 5, rows)


@dataclass(frozen=True)
class Town:
    """Where data, models and what is kept stand, and the predictor that serves the champion."""

    pipelines: Pipelines
    service: Service

    @property
    def data(self) -> str:
        """The folder of the sources, a file for each day."""
        return f"{self.pipelines.root}/data"

    def write(self, name: str, size: Rows, price: Rows) -> str:
        """Write a source; returns its URI."""
        uri = f"{self.pipelines.root}/{name}"
        with fsspec.open(uri, "wb") as file:
            pq.write_table(pa.table({"size": size, "price": price}), file)
        return uri

    def ask(self, size: Rows, price: Rows) -> None:
        """Ask for predictions through the gateway, and tell what came true."""
        answer = self.service.ask("POST", "/batch", {"instances": size.tolist()}, host=HOST)
        assert answer.status == 200, answer.content
        name = {key.lower(): value for key, value in answer.headers.items()}["x-request-id"]
        told = self.service.ask("POST", "/feedback", {"id": name, "targets": price.tolist()}, host=HOST)
        assert told.json() == {"stored": len(price)}

    def command(self, name: str, *words: str) -> tuple[int, str]:
        """Run a command about what was kept; returns its status and what it said."""
        pipelines = self.pipelines
        registry = ["--registry-root", pipelines.root, "--tracking-uri", pipelines.address]
        command = [sys.executable, str(ROOT / "pipeline.py"), name, "--feedback", f"{pipelines.root}/kept"]
        done = subprocess.run(
            [*command, *registry, *words], capture_output=True, text=True, check=False, timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    def allow(self, at_most_every: str) -> None:
        """Install the CronJob beside the registry, or change how often it may start a run."""
        values = {
            "rollout": {
                "image": image_values(self.pipelines.image),
                "registry": {"root": self.pipelines.root},
            },
            "retraining": {
                "enabled": True,
                "schedule": NEVER,
                "feedback": f"{self.pipelines.root}/kept",
                "data": self.data,
                "pipelineRoot": f"s3://{BUCKET}/runs",
                "parameters": PARAMETERS,
                "atMostEvery": at_most_every,
                # Kubeflow Pipelines and its store may stand in the cluster or outside of it.
                "egress": [{"ports": [{"port": port} for port in (8888, 9000)]}],
                "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
            },
        }
        chart, only = str(ROOT / "helm" / NAME), ("--show-only", "templates/retraining.yaml")
        rendered = run(
            "helm", "template", NAME, chart, "-n", REGISTRY, *only, "-f", "-", stdin=json.dumps(values)
        )
        kubectl("apply", "-f", "-", stdin=rendered)

    def retrain(self, name: str) -> str:
        """Have the CronJob do now what it does at its time; returns what it said."""
        kubectl("-n", REGISTRY, "create", "job", name, f"--from=cronjob/{NAME}-retraining")

        def status() -> dict[str, int]:
            told: dict[str, int] = get("-n", REGISTRY, "job", name)["status"]
            return told if told.get("succeeded") or told.get("failed") else {}

        ended = wait_for(f"the job {name}", status, 600, pause=2)
        said = kubectl("-n", REGISTRY, "logs", f"job/{name}")
        assert ended.get("succeeded"), said
        return said


@pytest.fixture(scope="module")
def town(pipelines: Pipelines, image: str) -> Iterator[Town]:
    """A model of the usual prices, served by a predictor that keeps what it sees in the store."""
    town = Town(pipelines, Service(os.environ["INGRESS"], {}))
    town.write("data/2026-01-01.parquet", *usual(2000, seed=1))
    pipelines.submit(f"source={town.data}/*.parquet", *SETTINGS, options=("--reason", "new data"))
    assert pipelines.champion().number == 1
    _serve(pipelines, image)
    make_run_secret(REGISTRY)
    # The first run was a moment ago.
    town.allow("1s")
    wait_for("the predictor", lambda: town.service.ask("GET", "/v2", host=HOST).status == 200, 300)
    yield town
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _serve(pipelines: Pipelines, image: str) -> None:
    _namespace(NAMESPACE)
    store = store_credentials()
    make_secret(NAMESPACE, "store", **store)
    endpoint = store["AWS_ENDPOINT_URL"].removeprefix("http://")
    marks = (f"s3-endpoint={endpoint}", "s3-usehttps=0", "s3-region=us-east-1")
    kubectl("-n", NAMESPACE, "annotate", "secret", "store", *(f"serving.kserve.io/{mark}" for mark in marks))
    kept = {"PREDICTOR_FEEDBACK_URL": f"{pipelines.root}/kept", "PREDICTOR_FEEDBACK_SECONDS": "1"}
    values = {
        "image": image_values(image),
        "model": {"storageUri": f"{pipelines.root}/models/{NAME}/1/"},
        "storage": {"secretName": "store"},
        "replicas": {"min": 1, "max": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
        "autoscaling": {"type": "none"},
        "scheduling": {"whenUnsatisfiable": "ScheduleAnyway"},
        "routing": {"host": HOST, "grpcHost": ""},
        "env": [
            *({"name": name, "value": value} for name, value in kept.items()),
            *(
                {"name": name, "valueFrom": {"secretKeyRef": {"name": "store", "key": name}}}
                for name in store
            ),
        ],
        "networkPolicy": {"store": {"port": 9000}},
    }
    chart = str(ROOT / "helm" / NAME)
    run("helm", "upgrade", "--install", NAME, chart, "-n", NAMESPACE, "-f", "-", stdin=json.dumps(values))


def test_as_long_as_all_is_as_usual_no_retraining_is_due(town: Town) -> None:
    town.ask(*usual(400, seed=2))

    def judged() -> str:
        status, said = town.command("due")
        assert status == NOT_DUE, said
        return said if "quality holds" in said else ""

    assert "no drift" in wait_for("what was kept", judged, 60, pause=2)
    said = town.retrain("calm")
    assert "no retraining is due:\nno drift" in said
    assert "started" not in said


def test_drift_starts_a_retraining_that_reads_only_what_is_new_and_says_why(
    town: Town, tmp_path: Path
) -> None:
    pipelines = town.pipelines
    town.ask(*changed(600, seed=3))

    def due() -> str:
        status, said = town.command("due")
        return said.strip() if status == 0 and "drift" in said and "quality" in said else ""

    reason = wait_for("drift", due, 60, pause=2)
    said = town.retrain("drift")
    assert reason in said
    assert ".parquet: 1000 rows" in said
    identity = run_id(said)
    town.allow("6h")
    assert f"too soon, none started: run {identity}" in town.retrain("again")
    assert follow(_connect(pipelines.host, None), identity)
    champion = pipelines.champion()
    assert (champion.number, champion.tags["run_id"]) == (2, identity)
    assert champion.tags["reason"] == reason
    assert reason.startswith("drift: ")
    steps = [step for step, _ in workers(identity, phase="Succeeded")]
    assert sorted(steps) == ["evaluate", "ingest", "plan", "register", "train"], "one file of two was read"

    here = [sys.executable, str(ROOT / "pipeline.py"), "run", "--local", str(tmp_path)]
    given = (f"source={town.data}/*.parquet", *SETTINGS)
    run(*here, *(word for text in given for word in ("--param", text)))
    grown = pipelines.registry.entry(champion).model
    whole, _ = artifact.read(open_registry(tmp_path).uri(open_registry(tmp_path).version(1)))
    assert grown.weights == pytest.approx(whole.weights, rel=1e-12)
    assert grown.intercept == pytest.approx(whole.intercept, rel=1e-12)


def test_data_that_makes_a_worse_model_changes_nothing(town: Town) -> None:
    pipelines = town.pipelines
    before = pipelines.champion()
    (size, price), (later, then) = usual(1600, seed=4), usual(400, seed=5)
    # The rows to learn from have each other's prices; those held out, the last, are right.
    spoilt = np.random.RandomState(6).permutation(price)
    source = town.write("spoilt.parquet", np.concatenate([size, later]), np.concatenate([spoilt, then]))
    said = pipelines.submit(f"source={source}", *SETTINGS[:2], "test_rows=400")
    version = pipelines.version(run_id(said))
    decision = json.loads(version.tags[run_tag(run_id(said))])
    assert decision["promote"] is False
    assert "is worse" in " ".join(decision["reasons"])
    assert pipelines.champion().number == before.number
