"""The pipeline on a cluster's Kubeflow Pipelines, with models in S3 and MLflow as the registry."""

import json
import subprocess
import sys
import uuid
from pathlib import Path

import kfp
import pytest

from components.registry.index import run_tag
from predictor.model import artifact
from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import kubectl, run, wait_for
from tests.cluster.pipelines import (
    Pipelines,
    kill_each_step_once,
    needs_pipelines,
    read_run_id,
    run_id,
    step_pods,
    verified_champion,
    wait_for_step,
    write_shards,
)
from tests.cluster.registry import KUBEFLOW, NAMESPACE, unreachable_store
from tests.support.models import weights_of

pytestmark = needs_pipelines
BETTER = 'features=["bmi", "bp", "s5"]'
CLIENT = '{linear-regressor/registry-client: "true"}'
# The network policy may take a few seconds to apply to a new pod, so the pod retries. That the name resolves
# shows that the pod has a network.
CALLER = """
apiVersion: v1
kind: Pod
metadata:
  name: caller
  labels: {labels}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: caller
      image: {image}
      imagePullPolicy: IfNotPresent
      command:
        - python
        - -c
        - |
          import socket, time, urllib.request
          deadline = time.monotonic() + 30
          while True:
              try:
                  result = "no name"
                  socket.getaddrinfo("{host}", 5000)
                  result = "no connection"
                  result = str(urllib.request.urlopen("http://{host}:5000/health", timeout=5).status)
              except OSError:
                  pass
              if result == "{expected}" or time.monotonic() > deadline:
                  break
              time.sleep(0.5)
          print(result)
      securityContext:
        allowPrivilegeEscalation: false
        capabilities:
          drop: [ALL]
"""


@pytest.fixture(scope="module")
def first_run(pipelines: Pipelines) -> str:
    """The output of the first run."""
    return pipelines.submit("iterations=7", "lr=0.1", options=("--reason", "new data"))


def test_submit_prints_each_step_and_the_final_state(first_run: str) -> None:
    lines = first_run.splitlines()
    steps = [line.split()[0] for line in lines if line.endswith("succeeded") and not line.startswith("run")]
    assert steps == ["plan", "ingest", "train", "evaluate", "register"]
    assert lines[-1] == f"run {run_id(first_run)} succeeded"


def test_first_model_is_stored_and_becomes_champion(pipelines: Pipelines, first_run: str) -> None:
    champion = pipelines.champion()
    assert pipelines.registry.uri(champion) == f"{pipelines.root}/models/{NAME}/1"
    assert champion.tags["run_id"] == run_id(first_run)
    assert champion.tags["reason"] == "new data"
    assert champion.tags["model_source_group"] == KUBEFLOW


def test_status_prints_the_run_and_its_state(pipelines: Pipelines, first_run: str) -> None:
    output = run(*pipelines.command("status", run_id(first_run)))
    assert f"run {run_id(first_run)}" in output
    assert output.rstrip().endswith("succeeded")


def test_registry_rejects_a_request_without_credentials(pipelines: Pipelines, first_run: str) -> None:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    url = f"{pipelines.address}/api/2.0/mlflow/registered-models/get?name={NAME}"
    assert run(*command, url) == "401"


@pytest.mark.parametrize(("labels", "expected"), [("{}", "no connection"), (CLIENT, "200")])
def test_only_registry_clients_reach_the_registry(
    pipelines: Pipelines, first_run: str, labels: str, expected: str
) -> None:
    kubectl("-n", NAMESPACE, "delete", "pod", "caller", "--ignore-not-found")
    host = f"{NAME}-mlflow.{NAMESPACE}"
    pod = CALLER.format(labels=labels, image=pipelines.image, host=host, expected=expected)
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=pod)
    succeeded = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("-n", NAMESPACE, "wait", succeeded, "pod/caller", "--timeout=120s")
    assert kubectl("-n", NAMESPACE, "logs", "caller").strip() == expected


def test_repeated_run_with_each_step_killed_once_keeps_the_champion(
    pipelines: Pipelines, first_run: str
) -> None:
    with verified_champion(pipelines) as problems:
        process = pipelines.start("iterations=7", "lr=0.1", options=("--no-cache",))
        started = read_run_id(process)
        killed = kill_each_step_once(process, started)
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assert set(killed) == {"plan", "ingest", "train", "evaluate", "register"}
    assert not problems
    champion = pipelines.champion()
    assert champion.number == 1
    assert "the champion already" in champion.tags[run_tag(started)]
    assert [version.number for version in pipelines.index.latest()] == [1]


