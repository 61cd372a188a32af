"""The rollout job on a cluster, under steady load: what it brings, what it takes back, and what it survives.

The job runs as its own ServiceAccount. Versions 4, 5 and 6 have faults when they are served as a canary,
which come from a script of the tests.
"""

import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from components.register.index import CHAMPION, open_index
from components.register.registry import Registry, open_registry
from predictor.model import artifact
from tests.cluster import rollouts
from tests.cluster.conftest import _namespace, make_credentials, make_store, put
from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import CommandError, Object, get, kubectl, run, wait_for
from tests.cluster.load import Load
from tests.cluster.pipelines import forwarded
from tests.cluster.rollouts import CANARY, HOST, NAMESPACE, OWN_STORE, REGISTRY, Job

HERE = Path(__file__).parent
X = 0.05
# Factors of the first version's weights: 7 is far off, the others are near.
FACTORS = {1: 1.0, 2: 1.01, 3: 1.02, 4: 1.03, 5: 1.04, 6: 1.05, 7: 9.0, 8: 1.06, 9: 1.07, 10: 1.08, 11: 1.09}
DAMAGED = 3

pytestmark = pytest.mark.skipif(
    bool(rollouts.MISSING), reason=f"LEFT OUT: {rollouts.MISSING} not set (docs/deployment.md)"
)


@pytest.fixture(scope="module")
def versions(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, str, str]]:
    """For each version its folder, its digest and what it answers for X; of one a file was changed."""
    first, _ = artifact.read(models / "1")
    root, made = tmp_path_factory.mktemp("versions"), {}
    for number, factor in FACTORS.items():
        model = dataclasses.replace(first, weights=tuple(weight * factor for weight in first.weights))
        digest = artifact.write(model, root / str(number))
        value = float(model.predict(np.array([[X]]))[0])
        made[number] = (root / str(number), digest, f'{{"prediction":{value!r}}}')
    with (root / str(DAMAGED) / artifact.MODEL_FILE).open("a") as file:
        file.write(" ")
    return made


