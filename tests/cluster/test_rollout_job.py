"""The rollout job under steady load: promotions, rollbacks, canaries, and jobs that are killed.

The job runs as its own ServiceAccount. Versions 4, 5 and 6 have faults when they are served as a canary; they
come from faulty.py. Version MEAN always predicts the mean, WIDER has other features.
"""

import json
import os
import time
from collections.abc import Iterator

import pytest

from components.registry.registry import Registry
from tests.cluster import rollout_job as rollouts
from tests.cluster.installers import NAME
from tests.cluster.kube import get, kubectl, wait_for
from tests.cluster.load import Load
from tests.cluster.rollout_install import DAMAGED, FEATURES, MEAN, WIDER
from tests.cluster.rollout_job import (
    CANARY,
    NAMESPACE,
    STORE_NAMESPACE,
    Job,
    assert_no_canary_is_left,
    champion,
    make_champion,
    served_versions,
)
from tests.cluster.service import Service, X

pytestmark = pytest.mark.skipif(
    bool(rollouts.MISSING), reason=f"LEFT OUT: {rollouts.MISSING} not set (docs/deployment.md)"
)


def test_promotion_fails_no_request(job: Job, job_registry: Registry, job_load: Load) -> None:
    make_champion(job_registry, 2)
    with job_load:
        output = job.run("promote")
        job_load.wait_for_requests(2000)
    job_load.assert_no_failures()
    assert set(job_load.responses) == {job.responses["1"], job.responses["2"]}
    assert served_versions() == {"2"}
    assert "every pod serves version 2" in output
    assert "Promoted: every pod serves version 2" in rollouts.events()
    decision = json.loads(get("-n", NAMESPACE, "configmap", f"{NAME}-decisions")["data"]["rollout.json"])
    assert (decision["outcome"], decision["version"]) == ("served", "2")
    service = get("-n", NAMESPACE, "inferenceservice", NAME)
    assert service["metadata"]["annotations"]["linear-regressor/model-version"] == "2"
    assert service["spec"]["predictor"]["model"]["storageUri"].endswith("/2/")


@pytest.fixture
def four_pods(job: Job) -> Iterator[None]:
    """Four serving pods instead of two."""
    rollouts.scale(4)
    yield
    rollouts.scale(2)


def test_rollback_of_four_pods_takes_less_than_a_minute_and_persists(
    job: Job, job_registry: Registry, job_load: Load, four_pods: None
) -> None:
    with job_load:
        start = time.monotonic()
        output = job.run("rollback", "--reason", "it was only a test")
        seconds = time.monotonic() - start
    print(f"rolled back in {seconds:.1f} s")
    assert served_versions(ending=True) == {"1"}, "not even a pod being deleted serves version 2"
    assert seconds < 60, output
    job_load.assert_no_failures()
    assert champion(job_registry) == 1
    assert job_registry.version(2).withdrawn == "it was only a test"
    assert "every pod serves version 1" in job.run("reconcile")
    assert served_versions() == {"1"}


def test_canary_of_a_good_version_completes_and_fails_no_request(
    job: Job, job_registry: Registry, job_load: Load
) -> None:
    make_champion(job_registry, 8)
    with job_load:
        output = job.run("canary")
        job_load.wait_for_requests(2000)
    job_load.assert_no_failures()
    assert [line.split(":")[0] for line in output.splitlines()[:7]] == [
        "CanaryStarted",
        "CanaryStep",
        "CanaryPassed",
        "CanaryStep",
        "CanaryPassed",
        "Promoting",
        "Promoted",
    ]
    assert served_versions() == {"8"}
    assert_no_canary_is_left(job_registry, 8)


def test_canary_of_a_model_with_other_features_reaches_all_pods(job: Job, job_registry: Registry) -> None:
    before = champion(job_registry)
    make_champion(job_registry, WIDER)
    try:
        output = job.run("canary")
        assert output.count("CanaryPassed") == len(rollouts.POLICY["steps"])
        assert served_versions() == {str(WIDER)}
        assert_no_canary_is_left(job_registry, WIDER)
        service = Service(os.environ["INGRESS"], {})
        row = dict.fromkeys(FEATURES, X)
        response = service.request("POST", "/stream", {"instance": row}, host=rollouts.HOST)
        assert (response.status, response.content.decode()) == (200, job.responses[str(WIDER)])
    finally:
        job.run("rollback", "--to", str(before), "--reason", "the other tests have one feature")


FAULTS = {
    4: "probes failed that the stable version answered",
    5: "answers differ from the recorded ones",
    6: "the mean latency is",
    7: "answers differ from the recorded ones",
    MEAN: "answers differ from the recorded ones",
    DAMAGED: "its pods do not serve it",
}


@pytest.mark.parametrize("version", FAULTS)
def test_faulty_version_is_rolled_back_automatically(
    version: int, job: Job, job_registry: Registry, job_load: Load
) -> None:
    before = champion(job_registry)
    make_champion(job_registry, version)
    with job_load:
        output = job.run("canary", status=1)
    assert FAULTS[version] in output
    assert served_versions() == {str(before)}
    assert_no_canary_is_left(job_registry, before)
    assert FAULTS[version] in job_registry.version(version).withdrawn
    assert f"RolledBack: version {version}" in rollouts.events()
    # At most the requests that the first step's weight sends to the canary fail.
    weight = rollouts.POLICY["steps"][0]["weight"]
    share = weight / 100
    assert len(job_load.failures) <= share * job_load.sent + 5, job_load.failures[:5]
    if version == DAMAGED:
        assert not job_load.failures, "it never became ready, so it never had a weight"
    else:
        assert f"at {weight} %: " in job_registry.version(version).withdrawn, "at the first step"


