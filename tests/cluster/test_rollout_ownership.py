"""Admission policies: only the rollout job, or Git, may change the served version and the weights."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.registry.index import CHAMPION
from components.registry.registry import Registry
from tests.cluster import rollout_job as rollouts
from tests.cluster.installers import NAME, ROOT
from tests.cluster.kube import CommandError, Object, get, kubectl, run, wait_for
from tests.cluster.rollout_install import set_owner
from tests.cluster.rollout_job import (
    NAMESPACE,
    REGISTRY,
    SERVICE_ACCOUNT,
    Job,
    champion,
    make_champion,
    patch_as,
    served_versions,
)

pytestmark = pytest.mark.skipif(
    bool(rollouts.MISSING), reason=f"LEFT OUT: {rollouts.MISSING} not set (docs/deployment.md)"
)
URI = "/spec/predictor/model/storageUri"


def operation(op: str, path: str, value: object = None) -> list[Object]:
    """Return a JSON patch with one operation."""
    return [{"op": op, "path": path, **({} if value is None else {"value": value})}]


FORBIDDEN: dict[str, tuple[str, list[Object]]] = {
    "another image": ("servingruntime", operation("replace", "/spec/containers/0/image", "evil")),
    "other arguments": ("inferenceservice", operation("add", "/spec/predictor/model/args", ["--evil"])),
    "an image of its own": ("inferenceservice", operation("add", "/spec/predictor/model/image", "evil")),
    "another ServiceAccount": (
        "inferenceservice",
        operation("replace", "/spec/predictor/serviceAccountName", "default"),
    ),
    "more pods": ("inferenceservice", operation("replace", "/spec/predictor/minReplicas", 5)),
    "KServe's annotations": (
        "inferenceservice",
        operation("add", "/metadata/annotations/serving.kserve.io~1enable-auth", "no"),
    ),
    "KServe's labels": (
        "inferenceservice",
        operation("remove", "/metadata/labels/networking.kserve.io~1visibility"),
    ),
    "another backend": ("httproute", operation("replace", "/spec/rules/0/backendRefs/1/name", "evil")),
    "another path": ("httproute", operation("replace", "/spec/rules/0/matches/0/path/value", "/metrics")),
    "another host": ("httproute", operation("replace", "/spec/hostnames/0", "evil.com")),
    "one rule fewer": ("httproute", operation("remove", "/spec/rules/1")),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_job_may_not_change_anything_but_uri_and_weights(what: str, job: Job) -> None:
    kind, change = FORBIDDEN[what]
    with pytest.raises(CommandError, match=r"a rollout may change|cannot patch resource|Forbidden"):
        patch_as(kind, change, SERVICE_ACCOUNT)


def test_job_may_change_uri_and_weights(job: Job) -> None:
    uri = get("-n", NAMESPACE, "inferenceservice", NAME)["spec"]["predictor"]["model"]["storageUri"]
    patch_as("inferenceservice", operation("replace", URI, uri), SERVICE_ACCOUNT)
    weight = operation("replace", "/spec/rules/0/backendRefs/1/weight", 1)
    patch_as("httproute", weight, SERVICE_ACCOUNT, "--dry-run=server")


def test_administrator_may_not_change_version_or_weights_owned_by_the_job(job: Job) -> None:
    with pytest.raises(CommandError, match="the rollout job owns the version"):
        patch_as("inferenceservice", operation("replace", URI, "s3://registry/other/"), None)
    with pytest.raises(CommandError, match="the rollout job owns the canary's weight"):
        patch_as("httproute", operation("replace", "/spec/rules/0/backendRefs/1/weight", 30), None)


@pytest.fixture
def version_owned_by_git(job: Job, job_registry: Registry) -> Iterator[int]:
    """The served version, which is not 1, while Git owns it; the job owns it again afterwards."""
    if champion(job_registry) == 1:
        make_champion(job_registry, 2)
        job.run("promote")
    served = champion(job_registry)
    set_owner("git")
    yield served
    set_owner("job")
    job_registry._index.point(CHAMPION, served)
    job.run("reconcile", "--without-canary")


def test_job_proposes_a_diff_and_changes_nothing_if_git_owns_the_version(
    job: Job, job_registry: Registry, version_owned_by_git: int, tmp_path: Path
) -> None:
    job_registry._index.point(CHAMPION, 1)
    for command in ("promote", "reconcile"):
        output = job.run(command, status=1)
        assert (
            f"the InferenceService names version {version_owned_by_git}, and the champion is version 1"
            in output
        )
        assert '+  version: "1"' in output
    with pytest.raises(CommandError, match=r"Forbidden|owns the version"):
        patch_as(
            "inferenceservice", operation("replace", URI, f"{REGISTRY}/models/{NAME}/1/"), SERVICE_ACCOUNT
        )
    assert served_versions() == {str(version_owned_by_git)}

    file = tmp_path / "version.yaml"
    text = (ROOT / "manifests" / "version.yaml").read_text().replace('"1"', f'"{version_owned_by_git}"')
    file.write_text(text.replace("s3://models/linear-regressor/1/", f"{REGISTRY}/x/"))
    diff = job.proposed_diff(tmp_path, "reconcile", "--file", file.name)
    run("git", "-C", str(tmp_path), "apply", "-", stdin=diff)
    apply_file = ("patch", "inferenceservice", NAME, "--type=merge", "--patch-file", str(file))
    wait_for("the policy's change", lambda: kubectl("-n", NAMESPACE, *apply_file), 30)
    wait_for("the committed version", lambda: served_versions() == {"1"}, 240)
    wait_for("reconcile to agree", lambda: "every pod serves version 1" in job.run("reconcile"), 60)
