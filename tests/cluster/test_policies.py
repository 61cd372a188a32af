"""Network policies let in whom they name and nobody else, where they are enforced (``POLICIES=1``)."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.cluster.installers import NAME, NAMESPACE, Settings
from tests.cluster.kube import kubectl
from tests.cluster.service import Service

CALLERS = {
    "the gateway": ("traefik", "app.kubernetes.io/name=traefik", True),
    "the scraper": ("monitoring", "app.kubernetes.io/name=prometheus", True),
    "the pipeline": ("kubeflow", "pipelines.kubeflow.org/v2_component=true", True),
    "a stranger": ("linear-regressor-stranger", "app=stranger", False),
    "a stranger with the gateway's labels in a namespace of its own": (
        "linear-regressor-stranger",
        "app.kubernetes.io/name=traefik",
        False,
    ),
}

pytestmark = pytest.mark.skipif(
    not os.environ.get("POLICIES"),
    reason="LEFT OUT: POLICIES=1 says that the cluster enforces NetworkPolicies",
)


@pytest.fixture(params=CALLERS)
def caller(request: pytest.FixtureRequest, image: str) -> Iterator[tuple[str, bool]]:
    """A pod of each kind, and whether it is to get through."""
    namespace, labels, allowed = CALLERS[request.param]
    made = not kubectl("get", "namespace", namespace, "--ignore-not-found")
    if made:
        kubectl("create", "namespace", namespace)
    name = "linear-regressor-caller"
    kubectl("-n", namespace, "delete", "pod", name, "--ignore-not-found", "--wait")
    kubectl(
        "-n", namespace, "run", name, f"--image={image}", f"--labels={labels}", "--restart=Never",
        "--image-pull-policy=IfNotPresent", "--command", "--", "python", "-c", "import time; time.sleep(600)",
    )  # fmt: skip
    kubectl("-n", namespace, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    yield f"{namespace}/{name}", allowed
    if made:
        kubectl("delete", "namespace", namespace)
    else:
        kubectl("-n", namespace, "delete", "pod", name, "--now")


def reaches(caller: str, address: str, path: str) -> bool:
    """Tell whether a pod gets an answer from an address."""
    namespace, _, pod = caller.partition("/")
    program = (
        "import urllib.request\n"
        f"try: print(urllib.request.urlopen('http://{address}{path}', timeout=4).status)\n"
        "except OSError as error: print(error)"
    )
    said = kubectl("-n", namespace, "exec", pod, "--", "python", "-c", program).strip()
    assert said == "200" or "timed out" in said or "refused" in said, said
    return said == "200"


def test_only_those_named_reach_the_predictor_and_its_metrics(
    installed: Settings, service: Service, caller: tuple[str, bool]
) -> None:
    who, allowed = caller
    addresses = [pod["status"]["podIP"] + ":8080" for pod in service.pods()]
    for address in [*addresses, f"{NAME}-predictor.{NAMESPACE}"]:
        for path in ("/ping", "/metrics", f"/v2/models/{NAME}"):
            assert reaches(who, address, path) is allowed, json.dumps([who, address, path])