def test_concurrent_runs_are_both_recorded_and_the_better_becomes_champion(
    pipelines: Pipelines, first_run: str
) -> None:
    with verified_champion(pipelines) as problems:
        processes = [pipelines.start(BETTER, "evidence=point"), pipelines.start("iterations=9", "lr=0.1")]
        outputs = [process.communicate(timeout=1500)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert not problems
    versions = {version.tags["run_id"]: version for version in pipelines.index.latest()}
    better, other = (versions[run_id(output)] for output in outputs)
    for version in (better, other):
        assert "promote" in json.loads(version.tags[run_tag(version.tags["run_id"])])
    assert pipelines.champion().number == better.number


def test_shards_give_the_same_weights_as_one_file(
    pipelines: Pipelines, first_run: str, tmp_path: Path
) -> None:
    whole, shards = write_shards(tmp_path, pipelines.root, 3)
    features = 'features=["bmi", "s5"]'
    output = pipelines.submit(f"source={shards}", features)
    sharded = pipelines.registry.entry(pipelines.version(run_id(output))).model
    local = [sys.executable, str(ROOT / "pipeline.py"), "run", "--local", str(tmp_path / "local")]
    run(*local, "--param", f"source={whole}", "--param", features)
    one, _ = artifact.read(tmp_path / "local" / "models" / NAME / "1")
    assert weights_of(sharded) == pytest.approx(weights_of(one), rel=1e-9)
    assert sharded.intercept == pytest.approx(one.intercept, rel=1e-9)


def test_run_succeeds_although_the_store_is_unreachable_for_a_minute(
    pipelines: Pipelines, first_run: str
) -> None:
    before = pipelines.champion().number
    process = pipelines.start("iterations=7", "lr=0.1", options=("--no-cache",))
    started = read_run_id(process)
    # Before the pod opens a connection, which would outlive the change of the Service's port.
    wait_for_step(started, "train", phase="Pending", pause=0.1)
    with unreachable_store(), pytest.raises(subprocess.TimeoutExpired):
        process.wait(60)
    output, _ = process.communicate(timeout=1500)
    assert process.returncode == 0, output
    assert pipelines.champion().number == before


def test_run_succeeds_although_the_registry_is_killed_twice(pipelines: Pipelines, first_run: str) -> None:
    before = pipelines.champion()
    process = pipelines.start("iterations=7", "lr=0.1", options=("--no-cache",))
    started = read_run_id(process)
    for step in ("evaluate", "register"):
        wait_for_step(started, step)
        # One pod has both the server and the database.
        kubectl("-n", NAMESPACE, "delete", "pod", "--all", "--force", "--grace-period=0")
    output, _ = process.communicate(timeout=1500)
    assert process.returncode == 0, output
    assert pipelines.champion().number == before.number
    assert '"promote"' in pipelines.index.version(1).tags[run_tag(started)]


def test_run_fails_and_names_a_registry_that_does_not_answer(pipelines: Pipelines, first_run: str) -> None:
    output = pipelines.submit("tracking_uri=http://nobody.invalid:5000", status=1)
    lines = [line.split() for line in output.splitlines()]
    assert ["evaluate", "failed"] in lines
    assert not any(line[0] == "register" and line[1:] != ["skipped"] for line in lines if len(line) == 2)
    logs = run(*pipelines.command("logs", run_id(output)))
    assert "--- evaluate" in logs
    assert "nobody.invalid" in logs


def test_changed_schedule_replaces_the_old_one_and_runs(pipelines: Pipelines, first_run: str) -> None:
    client = kfp.Client(host=pipelines.host, namespace=KUBEFLOW)
    name = f"tests-{uuid.uuid4().hex[:8]}"

    def schedules() -> list[str]:
        found = client.list_recurring_runs(page_size=100, sort_by="created_at desc").recurring_runs
        return [found_run.recurring_run_id for found_run in found or [] if found_run.display_name == name]

    def schedule(cron: str) -> str:
        process = pipelines.start(
            "iterations=7", "lr=0.1", name="schedule", options=("--cron", cron, "--name", name)
        )
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output.split()[-1]

    def has_run() -> bool:
        tags = pipelines.index.version(1).tags
        return any('"reason": "schedule"' in value for key, value in tags.items() if key.startswith("run/"))

    yearly = schedule("0 3 1 1 *")
    try:
        assert schedule("0 3 1 1 *") == yearly
        soon = schedule("*/10 * * * * *")
        assert soon != yearly
        assert schedules() == [soon]
        wait_for("a scheduled run that registered its model", has_run, 900, pause=2)
    finally:
        for schedule_id in schedules():
            client.delete_recurring_run(schedule_id)


def test_skips_steps_whose_data_and_settings_did_not_change(pipelines: Pipelines, first_run: str) -> None:
    pipelines.submit("iterations=8", "lr=0.1")
    second = run_id(pipelines.submit("iterations=8", "lr=0.1"))
    steps = {step for step, _ in step_pods(second, phase="Succeeded")}
    assert steps == {"plan", "evaluate", "register"}
