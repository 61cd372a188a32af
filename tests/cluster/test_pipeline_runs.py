"""The pipeline on a cluster's Kubeflow Pipelines, with models in S3 and MLflow as the registry."""

import json
import subprocess
import sys
import uuid
from functools import partial
from pathlib import Path

import kfp
import pytest

from components.register.index import run_tag
from predictor.model import artifact
from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import kubectl, run, wait_for
from tests.cluster.pipelines import (
    KUBEFLOW,
    NAMESPACE,
    Pipelines,
    is_at,
    kill_each_step_once,
    needs_pipelines,
    run_id,
    store_away,
    watched,
    workers,
    write_shards,
)

pytestmark = needs_pipelines
BETTER = 'features=["bmi", "bp", "s5"]'
CLIENT = '{linear-regressor/registry-client: "true"}'
STRANGER = """
apiVersion: v1
kind: Pod
metadata:
  name: stranger
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
    - name: ask
      image: {image}
      imagePullPolicy: IfNotPresent
      command:
        - python
        - -c
        - |
          import time, urllib.error, urllib.request
          time.sleep(3)  # until the network knows the pod
          try:
              print(urllib.request.urlopen("{address}", timeout=5).status)
          except urllib.error.URLError:
              print("nothing")
      securityContext:
        allowPrivilegeEscalation: false
        capabilities:
          drop: [ALL]
"""


@pytest.fixture(scope="module")
def first(pipelines: Pipelines) -> str:
    """What the first run said."""
    return pipelines.submit("iterations=7", options=("--reason", "new data"))


def test_a_run_shows_its_steps_and_ends_as_it_ends(first: str) -> None:
    lines = first.splitlines()
    ended = [line.split()[0] for line in lines if line.endswith("succeeded") and not line.startswith("run")]
    assert ended == ["plan", "ingest", "train", "evaluate", "register"]
    assert lines[-1] == f"run {run_id(first)} succeeded"


def test_the_model_is_in_the_store_and_champion_in_the_registry(pipelines: Pipelines, first: str) -> None:
    champion = pipelines.champion()
    assert pipelines.registry.uri(champion) == f"{pipelines.root}/models/{NAME}/1"
    assert champion.tags["run_id"] == run_id(first)
    assert champion.tags["reason"] == "new data"
    assert champion.tags["model_source_group"] == KUBEFLOW


def test_the_status_tells_of_the_run(pipelines: Pipelines, first: str) -> None:
    said = run(*pipelines.command("status", run_id(first)))
    assert f"run {run_id(first)}" in said
    assert said.rstrip().endswith("succeeded")


def test_without_a_user_the_registry_says_nothing(pipelines: Pipelines, first: str) -> None:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    asked = f"{pipelines.address}/api/2.0/mlflow/registered-models/get?name={NAME}"
    assert run(*command, asked) == "401"


@pytest.mark.parametrize(("labels", "answer"), [("{}", "nothing"), (CLIENT, "200")])
def test_only_its_clients_reach_the_registry(
    pipelines: Pipelines, first: str, labels: str, answer: str
) -> None:
    kubectl("-n", NAMESPACE, "delete", "pod", "stranger", "--ignore-not-found")
    pod = STRANGER.format(labels=labels, image=pipelines.image, address=f"{pipelines.tracking_uri}/health")
    kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=pod)
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("-n", NAMESPACE, "wait", ended, "pod/stranger", "--timeout=120s")
    assert kubectl("-n", NAMESPACE, "logs", "stranger").strip() == answer


def test_the_same_again_with_every_step_killed_once_leaves_the_champion_as_it_is(
    pipelines: Pipelines, first: str
) -> None:
    with watched(pipelines) as problems:
        process = pipelines.start("iterations=7", options=("--no-cache",))
        assert process.stdout is not None
        identity = run_id(next(line for line in process.stdout if line.startswith("run ")))
        killed = kill_each_step_once(process, identity)
        said, _ = process.communicate()
    assert process.returncode == 0, said
    assert set(killed) == {"plan", "ingest", "train", "evaluate", "register"}
    assert not problems
    champion = pipelines.champion()
    assert champion.number == 1
    assert "the champion already" in champion.tags[run_tag(identity)]
    assert [version.number for version in pipelines.index.latest()] == [1]