KILLED_AT = {
    "before its pods are ready": "CanaryStarted",
    "with the weight of a step": "CanaryStep: version 9 has 20 %",
    "between two steps": "CanaryPassed: version 9 at 20 %",
    "while all pods are changed": "Promoting",
}


@pytest.mark.parametrize("when", KILLED_AT)
def test_reconcile_finishes_a_canary_whose_job_was_killed(
    when: str, job: Job, job_registry: Registry, job_load: Load
) -> None:
    if champion(job_registry) == 9:
        job.run("rollback", "--to", "8")
        job_registry.note(9, "rollout", "{}")
    job_registry._index.tag(9, "withdrawn", "")
    make_champion(job_registry, 9)
    with job_load:
        job.kill_after(job.start("canary"), KILLED_AT[when])
        assert served_versions() <= {"8", "9"}
        job.run("reconcile")
    job_load.assert_no_failures()
    assert served_versions() == {"9"}
    assert_no_canary_is_left(job_registry, 9)


def test_losing_all_canary_pods_fails_requests_for_at_most_five_seconds(
    job: Job, job_registry: Registry, job_load: Load
) -> None:
    make_champion(job_registry, 10)
    selector = f"serving.kserve.io/inferenceservice={CANARY}"
    with job_load:
        process = job.start("canary")
        wait_for("a weight of 50 %", lambda: rollouts.canary_weights() == {50}, 400, pause=0.1)
        kubectl("-n", NAMESPACE, "delete", "pod", "-l", selector, "--force", "--grace-period=0")
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "it lost all its pods" in output
    times = [when for when, _ in job_load.failures]
    assert not times or times[-1] - times[0] <= 5, job_load.failures
    assert served_versions() == {"10"}
    assert_no_canary_is_left(job_registry, 10)


@pytest.fixture
def scheduled_every_minute(job: Job) -> Iterator[None]:
    """The CronJob runs each minute; a canary has one step of 80 seconds, so a second job starts meanwhile."""
    rollouts.set_schedule("* * * * *", {**rollouts.POLICY, "steps": [{"weight": 20, "seconds": 80}]})
    yield
    rollouts.set_schedule(rollouts.NEVER, rollouts.POLICY)


def test_standby_job_takes_over_after_the_leader_is_deleted(
    job: Job, job_registry: Registry, job_load: Load, scheduled_every_minute: None
) -> None:
    make_champion(job_registry, 11)
    start = time.monotonic()
    with job_load:
        wait_for("a weight of 20 %", lambda: rollouts.canary_weights() == {20}, 240)
        holder = rollouts.lease_holder()
        leader = next(pod for pod in rollouts.job_phases() if holder.startswith(pod))
        if os.environ.get("POLICIES"):
            connection = connect_from(leader, f"store.{STORE_NAMESPACE}", 9000)
            assert "timed out" in connection, "the job's network policy does not allow the store"
        wait_for("a standby job", lambda: has_standby(leader), 70)
        deadline = rollouts.weight_deadline()
        kubectl("-n", NAMESPACE, "delete", "pod", leader, "--force", "--grace-period=0")
        killed = time.monotonic()
        wait_for("a weight of 0 %", lambda: rollouts.canary_weights() == {0}, 120, pause=0.2)
        print(f"weight removed {time.monotonic() - killed:.1f} s after the leader was killed")
        assert time.time() < deadline, "before the weight expired"
        wait_for("version 11", lambda: served_versions() == {"11"} and not rollouts.canary_state(), 400)
        print(f"served by all {time.monotonic() - start:.1f} s after it became champion, one job killed")
    job_load.assert_no_failures()
    assert_no_canary_is_left(job_registry, 11)
    assert "WeightTakenBack: 20 % has lost its job" in rollouts.events()
    assert "CanaryResumed: version 11 at step 1" in rollouts.events()
    wait_for("the jobs' end", lambda: set(rollouts.job_phases().values()) <= {"Succeeded", "Failed"}, 120)


def has_standby(leader: str) -> bool:
    """Return whether another pod of the CronJob runs beside the leader."""
    return any(pod != leader and phase == "Running" for pod, phase in rollouts.job_phases().items())


def connect_from(pod: str, host: str, port: int) -> str:
    """Return the result of opening a connection from a pod of the job."""
    program = (
        "import socket\n"
        f"try: print(socket.create_connection(('{host}', {port}), timeout=4))\n"
        "except OSError as error: print(error)"
    )
    return kubectl("-n", NAMESPACE, "exec", pod, "--", "python", "-c", program)


def test_concurrent_promotions_run_one_at_a_time(job: Job) -> None:
    processes = [job.start("promote") for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    codes = sorted(process.returncode for process in processes)
    assert codes in ([0, 0], [0, 1]), outputs
    if codes == [0, 1]:
        output = "".join(outputs)
        assert "is in progress, by" in output or "at the same moment" in output
