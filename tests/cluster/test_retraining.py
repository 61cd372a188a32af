"""Retraining: predictions and labels are recorded, drift is found, and a retrained model is compared."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from components.operations.cli.cluster import follow
from components.operations.cli.monitor import NOT_DUE
from components.registry.index import run_tag
from components.registry.registry import open_registry
from pipeline import _connect
from predictor.model import artifact
from tests.cluster.installers import NAME, ROOT, image_values, render_template
from tests.cluster.kube import Object, get, kubectl, run, wait_for
from tests.cluster.pipelines import Pipelines, needs_pipelines, run_id, step_pods
from tests.cluster.registry import BUCKET, make_run_secret, store_credentials, store_port
from tests.cluster.registry import NAMESPACE as REGISTRY
from tests.cluster.resources import make_namespace, make_storage_secret
from tests.cluster.rollout_job import NEVER
from tests.cluster.service import Service
from tests.support.models import weights_of

pytestmark = needs_pipelines

NAMESPACE = f"{NAME}-feedback"
HOST = "feedback.example.com"
PARAMETERS = {"features": ["size"], "target": "price", "test_share": 0.2}
SETTINGS = tuple(
    f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in PARAMETERS.items()
)
Rows = NDArray[np.float64]


def usual_prices(rows: int, seed: int) -> tuple[Rows, Rows]:
    """Return sizes and prices like those that the first model was trained on."""
    random = np.random.RandomState(seed)
    size = random.normal(100, 10, rows)
    return size, 3 * size + 20 + random.normal(0, 5, rows)


def drifted_prices(rows: int, seed: int) -> tuple[Rows, Rows]:
    """Return larger sizes, and prices that follow another line."""
    random = np.random.RandomState(seed)
    size = random.normal(140, 10, rows)
    return size, 5 * size - 180 + random.normal(0, 5, rows)


@dataclass(frozen=True)
class FeedbackLoop:
    """Data, models and recorded feedback under one root, and the predictor that serves the champion."""

    pipelines: Pipelines
    service: Service

    @property
    def data(self) -> str:
        """The folder of the training data, with a file for each day."""
        return f"{self.pipelines.root}/data"

    @property
    def feedback(self) -> str:
        """The folder of recorded predictions and labels."""
        return f"{self.pipelines.root}/kept"

    def write(self, name: str, size: Rows, price: Rows) -> str:
        """Write a data file; returns its URI."""
        uri = f"{self.pipelines.root}/{name}"
        with fsspec.open(uri, "wb") as file:
            pq.write_table(pa.table({"size": size, "price": price}), file)
        return uri

    def predict_and_label(self, size: Rows, price: Rows) -> None:
        """Request predictions through the gateway, and send the true prices as feedback."""
        response = self.service.request("POST", "/batch", {"instances": size.tolist()}, host=HOST)
        assert response.status == 200, response.content
        labels = {"id": response.headers["x-request-id"], "targets": price.tolist()}
        stored = self.service.request("POST", "/feedback", labels, host=HOST)
        assert stored.json() == {"stored": len(price)}

    def run_command(self, name: str, *words: str) -> tuple[int, str]:
        """Run a command on the recorded feedback; returns its status and output."""
        pipelines = self.pipelines
        registry = ["--registry-root", pipelines.root, "--tracking-uri", pipelines.address]
        command = [sys.executable, str(ROOT / "pipeline.py"), name, "--feedback", self.feedback]
        done = subprocess.run(
            [*command, *registry, *words], capture_output=True, text=True, check=False, timeout=300
        )
        return done.returncode, done.stdout + done.stderr

    def install_cronjob(self, at_most_every: str) -> None:
        """Install the retraining CronJob beside the registry, or change how often it may start a run."""
        rendered = render_template("retraining", REGISTRY, self.cronjob_values(at_most_every, store_port()))
        kubectl("apply", "-f", "-", stdin=rendered)

    def cronjob_values(self, at_most_every: str, port: int) -> Object:
        """Return the chart's values of the retraining CronJob; ``port`` is that of the store's pods."""
        return {
            "mlflow": {"enabled": True},
            "rollout": {
                "image": image_values(self.pipelines.image),
                "registry": {"root": self.pipelines.root},
            },
            "retraining": {
                "enabled": True,
                "schedule": NEVER,
                "feedback": self.feedback,
                "data": self.data,
                "pipelineRoot": f"s3://{BUCKET}/runs",
                "parameters": PARAMETERS,
                "atMostEvery": at_most_every,
                # Kubeflow Pipelines and its store may run inside or outside of the cluster.
                "egress": [{"ports": [{"port": one} for one in (8888, port)]}],
                "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
            },
        }

    def run_cronjob(self, name: str) -> str:
        """Run the CronJob now as a job of this name; returns its output."""
        kubectl("-n", REGISTRY, "create", "job", name, f"--from=cronjob/{NAME}-retraining")

        def final_status() -> dict[str, int]:
            status: dict[str, int] = get("-n", REGISTRY, "job", name)["status"]
            return status if status.get("succeeded") or status.get("failed") else {}

        status = wait_for(f"the job {name}", final_status, 600, pause=2)
        output = kubectl("-n", REGISTRY, "logs", f"job/{name}")
        assert status.get("succeeded"), output
        return output


@pytest.fixture(scope="module")
def loop(pipelines: Pipelines, image: str) -> Iterator[FeedbackLoop]:
    """A model of the usual prices, served by a predictor that records feedback in the store."""
    loop = FeedbackLoop(pipelines, Service(os.environ["INGRESS"], {}))
    loop.write("data/2026-01-01.parquet", *usual_prices(2000, seed=1))
    pipelines.submit(f"source={loop.data}/*.parquet", *SETTINGS, options=("--reason", "new data"))
    assert pipelines.champion().number == 1
    _install_predictor(loop, image)
    make_run_secret(REGISTRY)
    # The first run was just now, and the next one may start at once.
    loop.install_cronjob(at_most_every="1s")
    wait_for("the predictor", lambda: loop.service.request("GET", "/v2", host=HOST).status == 200, 300)
    yield loop
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _install_predictor(loop: FeedbackLoop, image: str) -> None:
    make_namespace(NAMESPACE)
    store = store_credentials()
    make_storage_secret(NAMESPACE, "store", store["AWS_ENDPOINT_URL"].removeprefix("http://"), **store)
    chart, values = str(ROOT / "helm" / NAME), json.dumps(predictor_values(loop, image, store, store_port()))
    run("helm", "upgrade", "--install", NAME, chart, "-n", NAMESPACE, "-f", "-", stdin=values)


def predictor_values(loop: FeedbackLoop, image: str, store: Mapping[str, str], port: int) -> Object:
    """Return the chart's values of a predictor that keeps feedback.

    Args:
        loop: where it keeps it.
        image: the predictor's image.
        store: the content of the store's Secret.
        port: that of the store's pods.
    """
    feedback = {"PREDICTOR_FEEDBACK_URL": loop.feedback, "PREDICTOR_FEEDBACK_SECONDS": "1"}
    return {
        "image": image_values(image),
        "model": {"storageUri": f"{loop.pipelines.root}/models/{NAME}/1/"},
        "storage": {"secretName": "store"},
        "replicas": {"min": 1, "max": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}},
        "autoscaling": {"type": "none"},
        "scheduling": {"whenUnsatisfiable": "ScheduleAnyway"},
        "routing": {"host": HOST, "grpcHost": "-"},
        "extraEnv": [
            *({"name": name, "value": value} for name, value in feedback.items()),
            *(
                {"name": name, "valueFrom": {"secretKeyRef": {"name": "store", "key": name}}}
                for name in store
            ),
        ],
        "networkPolicy": {"store": {"port": port}},
    }


@pytest.fixture(scope="module")
def usual_feedback(loop: FeedbackLoop) -> None:
    """Predictions and labels like those that the first model was trained on."""
    loop.predict_and_label(*usual_prices(400, seed=2))


def test_no_retraining_is_due_without_drift(loop: FeedbackLoop, usual_feedback: None) -> None:
    def judgment() -> str:
        status, output = loop.run_command("due")
        assert status == NOT_DUE, output
        return output if "not beyond chance above" in output else ""

    assert "no drift" in wait_for("the recorded feedback", judgment, 60, pause=2)
    output = loop.run_cronjob("calm")
    assert "no retraining is due:\nno drift" in output
    assert "started" not in output


@dataclass(frozen=True)
class Retraining:
    """A retraining that the CronJob started for a drift.

    Attributes:
        run: the run's id.
        reason: why it was due.
        output: what the job printed.
    """

    run: str
    reason: str
    output: str


@pytest.fixture(scope="module")
def retraining(loop: FeedbackLoop, usual_feedback: None) -> Retraining:
    """Predictions and labels that have drifted, and the run that the CronJob starts for them."""
    loop.predict_and_label(*drifted_prices(600, seed=3))

    def due_reason() -> str:
        status, output = loop.run_command("due")
        return output.strip() if status == 0 and "drift" in output and "quality" in output else ""

    reason = wait_for("drift", due_reason, 60, pause=2)
    output = loop.run_cronjob("drift")
    return Retraining(run_id(output), reason, output)


def test_drift_starts_a_retraining_on_new_data_and_records_the_reason(
    loop: FeedbackLoop, retraining: Retraining, tmp_path: Path
) -> None:
    pipelines = loop.pipelines
    assert retraining.reason in retraining.output
    assert ".parquet: 1000 rows" in retraining.output
    loop.install_cronjob(at_most_every="6h")
    assert f"too soon, none started: run {retraining.run}" in loop.run_cronjob("again")
    assert follow(_connect(pipelines.host, None), retraining.run)
    champion = pipelines.champion()
    assert (champion.number, champion.tags["run_id"]) == (2, retraining.run)
    assert champion.tags["reason"] == retraining.reason
    assert retraining.reason.startswith("drift: ")
    steps = [step for step, _ in step_pods(retraining.run, phase="Succeeded")]
    assert sorted(steps) == ["evaluate", "ingest", "plan", "register", "train"], "one file of two was read"

    local_run = [sys.executable, str(ROOT / "pipeline.py"), "run", "--local", str(tmp_path)]
    params = (f"source={loop.data}/*.parquet", *SETTINGS)
    run(*local_run, *(word for param in params for word in ("--param", param)))
    grown = pipelines.registry.entry(champion).model
    whole, _ = artifact.read(open_registry(tmp_path).uri(open_registry(tmp_path).version(1)))
    assert weights_of(grown) == pytest.approx(weights_of(whole), rel=1e-12)
    assert grown.intercept == pytest.approx(whole.intercept, rel=1e-12)


def test_drift_of_one_week_is_answered_by_one_run(loop: FeedbackLoop, retraining: Retraining) -> None:
    assert follow(_connect(loop.pipelines.host, None), retraining.run)
    newest = loop.pipelines.champion().number
    loop.install_cronjob(at_most_every="1s")
    loop.predict_and_label(*drifted_prices(300, seed=7))
    for name in ("answered", "still-answered"):
        output = loop.run_cronjob(name)
        assert "no retraining is due:" in output
        assert "a retraining answered the drift of size on " in output
        assert "started" not in output
    assert loop.pipelines.champion().number == newest


def test_worse_model_does_not_become_champion(loop: FeedbackLoop) -> None:
    pipelines = loop.pipelines
    before = pipelines.champion()
    (size, price), (held_out_size, held_out_price) = usual_prices(1600, seed=4), usual_prices(400, seed=5)
    # Prices are shuffled in the training rows, and right in the last rows, which are held out.
    shuffled = np.random.RandomState(6).permutation(price)
    sizes, prices = np.concatenate([size, held_out_size]), np.concatenate([shuffled, held_out_price])
    source = loop.write("shuffled.parquet", sizes, prices)
    output = pipelines.submit(f"source={source}", *SETTINGS[:2], "test_rows=400")
    version = pipelines.version(run_id(output))
    decision = json.loads(version.tags[run_tag(run_id(output))])
    assert decision["promote"] is False
    assert "is worse" in " ".join(decision["reasons"])
    assert pipelines.champion().number == before.number