@pytest.fixture(scope="module")
def job(
    image: str, versions: dict[int, tuple[Path, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Job]:
    """Version 1 is served and champion; the canary's runtime has the faults of the tests."""
    make_store(OWN_STORE, image)
    put(
        OWN_STORE, {f"registry/models/{NAME}/{number}": folder for number, (folder, _, _) in versions.items()}
    )
    _namespace(NAMESPACE)
    make_credentials(NAMESPACE, OWN_STORE)
    rollouts.install(image)
    rollouts.start_registry()
    _put_faults()
    folder = tmp_path_factory.mktemp("job")
    rollouts.credentials(folder)
    with forwarded(NAMESPACE) as address:
        index = open_index(address, NAME, None)
        index.create_model()
        for number, (_, digest, _) in versions.items():
            index.create(f"{REGISTRY}/models/{NAME}/{number}", {"digest": digest})
        index.point(CHAMPION, 1)
        predictions = {str(number): answer for number, (_, _, answer) in versions.items()}
        made = Job(folder, address, predictions)
        made.run("promote")
        yield made
    kubectl("delete", "namespace", NAMESPACE, OWN_STORE, "--wait=false")
    for kind in ("validatingadmissionpolicy", "validatingadmissionpolicybinding"):
        for policy in ("rollout", "owner"):
            kubectl("delete", kind, f"{policy}.{NAME}.{NAMESPACE}", "--ignore-not-found")


def _put_faults() -> None:
    kubectl("-n", NAMESPACE, "create", "configmap", "faults", f"--from-file={HERE / 'faulty.py'}")
    volume = {"name": "faults", "configMap": {"name": "faults"}}
    mount = {"name": "faults", "mountPath": "/faults"}
    patch = [
        {"op": "add", "path": "/spec/volumes/-", "value": volume},
        {"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": mount},
        {"op": "add", "path": "/spec/containers/0/command", "value": ["python", "/faults/faulty.py"]},
    ]
    kubectl("-n", NAMESPACE, "patch", "servingruntime", CANARY, "--type=json", "-p", json.dumps(patch))


@pytest.fixture
def registry(job: Job) -> Registry:
    """The job's registry."""
    return open_registry(REGISTRY, job.address, NAME)


@pytest.fixture
def load(job: Job) -> Load:
    """A steady client behind the gateway, which takes the answer of any sound version for right."""
    right = {answer.encode() for answer in job.predictions.values()}
    body = json.dumps({"instance": X}).encode()
    return Load(os.environ["INGRESS"], HOST, "/stream", body, lambda content: content in right, pause=0.002)


def make_champion(registry: Registry, number: int) -> None:
    """Make a version champion, as the gate does."""
    before = registry.champion()
    assert before
    registry._index.tag(number, "previous_champion", str(before.number))
    registry._index.point(CHAMPION, number)


def champion(registry: Registry) -> int:
    found = registry.champion()
    assert found
    return found.number


def test_a_promotion_costs_no_request(job: Job, registry: Registry, load: Load) -> None:
    make_champion(registry, 2)
    with load:
        said = job.run("promote")
        load.reach(2000)
    assert not load.failures, load.failures[:5]
    assert set(load.answers) == {job.predictions["1"], job.predictions["2"]}
    assert rollouts.served() == {"2"}
    assert "every pod serves version 2" in said
    assert "Promoted: every pod serves version 2" in rollouts.events()
    service = get("-n", NAMESPACE, "inferenceservice", NAME)
    assert service["metadata"]["annotations"]["linear-regressor/model-version"] == "2"
    assert service["spec"]["predictor"]["model"]["storageUri"].endswith("/2/")


@pytest.fixture
def four_pods(job: Job) -> Iterator[None]:
    """Four pods that serve, instead of two."""
    rollouts.scale(4)
    yield
    rollouts.scale(2)


def test_a_rollback_of_four_pods_takes_less_than_a_minute_and_stays(
    job: Job, registry: Registry, load: Load, four_pods: None
) -> None:
    with load:
        begun = time.monotonic()
        said = job.run("rollback", "--reason", "it was only a test")
        seconds = time.monotonic() - begun
    print(f"rolled back in {seconds:.1f} s")
    assert rollouts.served(ending=True) == {"1"}, "until no pod serves the other one, those that end included"
    assert seconds < 60, said
    assert not load.failures, load.failures[:5]
    assert champion(registry) == 1
    assert registry.version(2).withdrawn == "it was only a test"
    assert "every pod serves version 1" in job.run("reconcile")
    assert rollouts.served() == {"1"}


def test_a_sound_version_goes_through_its_steps_without_a_failed_request(
    job: Job, registry: Registry, load: Load
) -> None:
    make_champion(registry, 8)
    with load:
        said = job.run("canary")
        load.reach(2000)
    assert not load.failures, load.failures[:5]
    assert [line.split(":")[0] for line in said.splitlines()[:7]] == [
        "CanaryStarted",
        "CanaryStep",
        "CanaryPassed",
        "CanaryStep",
        "CanaryPassed",
        "Promoting",
        "Promoted",
    ]
    assert rollouts.served() == {"8"}
    in_order(registry, 8)


FAULTS = {
    4: "requests failed",
    5: "no finite number",
    6: "the latency's quantile",
    7: "predictions are shifted",
    DAMAGED: "its pods did not come",
}


@pytest.mark.parametrize("version", FAULTS)
def test_a_version_with_a_fault_is_rolled_back_by_itself(
    version: int, job: Job, registry: Registry, load: Load
) -> None:
    before = champion(registry)
    make_champion(registry, version)
    with load:
        said = job.run("canary", status=1)
    assert FAULTS[version] in said
    assert rollouts.served() == {str(before)}
    in_order(registry, before)
    assert FAULTS[version] in registry.version(version).withdrawn
    assert f"RolledBack: version {version}" in rollouts.events()
    # Of what its first step's weight sends there at most; while it had none nothing failed.
    share = rollouts.POLICY["steps"][0]["weight"] / 100
    assert len(load.failures) <= share * load.sent + 5, load.failures[:5]
    if version == DAMAGED:
        assert not load.failures, "it never became ready, and never had a weight"


def in_order(registry: Registry, number: int) -> None:
    """What holds whatever happened."""
    assert rollouts.weights() == {0}
    assert not rollouts.progress()
    assert champion(registry) == number


KILLED_AT = {
    "before its pods are ready": "CanaryStarted",
    "with the weight of a step": "CanaryStep: version 9 has 20 %",
    "between two steps": "CanaryPassed: version 9 at 20 %",
    "while all pods are changed": "Promoting",
}


@pytest.mark.parametrize("when", KILLED_AT)
def test_a_job_that_is_killed_is_followed_by_one_that_ends_it(
    when: str, job: Job, registry: Registry, load: Load
) -> None:
    if champion(registry) == 9:
        job.run("rollback", "--to", "8")
        registry.note(9, "rollout", "{}")
    registry._index.tag(9, "withdrawn", "")
    make_champion(registry, 9)
    with load:
        job.kill_when(job.start("canary"), KILLED_AT[when])
        assert rollouts.served() <= {"8", "9"}
        job.run("reconcile")
    assert not load.failures, load.failures[:5]
    assert rollouts.served() == {"9"}
    in_order(registry, 9)


def test_a_canary_that_loses_its_pods_costs_its_share_for_five_seconds_at_most(
    job: Job, registry: Registry, load: Load
) -> None:
    make_champion(registry, 10)
    with load:
        process = job.start("canary")
        wait_for("a weight", lambda: rollouts.weights() == {50}, 400, pause=0.1)
        kubectl("-n", NAMESPACE, "delete", "pod", "-l", SELECTOR, "--force", "--grace-period=0")
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "it lost all its pods" in said
    times = [when for when, _ in load.failures]
    assert not times or times[-1] - times[0] <= 5, load.failures
    assert rollouts.served() == {"10"}
    in_order(registry, 10)


SELECTOR = f"serving.kserve.io/inferenceservice={CANARY}"


@pytest.fixture
def each_minute(job: Job) -> Iterator[None]:
    """The CronJob runs, and gives a new version one window, which lasts longer than a minute."""
    rollouts.schedule("* * * * *", {**rollouts.POLICY, "steps": [{"weight": 20, "seconds": 80}]})
    yield
    rollouts.schedule(rollouts.NEVER, rollouts.POLICY)


def test_the_cronjob_brings_a_new_champion_and_one_that_stands_by_takes_over_from_one_that_is_lost(
    job: Job, registry: Registry, load: Load, each_minute: None
) -> None:
    make_champion(registry, 11)
    begun = time.monotonic()
    with load:
        wait_for("a weight", lambda: rollouts.weights() == {20}, 240)
        first = rollouts.holder()
        acts = next(pod for pod in rollouts.job_pods() if first.startswith(pod))
        if os.environ.get("POLICIES"):
            assert "timed out" in connects(acts, f"store.{OWN_STORE}", 9000), "its network policy lets it not"
        stands_by = (
            "a second that stands by",
            lambda: [p for p, phase in rollouts.job_pods().items() if p != acts and phase == "Running"],
        )
        wait_for(*stands_by, 70)
        until = rollouts.deadline()
        kubectl("-n", NAMESPACE, "delete", "pod", acts, "--force", "--grace-period=0")
        killed = time.monotonic()
        wait_for("no weight", lambda: rollouts.weights() == {0}, 120, pause=0.2)
        print(f"its weight was taken back {time.monotonic() - killed:.1f} s after it was killed")
        assert time.time() < until, "before the deadline that stands with it"
        wait_for("the new version", lambda: rollouts.served() == {"11"} and not rollouts.progress(), 400)
        print(f"served by all {time.monotonic() - begun:.1f} s after it became champion, one job killed")
    assert not load.failures, load.failures[:5]
    in_order(registry, 11)
    assert "WeightTakenBack: 20 % has lost its job" in rollouts.events()
    assert "CanaryResumed: version 11 at step 1" in rollouts.events()
    wait_for("the end of its jobs", lambda: set(rollouts.job_pods().values()) <= {"Succeeded", "Failed"}, 120)


def connects(pod: str, host: str, port: int) -> str:
    """What becomes of a connection from a pod of the job."""
    program = (
        "import socket\n"
        f"try: print(socket.create_connection(('{host}', {port}), timeout=4))\n"
        "except OSError as error: print(error)"
    )
    return kubectl("-n", NAMESPACE, "exec", pod, "--", "python", "-c", program)


def test_of_two_at_once_one_wins_and_the_other_says_so(job: Job, registry: Registry) -> None:
    both = [job.start("promote") for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 1]), said
    if codes == [0, 1]:
        assert "is under way, by" in "".join(said) or "at the same moment" in "".join(said)


FORBIDDEN: dict[str, tuple[str, list[Object]]] = {
    "another image": (
        "servingruntime",
        [{"op": "replace", "path": "/spec/containers/0/image", "value": "evil"}],
    ),
    "other arguments": (
        "inferenceservice",
        [{"op": "add", "path": "/spec/predictor/model/args", "value": ["--evil"]}],
    ),
    "an image of its own": (
        "inferenceservice",
        [{"op": "add", "path": "/spec/predictor/model/image", "value": "evil"}],
    ),
    "another ServiceAccount": (
        "inferenceservice",
        [{"op": "replace", "path": "/spec/predictor/serviceAccountName", "value": "default"}],
    ),
    "more pods": (
        "inferenceservice",
        [{"op": "replace", "path": "/spec/predictor/minReplicas", "value": 5}],
    ),
    "KServe's annotations": (
        "inferenceservice",
        [{"op": "add", "path": "/metadata/annotations/serving.kserve.io~1enable-auth", "value": "no"}],
    ),
    "KServe's labels": (
        "inferenceservice",
        [{"op": "remove", "path": "/metadata/labels/networking.kserve.io~1visibility"}],
    ),
    "another backend": (
        "httproute",
        [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/name", "value": "evil"}],
    ),
    "another path": (
        "httproute",
        [{"op": "replace", "path": "/spec/rules/0/matches/0/path/value", "value": "/metrics"}],
    ),
    "another host": ("httproute", [{"op": "replace", "path": "/spec/hostnames/0", "value": "evil.com"}]),
    "a rule less": ("httproute", [{"op": "remove", "path": "/spec/rules/1"}]),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_job_may_change_nothing_but_uri_and_weights(what: str, job: Job) -> None:
    kind, change = FORBIDDEN[what]
    with pytest.raises(CommandError, match=r"a rollout may change|cannot patch resource|Forbidden"):
        patch_as(kind, change, ROLLOUT)


def test_the_job_may_change_uri_and_weights(job: Job) -> None:
    uri = get("-n", NAMESPACE, "inferenceservice", NAME)["spec"]["predictor"]["model"]["storageUri"]
    patch_as(
        "inferenceservice", [{"op": "replace", "path": "/spec/predictor/model/storageUri", "value": uri}]
    )
    same = "/spec/rules/0/backendRefs/1/weight"
    patch_as("httproute", [{"op": "replace", "path": same, "value": 1}], ROLLOUT, "--dry-run=server")


def test_nobody_else_may_change_version_or_weights(job: Job) -> None:
    uri = [{"op": "replace", "path": "/spec/predictor/model/storageUri", "value": "s3://registry/other/"}]
    with pytest.raises(CommandError, match="the rollout job owns the version"):
        patch_as("inferenceservice", uri, None)
    weight = [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 30}]
    with pytest.raises(CommandError, match="the rollout job owns the canary's weight"):
        patch_as("httproute", weight, None)


ROLLOUT = f"--as={rollouts.JOB}"


def patch_as(kind: str, change: list[Object], who: str | None = ROLLOUT, *options: str) -> None:
    """Patch an object as somebody; None for the cluster's administrator."""
    words = ["-n", NAMESPACE, "patch", kind, NAME, "--type=json", "-p", json.dumps(change)]
    kubectl(*words, *([who] if who else []), *options)


@pytest.fixture
def git(job: Job, registry: Registry) -> Iterator[int]:
    """Git owns the version; the one that is served, which is the champion again afterwards."""
    served = champion(registry)
    rollouts.own("git")
    yield served
    rollouts.own("job")
    registry._index.point(CHAMPION, served)
    job.run("reconcile", "--without-canary")


def test_where_git_owns_the_version_the_job_changes_nothing_and_a_commit_of_its_diff_does(
    job: Job, registry: Registry, git: int, tmp_path: Path
) -> None:
    registry._index.point(CHAMPION, 1)
    for command in ("promote", "reconcile"):
        said = job.run(command, status=1)
        assert f"the InferenceService names version {git}, and the champion is version 1" in said
        assert '+  version: "1"' in said
    uri = "/spec/predictor/model/storageUri"
    mine: list[Object] = [{"op": "replace", "path": uri, "value": f"{REGISTRY}/models/{NAME}/1/"}]
    with pytest.raises(CommandError, match=r"Forbidden|owns the version"):
        patch_as("inferenceservice", mine, ROLLOUT)
    assert rollouts.served() == {str(git)}
    file = tmp_path / "version.yaml"
    text = (ROOT / "manifests" / "version.yaml").read_text()
    file.write_text(
        text.replace('"1"', f'"{git}"').replace("s3://models/linear-regressor/1/", f"{REGISTRY}/x/")
    )
    change = job.proposal(tmp_path, "reconcile", "--file", file.name)
    run("git", "-C", str(tmp_path), "apply", "-", stdin=change)
    service = ("patch", "inferenceservice", NAME, "--type=merge", "--patch-file", str(file))
    wait_for("the policy's change", lambda: kubectl("-n", NAMESPACE, *service), 30)
    wait_for("what was committed", lambda: rollouts.served() == {"1"}, 240)
    wait_for("the job's word", lambda: "every pod serves version 1" in job.run("reconcile"), 60)