def test_of_two_runs_at_once_both_are_recorded_and_the_better_is_champion(
    pipelines: Pipelines, first: str
) -> None:
    with watched(pipelines) as problems:
        started = [pipelines.start(BETTER), pipelines.start("iterations=9")]
        said = [process.communicate(timeout=1500)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    assert not problems
    versions = {version.tags["run_id"]: version for version in pipelines.index.latest()}
    better, other = (versions[run_id(text)] for text in said)
    for version in (better, other):
        assert "promote" in json.loads(version.tags[run_tag(version.tags["run_id"])])
    assert pipelines.champion().number == better.number


def test_shards_give_the_weights_of_one_piece(pipelines: Pipelines, first: str, tmp_path: Path) -> None:
    whole, shards = write_shards(tmp_path, pipelines.root, 3)
    features = 'features=["bmi", "s5"]'
    said = pipelines.submit(f"source={shards}", features)
    sharded = pipelines.registry.entry(pipelines.version(run_id(said))).model
    local = [sys.executable, str(ROOT / "pipeline.py"), "run", "--local", str(tmp_path / "local")]
    run(*local, "--param", f"source={whole}", "--param", features)
    one, _ = artifact.read(tmp_path / "local" / "models" / NAME / "1")
    assert sharded.weights == pytest.approx(one.weights, rel=1e-9)
    assert sharded.intercept == pytest.approx(one.intercept, rel=1e-9)


def test_a_store_that_is_away_for_a_minute_costs_no_more_than_time(pipelines: Pipelines, first: str) -> None:
    before = pipelines.champion().number
    process = pipelines.start("iterations=7", options=("--no-cache",))
    assert process.stdout is not None
    identity = run_id(next(line for line in process.stdout if line.startswith("run ")))
    # Before it has a connection, which would outlive the Service's port.
    wait_for("train's pod", partial(is_at, identity, "train", phase="Pending"), 600, pause=0.1)
    with store_away(), pytest.raises(subprocess.TimeoutExpired):
        process.wait(60)
    said, _ = process.communicate(timeout=1500)
    assert process.returncode == 0, said
    assert pipelines.champion().number == before


def test_a_registry_that_is_killed_in_the_middle_of_a_run_costs_no_more_than_time(
    pipelines: Pipelines, first: str
) -> None:
    before = pipelines.champion()
    process = pipelines.start("iterations=7", options=("--no-cache",))
    assert process.stdout is not None
    identity = run_id(next(line for line in process.stdout if line.startswith("run ")))
    for step in ("evaluate", "register"):
        wait_for(step, partial(is_at, identity, step), 600, pause=0.2)
        # Its process and its database at once: they are one pod.
        kubectl("-n", NAMESPACE, "delete", "pod", "--all", "--force", "--grace-period=0")
    said, _ = process.communicate(timeout=1500)
    assert process.returncode == 0, said
    assert pipelines.champion().number == before.number
    assert '"promote"' in pipelines.index.version(1).tags[run_tag(identity)]


def test_a_registry_that_does_not_answer_fails_the_run_and_says_so(pipelines: Pipelines, first: str) -> None:
    said = pipelines.submit("tracking_uri=http://nobody.invalid:5000", status=1)
    lines = [line.split() for line in said.splitlines()]
    assert ["evaluate", "failed"] in lines
    assert not any(line[0] == "register" and line[1:] != ["skipped"] for line in lines if len(line) == 2)
    told = run(*pipelines.command("logs", run_id(said)))
    assert "--- evaluate" in told
    assert "nobody.invalid" in told


def test_a_schedule_called_again_is_changed_and_runs(pipelines: Pipelines, first: str) -> None:
    client = kfp.Client(host=pipelines.host, namespace=KUBEFLOW)
    name = f"tests-{uuid.uuid4().hex[:8]}"

    def schedules() -> list[str]:
        found = client.list_recurring_runs(page_size=100, sort_by="created_at desc").recurring_runs
        return [one.recurring_run_id for one in found or [] if one.display_name == name]

    def schedule(cron: str) -> str:
        process = pipelines.start("iterations=7", name="schedule", options=("--cron", cron, "--name", name))
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said.split()[-1]

    def ran() -> bool:
        tags = pipelines.index.version(1).tags
        return any('"reason": "schedule"' in value for key, value in tags.items() if key.startswith("run/"))

    yearly = schedule("0 3 1 1 *")
    try:
        assert schedule("0 3 1 1 *") == yearly
        soon = schedule("*/10 * * * * *")
        assert soon != yearly
        assert schedules() == [soon]
        wait_for("a scheduled run that registered its model", ran, 900, pause=2)
    finally:
        for one in schedules():
            client.delete_recurring_run(one)


def test_a_step_whose_data_and_settings_did_not_change_is_left_out(pipelines: Pipelines, first: str) -> None:
    pipelines.submit("iterations=8")
    begun = run_id(pipelines.submit("iterations=8"))
    ran = {step for step, _ in workers(begun, phase="Succeeded")}
    assert ran == {"plan", "evaluate", "register"}
